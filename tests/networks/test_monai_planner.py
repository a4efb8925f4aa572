"""Plans with a network of MONAI's: patch and batch follow from what it takes."""

from typing import Any

import pytest
from monai_samples import SMALL

from segforge.dataset.description import DatasetDescription
from segforge.errors import SegForgeError
from segforge.networks import measuring
from segforge.networks.planner import MonaiPlanner
from segforge.planning.fingerprint import Fingerprint
from segforge.planning.planner import Planned
from segforge.planning.settings import PlannerSettings

INTENSITIES = dict.fromkeys(("max", "mean", "median", "min", "percentile_00_5", "percentile_99_5", "std"), 1.0)


def planned(name: str, arguments: dict[str, Any], shape: tuple[int, int, int] = (36, 50, 35), **settings: Any) -> Planned:
    content = {
        "spacings": [(1.0, 1.0, 1.0)], "shapes_after_crop": [shape], "median_relative_size_after_cropping": 1.0,
        "foreground_intensity_properties_per_channel": {"0": INTENSITIES, "1": INTENSITIES},
    }  # fmt: skip
    described = {
        "channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "a": 1}, "numTraining": 20,
        "file_ending": ".nii.gz",
    }  # fmt: skip
    chosen = PlannerSettings(network=f"monai:{name}", network_arguments=arguments, **settings)
    fingerprint, description = Fingerprint.parse(content, "test"), DatasetDescription.parse(described, "test")
    return MonaiPlanner(chosen).plan(fingerprint, description, "Dataset001_Test")


def test_the_patch_is_divisible_and_channels_are_the_data_sets() -> None:
    plans = planned("SegResNet", SMALL["SegResNet"]).plans
    assert plans.name == "segresnet"
    full = plans.configuration("3d_fullres")
    assert full.patch_size == (40, 56, 40)
    assert (full.architecture.input_channels, full.architecture.output_channels) == (2, 2)
    assert full.architecture.arguments == SMALL["SegResNet"]
    assert not full.architecture.deep_supervision
    assert plans.configuration("2d").architecture.dimensions == 2
    assert full.data == "default_3d_fullres"


def test_less_memory_makes_the_patch_smaller() -> None:
    sizes = [
        planned("UNet", SMALL["UNet"], (90, 90, 90), gpu_memory=gigabytes).plans.configuration("3d_fullres").patch_size
        for gigabytes in (0.1, 0.02)
    ]
    assert sizes[0] > sizes[1]


def test_a_network_of_one_size_gets_that_of_the_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "divisor", lambda spec: (16,) * spec.dimensions)  # it is slow to find out
    full = planned("UNETR", SMALL["UNETR"], patch_size=(32, 48, 32)).plans.configuration("3d_fullres")
    assert full.architecture.arguments["img_size"] == [32, 48, 32] == list(full.patch_size)


def test_a_patch_that_was_asked_for_needs_no_larger_steps_than_the_network() -> None:
    full = planned("SegResNet", SMALL["SegResNet"], patch_size=(36, 52, 36)).plans.configuration("3d_fullres")
    assert full.patch_size == (36, 52, 36)


def test_deep_supervision_where_the_network_has_it() -> None:
    assert planned("DynUNet", SMALL["DynUNet"]).plans.configuration("2d").architecture.deep_supervision


def test_dimensions_that_the_arguments_do_not_fit_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    arguments = SMALL["DynUNet"] | {"kernel_size": [[1, 3, 3], 3, 3, 3]}
    result = planned("DynUNet", arguments)
    assert list(result.plans.configurations) == ["3d_fullres"]
    assert "Some configurations are left out: monai:DynUNet cannot be made in 2D" in caplog.text
    with pytest.raises(SegForgeError, match="monai:DynUNet cannot be made in 2D"):
        planned("DynUNet", arguments, (1, 50, 35))


def test_a_network_for_slices_alone_leaves_volumes_out() -> None:
    result = planned("DynUNet", SMALL["DynUNet"] | {"kernel_size": [[3, 3], 3, 3, 3]})
    assert list(result.plans.configurations) == ["2d"]
    assert "None, and no 3D configuration: the network has two dimensions." in result.explanation


def test_the_explanation_names_network_arguments_and_divisor() -> None:
    text = planned("UNet", {"channels": [4, 8], "strides": [2], "norm": "batch"}).explanation
    assert (
        'The network is monai:UNet, as asked for; its arguments: channels [4, 8], strides [2], norm "batch". '
        "It takes patches that are divisible by 8 \N{MULTIPLICATION SIGN} 8 \N{MULTIPLICATION SIGN} 8 (z y x)."
    ) in text


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (
            (40, 56),
            "2d: --patch-size 40 56 is not divisible by 32 32, the .* The nearest that works is 32 64",
        ),
        ((32, 32), "2d: --patch-size 32 32 is too small for its network. The nearest that works is 64 64"),
    ],
)
def test_patches_that_do_not_work_are_refused_with_the_nearest(patch: tuple[int, ...], message: str) -> None:
    with pytest.raises(SegForgeError, match=message):
        planned("SwinUNETR", SMALL["SwinUNETR"], (1, 50, 35), patch_size=patch)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"network": "SegResNet"}, "--network takes one of MONAI's, monai:NAME; found SegResNet"),
        ({"network": "monai:SegResNet", "features": 8}, "--features and --blocks are for SegForge's own networks"),
        ({"network_arguments": {"init_filters": 8}}, "--network-arguments are for a network of MONAI"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SegForgeError, match=message):
        PlannerSettings(**settings)


def test_planners_of_ones_own_do_not_go_with_it() -> None:
    with pytest.raises(SegForgeError, match="There is no planner custom:Planner"):
        planned("SegResNet", {}, planner="custom:Planner")
