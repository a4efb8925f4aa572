import pytest
import torch
from torch import nn

from segforge.errors import SegForgeError
from segforge.networks.build import build, build_for_inference, parameter_count
from segforge.networks.layers import Head, ResidualBlock
from segforge.planning.architecture import ArchitectureSpec


def spec(network: str = "plain_unet", dimensions: int = 3, **changes) -> ArchitectureSpec:
    one, two = (1,) * dimensions, (2,) * dimensions
    fields = {
        "network": network, "dimensions": dimensions, "input_channels": 2, "output_channels": 3, "features": (4, 8, 16),
        "strides": (one, two, (1, *two[1:])),
        "kernel_sizes": ((1, *(3,) * (dimensions - 1)), (3,) * dimensions, (3,) * dimensions),
        "encoder_blocks": (1, 2, 3), "decoder_convolutions": (2, 1),
    }  # fmt: skip
    return ArchitectureSpec.model_validate(fields | changes)


@pytest.mark.parametrize("network", ["plain_unet", "residual_encoder_unet"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_outputs_have_one_resolution_per_decoder_stage(network: str, dimensions: int) -> None:
    size = (8, 12, 16)[-dimensions:]
    outputs = build(spec(network, dimensions))(torch.randn(2, 2, *size))
    half = (size[0] // 2, *(n // 2 for n in size[1:]))
    assert [tuple(output.shape) for output in outputs] == [(2, 3, *size), (2, 3, *half)]


def test_without_deep_supervision_there_is_one_output_and_one_head() -> None:
    network = build(spec(deep_supervision=False))
    assert network(torch.randn(1, 2, 8, 8, 8)).shape == (1, 3, 8, 8, 8)
    assert len(network.heads) == 1


def test_parameters_of_a_plain_network_by_hand() -> None:
    plain = spec(
        dimensions=2, features=(2, 4), strides=((1, 1), (2, 2)), kernel_sizes=((3, 3), (3, 3)), encoder_blocks=(1, 1),
        decoder_convolutions=(1,), input_channels=1,
    )  # fmt: skip
    encoder = (1 * 9 * 2 + 2) + 2 * 2 + (2 * 9 * 4 + 4) + 2 * 4
    decoder = (4 * 4 * 2 + 2) + (4 * 9 * 2 + 2) + 2 * 2
    head = 2 * 3 + 3
    assert parameter_count(build(plain)) == encoder + decoder + head


def test_each_decoder_stage_has_its_own_number_of_convolutions() -> None:
    network = build(spec(decoder_convolutions=(3, 1)))
    assert [len(stage.convolutions) for stage in network.decoder] == [1, 3]  # from the lowest resolution upward


def test_a_single_stage_is_a_stack_with_a_head() -> None:
    single = spec(features=(4,), strides=((1, 1, 1),), kernel_sizes=((3, 3, 3),), encoder_blocks=(2,), decoder_convolutions=())
    outputs = build(single)(torch.randn(1, 2, 4, 5, 6))
    assert [tuple(output.shape) for output in outputs] == [(1, 3, 4, 5, 6)]


def test_weights_are_kaiming_normal_biases_zero_and_residual_branches_silent() -> None:
    network = build(spec("residual_encoder_unet", features=(32, 64, 128)))
    big = network.encoder[2][1].second.weight
    fan_in = big.shape[1] * 27
    assert abs(big.std() / (2 / (1 + 0.01**2) / fan_in) ** 0.5 - 1) < 0.02
    assert all(
        (module.bias == 0).all() for module in network.modules() if isinstance(module, nn.Conv3d) and module.bias is not None
    )
    blocks = [module for module in network.modules() if isinstance(module, ResidualBlock)]
    assert len(blocks) == 6
    assert all((block.norm.weight == 0).all() for block in blocks)


def test_a_fresh_residual_block_is_its_skip() -> None:
    block = build(spec("residual_encoder_unet")).encoder[1][1]
    x = torch.randn(1, 8, 4, 4, 4)
    torch.testing.assert_close(block(x), nn.functional.leaky_relu(x, 0.01))


def test_weights_are_a_function_of_the_seed_and_leave_the_global_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, second, third = build(spec(), seed=1), build(spec(), seed=1), build(spec(), seed=2)
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), third.parameters(), strict=True))


def test_a_head_is_a_1x1_convolution() -> None:
    head = Head(4, 3, 3)
    x = torch.randn(2, 4, 3, 4, 5)
    torch.testing.assert_close(head(x), head.convolution(x))


def test_for_inference_there_is_one_output_and_nothing_learns() -> None:
    trained = build(spec(), seed=3)
    network = build_for_inference(spec(), trained.state_dict(), "x")
    x = torch.randn(1, 2, 8, 8, 8)
    torch.testing.assert_close(network(x), trained(x)[0])
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_unknown_networks_and_wrong_weights_are_refused() -> None:
    with pytest.raises(SegForgeError, match="Did you mean plain_unet"):
        build(spec("plan_unet"))
    with pytest.raises(SegForgeError, match="do not fit the network"):
        build_for_inference(spec(), {}, "here")
    weights = build(spec()).state_dict()
    weights["heads.0.convolution.bias"][0] = float("nan")
    with pytest.raises(SegForgeError, match=r"heads\.0\.convolution\.bias in here hold NaN"):
        build_for_inference(spec(), weights, "here")


@pytest.mark.parametrize(
    "changes",
    [
        {"features": (4, 8)},
        {"strides": ((1, 1, 1), (2, 2), (1, 2, 2))},
        {"kernel_sizes": ((2, 3, 3),) * 3},
        {"encoder_blocks": (0, 1, 1)},
        {"decoder_convolutions": (1, 1, 1)},
    ],
)
def test_lists_that_do_not_fit_are_refused(changes: dict) -> None:
    with pytest.raises(ValueError, match="entries|axes|odd|at least"):
        spec(**changes)
