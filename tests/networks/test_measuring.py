"""Passes without values tell which patches a network takes, and what they need."""

import pytest
from monai_samples import SMALL, TINY, spec_of
from samples import plans_for

from segforge.errors import SegForgeError
from segforge.networks import measuring
from segforge.networks.measuring import check_patch, divisor, for_patch, kept_values, padded
from segforge.planning import cost, memory
from segforge.planning.architecture import ArchitectureSpec
from segforge.planning.network import network_spec, stage_features
from segforge.planning.plans import Configuration
from segforge.planning.topology import plan_topology


def configuration(spec: ArchitectureSpec, patch: tuple[int, ...]) -> Configuration:
    plain = next(iter(plans_for((1.0,) * spec.dimensions).configurations.values()))
    return plain.model_copy(update={"architecture": spec, "patch_size": patch})


@pytest.mark.parametrize(
    ("name", "dimensions", "expected"),
    [
        ("SegResNet", 3, (4, 4, 4)),
        ("SwinUNETR", 2, (32, 32)),
        ("BasicUNet", 2, (1, 1)),
        ("DynUNet", 2, (8, 8)),
    ],
)
def test_what_a_patch_must_be_divisible_by(name: str, dimensions: int, expected: tuple[int, ...]) -> None:
    assert divisor(spec_of(name, dimensions)) == expected


def test_axes_are_looked_at_one_by_one() -> None:
    strides = [[1, 1, 1], [1, 2, 2], [2, 2, 4]]
    arguments = SMALL["DynUNet"] | {"kernel_size": [3] * 3, "strides": strides, "upsample_kernel_size": strides[1:]}
    assert divisor(spec_of("DynUNet", 3, arguments)) == (2, 4, 8)


def test_a_patch_is_padded_to_what_the_network_takes() -> None:
    assert padded(spec_of("SegResNet"), (36.5, 50, 4), (4, 4, 8)) == (40, 52, 8)
    assert padded(spec_of("SwinUNETR", 2), (20, 40), (32, 32)) == (32, 64)
    assert padded(spec_of("SwinUNETR", 2), (20, 20), (32, 32)) == (
        64,
        64,
    )  # 32 would leave a single pixel, which has no variance


def test_a_network_that_takes_nothing_says_why() -> None:
    with pytest.raises(SegForgeError, match="monai:SegResNetDS takes no patches in 3D: 'str' object is not callable"):
        divisor(spec_of("SegResNetDS", 3, {"preprocess": "words"}))
    with pytest.raises(SegForgeError, match="takes no patches in 2D: its output is 2 6 128 128, not 2 3 128 128"):
        divisor(spec_of("SegResNet", 2, {"use_conv_final": False, "init_filters": 6, "num_groups": 3, "norm": "batch"}))


def test_wrong_patches_are_refused_in_words() -> None:
    with pytest.raises(SegForgeError, match="patch_size 40 64 does not work with monai:SwinUNETR: .* 32 32; 64 64 works"):
        check_patch(configuration(spec_of("SwinUNETR", 2), (40, 64)))
    with pytest.raises(SegForgeError, match=r"patch_size 32 32 does not work with monai:SwinUNETR: Expected more than 1"):
        check_patch(configuration(spec_of("SwinUNETR", 2), (32, 32)))
    unetr = for_patch(spec_of("UNETR", 2), (64, 64))
    check_patch(configuration(unetr, (64, 64)))
    with pytest.raises(SegForgeError, match="patch_size 32 64 does not work with monai:UNETR"):
        check_patch(configuration(unetr, (32, 64)))


@pytest.mark.parametrize("kind", ["plain_unet", "residual_encoder_unet"])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 1.0)])
def test_values_are_in_the_units_of_the_planners_estimate(kind: str, spacing: tuple[float, ...]) -> None:
    topology = plan_topology(spacing, (64,) * len(spacing), (1,) * len(spacing))
    spec = network_spec(
        kind, topology, input_channels=1, output_channels=3,
        features=stage_features(32, len(topology.strides), len(spacing)), blocks=(2,), decoder_convolutions=2,
    )  # fmt: skip
    assert kept_values(spec, topology.patch_size) == pytest.approx(memory.estimate(spec, topology.patch_size, 3), rel=0.1)


def test_parameters_and_operations_are_those_of_the_convolutions() -> None:
    made = configuration(plans_for((1.0, 1.0)).configurations["2d"].architecture, (16, 16))
    expected = cost.cost_of(made)
    assert (measuring.cost_of(made).parameters, measuring.cost_of(made).operations) == (
        expected.parameters,
        expected.operations,
    )


def test_memory_follows_the_patch() -> None:
    spec = spec_of("SegResNet", 2, TINY)
    small, large = (measuring.cost_of(configuration(spec, (size, size))) for size in (32, 64))
    assert large.memory == pytest.approx(4 * small.memory, rel=0.01)
    assert large.parameters == small.parameters
