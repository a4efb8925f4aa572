"""The explanation holds a sentence, with its values, for every decision."""

from collections.abc import Callable

from segforge.planning.planner import Planned
from segforge.planning.settings import PlannerSettings


def section(planned: Planned, heading: str) -> str:
    text = planned.explanation.split(f"## {heading}\n")[1].split("\n## ")[0]
    return text.replace("\N{MULTIPLICATION SIGN}", "x")


def test_there_is_a_section_for_each_decision_and_configuration(plan: Callable[..., Planned]) -> None:
    planned = plan((1, 1, 1), (400, 400, 400))
    headings = [line.removeprefix("## ") for line in planned.explanation.splitlines() if line.startswith("## ")]
    assert headings == [
        "Target spacing",
        "Axis order",
        "Normalization",
        "Low resolution",
        "Configuration 2d",
        "Configuration 3d_fullres",
        "Configuration 3d_lowres",
        "Configuration 3d_cascade_fullres",
    ]


def test_anisotropy_is_explained_with_its_values(plan: Callable[..., Planned]) -> None:
    text = section(plan((5, 0.7, 0.8), (40, 500, 400)), "Target spacing")
    assert "5 x 0.7 x 0.8 mm (z y x), their median shape after cropping 40 x 500 x 400 voxels" in text
    assert (
        "axis z has a median spacing of 5 mm, the next 0.8 mm, and a median size of 40 voxels, the smallest other 400" in text
    )
    assert "10th percentile" in text


def test_isotropy_is_explained_too(plan: Callable[..., Planned]) -> None:
    assert "No axis is anisotropic" in section(plan((1, 1, 1), (40, 50, 40)), "Target spacing")


def test_axis_order_is_explained(plan: Callable[..., Planned]) -> None:
    text = section(plan((0.5, 0.5, 4), (200, 200, 30)), "Axis order")
    assert "x with 4 mm, comes first: everything is computed in the order x z y" in text


def test_normalization_names_the_mask_and_its_reason(plan: Callable[..., Planned]) -> None:
    text = section(plan((1, 1, 1), (40, 50, 40), channels=("CT", "T1"), kept=0.5), "Normalization")
    assert "Channel 0, CT: ct: clipped to the 0.5 and 99.5 percentiles" in text
    assert "Channel 1, T1: zscore" in text
    assert text.count("non-zero region") == 1
    assert "over its own standard deviation, over the non-zero region only" in text
    assert "as cropping keeps 50% of the median case's voxels, less than 75%" in text


def test_each_step_of_shrinking_names_its_axis(plan: Callable[..., Planned]) -> None:
    text = section(plan((4, 0.5, 0.5), (30, 500, 500)), "Configuration 3d_fullres")
    assert "The patch begins as 30 x 500 x 500 (z y x) voxels" in text
    assert "padded for its topology to 32 x 512 x 512" in text
    steps = [line for line in text.splitlines() if "shrunk along" in line]
    assert steps[0].startswith("- Too large: shrunk along z to 28 x 512 x 512, estimate")
    assert steps[1].startswith("- Too large: shrunk along x to 28 x 512 x 448, estimate")
    assert "The patch is 16 x 320 x 320 (z y x) voxels" in text


def test_kernels_of_1_are_explained(plan: Callable[..., Planned]) -> None:
    text = section(plan((4, 0.5, 0.5), (30, 500, 500)), "Configuration 3d_fullres")
    assert "Kernels are 1 along z in the first 3 stages" in text


def test_batch_size_names_what_limits_it(plan: Callable[..., Planned]) -> None:
    assert "limited by the size of the data set" in section(
        plan((1, 1, 1), (64, 64, 64), cases=100), "Configuration 3d_fullres"
    )
    assert "limited by memory" in section(plan((1, 1, 1), (64, 64, 64), cases=10**6), "Configuration 3d_fullres")
    assert "is 2, the smallest" in section(plan((1, 1, 1), (64, 64, 64), cases=1), "Configuration 3d_fullres")


def test_a_card_too_small_for_any_patch_is_explained(plan: Callable[..., Planned]) -> None:
    text = section(plan((1, 1, 1), (64, 64, 64), PlannerSettings(gpu_memory=1e-9)), "Configuration 3d_fullres")
    assert "no axis is left that can shrink" in text


def test_cascade_names_its_inputs(plan: Callable[..., Planned]) -> None:
    text = section(plan((1, 1, 1), (400, 400, 400), labels=7), "Configuration 3d_cascade_fullres")
    assert "with the prediction of 3d_lowres as 7 further input channels" in text
    assert "`default_3d_fullres`" in text
