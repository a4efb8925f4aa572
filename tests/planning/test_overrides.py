"""The user's own numbers: what follows from them, and what is refused with the nearest that works."""

import math
import re
from collections.abc import Callable
from typing import Any

import pytest

from segforge.dataset.description import DatasetDescription
from segforge.errors import SegForgeError
from segforge.planning.fingerprint import Fingerprint
from segforge.planning.planner import Planned, Planner
from segforge.planning.settings import PlannerSettings

ISOTROPIC = ((1, 1, 1), (200, 200, 200))
COARSE_LAST = ((0.5, 0.5, 4.0), (200, 200, 30))


def test_features_change_channels_patch_and_batch(plan: Callable[..., Planned]) -> None:
    full = plan(*ISOTROPIC, PlannerSettings(features=8)).plans.configuration("3d_fullres")
    default = plan(*ISOTROPIC).plans.configuration("3d_fullres")
    assert full.architecture.features == (8, 16, 32, 64, 128, 256)
    assert math.prod(full.patch_size) > math.prod(default.patch_size)


def test_blocks_repeat_their_last_entry(plan: Callable[..., Planned]) -> None:
    settings = PlannerSettings(planner="resenc-m", blocks=(1, 2))
    assert plan(*ISOTROPIC, settings).plans.configuration("3d_fullres").architecture.encoder_blocks == (1, 2, 2, 2, 2, 2)


def test_larger_batch_makes_the_patch_smaller(plan: Callable[..., Planned]) -> None:
    full = plan(*ISOTROPIC, PlannerSettings(batch_size=8)).plans.configuration("3d_fullres")
    assert full.batch_size == 8
    assert math.prod(full.patch_size) <= 128**3 / 3


def test_batch_size_may_exceed_the_share_of_the_data_set(plan: Callable[..., Planned]) -> None:
    planned = plan((1, 1, 1), (40, 40, 40), PlannerSettings(batch_size=12), cases=2)
    assert planned.plans.configuration("3d_fullres").batch_size == 12
    assert "the one asked for, 12" in planned.explanation


def test_patch_in_stored_order_applies_to_3d(plan: Callable[..., Planned]) -> None:
    planned = plan(*COARSE_LAST, PlannerSettings(patch_size=(64, 96, 16)))
    assert planned.plans.configuration("3d_fullres").patch_size == (16, 64, 96)
    assert planned.plans.configuration("2d").patch_size == plan(*COARSE_LAST).plans.configuration("2d").patch_size
    assert "(the one asked for)" in planned.explanation


def test_2d_patch_applies_to_2d(plan: Callable[..., Planned]) -> None:
    plans = plan(*ISOTROPIC, PlannerSettings(patch_size=(64, 128))).plans
    assert plans.configuration("2d").patch_size == (64, 128)
    assert plans.configuration("3d_fullres").patch_size == (128, 128, 128)


def test_patch_of_residual_2d_may_fill_the_card_with_two(plan: Callable[..., Planned]) -> None:
    planned = plan((999, 1, 1), (1, 1024, 1024), PlannerSettings(planner="resenc-m", patch_size=(1024, 1024)), cases=100)
    assert planned.plans.configuration("2d").batch_size == 3


def test_low_resolution_pads_a_given_patch_for_its_own_topology(plan: Callable[..., Planned]) -> None:
    settings = PlannerSettings(patch_size=(12, 128, 128))
    plans = plan((5, 0.8, 0.8), (100, 600, 600), settings).plans
    assert plans.configuration("3d_fullres").patch_size == (12, 128, 128)
    low = plans.configuration("3d_lowres")
    assert [size % step for size, step in zip(low.patch_size, low.architecture.divisor, strict=True)] == [0, 0, 0]


def test_spacing_is_given_in_stored_order(plan: Callable[..., Planned]) -> None:
    planned = plan(*COARSE_LAST, PlannerSettings(spacing=(1.0, 0.5, 2.0)))
    assert planned.plans.configuration("3d_fullres").spacing == (2.0, 1.0, 0.5)
    assert planned.plans.configuration("3d_fullres").median_shape == (60, 100, 200)
    assert "The target spacing is the one asked for" in planned.explanation


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(SegForgeError) as caught:
        call()
    return str(caught.value)


def nearest(message: str) -> tuple[int, ...]:
    found = re.search(r"The nearest that works is ([\d ]+)\.", message)
    assert found, message
    return tuple(int(size) for size in found[1].split())


@pytest.mark.parametrize(
    ("patch_size", "reason", "expected"),
    [
        ((100, 100, 100), "not divisible by 16 16 16", (96, 96, 96)),
        ((5, 64, 70), "not divisible by 1 16 16", (5, 64, 64)),
        ((256, 256, 256), "takes 6.4 times the memory", (128, 128, 128)),
    ],
)
def test_patch_that_cannot_work_is_refused_with_the_nearest(
    plan: Callable[..., Planned], patch_size: tuple[int, ...], reason: str, expected: tuple[int, ...]
) -> None:
    message = refusal(lambda: plan(*ISOTROPIC, PlannerSettings(patch_size=patch_size)))
    assert f"3d_fullres: --patch-size {' '.join(map(str, patch_size))}" in message
    assert reason in message
    assert nearest(message) == expected
    assert plan(*ISOTROPIC, PlannerSettings(patch_size=expected)).plans.configuration("3d_fullres").patch_size == expected


def test_refusal_speaks_in_stored_order(plan: Callable[..., Planned]) -> None:
    message = refusal(lambda: plan(*COARSE_LAST, PlannerSettings(patch_size=(64, 100, 16))))
    assert "--patch-size 64 100 16 is not divisible by" in message
    assert nearest(message) == (64, 96, 16)


def test_patch_is_refused_where_no_patch_fits(plan: Callable[..., Planned]) -> None:
    settings = PlannerSettings(patch_size=(64, 64, 64), gpu_memory=1e-9)
    assert "None does: allow more with --gpu-memory" in refusal(lambda: plan(*ISOTROPIC, settings))


def test_batch_that_no_patch_fits_is_refused_with_the_largest(plan: Callable[..., Planned]) -> None:
    message = refusal(lambda: plan((999, 1, 1), (1, 64, 64), PlannerSettings(batch_size=10**8)))
    largest = int(message.split()[-1].rstrip("."))
    assert plan((999, 1, 1), (1, 64, 64), PlannerSettings(batch_size=largest)).plans.configuration("2d").batch_size == largest
    refusal(lambda: plan((999, 1, 1), (1, 64, 64), PlannerSettings(batch_size=largest + largest // 10)))


def test_batch_is_refused_where_none_fits(plan: Callable[..., Planned]) -> None:
    settings = PlannerSettings(batch_size=2, gpu_memory=1e-9)
    assert "None does: allow more with --gpu-memory" in refusal(lambda: plan(*ISOTROPIC, settings))


def test_3d_patch_for_2d_images_is_refused(plan: Callable[..., Planned]) -> None:
    message = refusal(lambda: plan((999, 1, 1), (1, 300, 200), PlannerSettings(patch_size=(1, 64, 96))))
    assert "Give two: 64 96." in message


def test_more_features_than_a_stage_may_have_are_refused(plan: Callable[..., Planned]) -> None:
    assert nearest(refusal(lambda: plan(*ISOTROPIC, PlannerSettings(features=321)))) == (320,)
    assert (
        plan((999, 1, 1), (1, 300, 200), PlannerSettings(features=321)).plans.configuration("2d").architecture.features[0]
        == 321
    )


@pytest.mark.parametrize(
    ("spacing", "shape", "asked", "expected"),
    [((1, 1, 1), (40, 50, 60), (1.0, 200.0, 1.0), "1 50 1"), ((999, 1, 1), (1, 300, 200), (1.0, 2.0, 2.0), "999 2 2")],
)
def test_spacing_that_leaves_no_voxel_or_cuts_single_slices_is_refused(
    plan: Callable[..., Planned], spacing: Any, shape: Any, asked: tuple[float, ...], expected: str
) -> None:
    message = refusal(lambda: plan(spacing, shape, PlannerSettings(spacing=asked)))
    assert f"The nearest that works is {expected}." in message
    works = tuple(float(value) for value in expected.split())
    plan(spacing, shape, PlannerSettings(spacing=works))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gpu_memory": 0}, "--gpu-memory 0 must be a positive number"),
        ({"gpu_memory": math.inf}, "--gpu-memory inf must be a positive number"),
        ({"features": 0}, "--features 0 must be at least 1"),
        ({"blocks": (1, 0)}, "--blocks 1 0 must be"),
        ({"blocks": ()}, "--blocks +must be"),
        ({"batch_size": 1}, "The nearest that works is 2"),
        ({"patch_size": (64,)}, "--patch-size 64 must be z y x"),
        ({"patch_size": (64, 0)}, "--patch-size 64 0 must be"),
        ({"spacing": (1.0, 1.0)}, "--spacing 1 1 must be z y x"),
        ({"spacing": (1.0, 0.0, 1.0)}, "each a positive number of mm"),
        ({"name": "a/b"}, "'a/b' cannot be part of a folder name"),
        ({"name": "a__b"}, "cannot be part of a folder name"),
        ({"spacing": (1.0, 1.0, 1.0), "resampling": "none"}, "leave out --spacing or --resampling none"),
    ],
)
def test_settings_that_work_for_no_data_set_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SegForgeError, match=message):
        PlannerSettings(**settings)


def test_fingerprint_of_other_channels_is_refused(
    fingerprint_of: Callable[..., Fingerprint], description_of: Callable[..., DatasetDescription]
) -> None:
    fingerprint = fingerprint_of([(1, 1, 1)], [(9, 9, 9)], channels=2)
    with pytest.raises(SegForgeError, match=r"has 2 channels, dataset\.json names 1"):
        Planner().plan(fingerprint, description_of(), "Dataset001_Test")


@pytest.mark.parametrize("spacing", [(1, 0, 1), (1, -1, 1), (1, math.nan, 1), (1, math.inf, 1), (1, 1e-300, 1)])
def test_fingerprint_without_a_positive_spacing_is_refused(
    fingerprint_of: Callable[..., Fingerprint], spacing: tuple[float, ...]
) -> None:
    content = fingerprint_of([(1, 1, 1), (1, 1, 1)], [(9, 9, 9), (8, 8, 8)]).model_dump()
    content["spacings"] = [(1, 1, 1), spacing]
    with pytest.raises(SegForgeError, match=r"the file is not valid\. spacings\.1\.1"):
        Fingerprint.parse(content, "the file")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shapes_after_crop", [(9, 0, 9), (8, 8, 8)]),
        ("shapes_after_crop", [(9, 9, 10**30), (8, 8, 8)]),
        ("median_relative_size_after_cropping", 0),
        ("median_relative_size_after_cropping", math.nan),
    ],
)
def test_fingerprint_with_impossible_sizes_is_refused(
    fingerprint_of: Callable[..., Fingerprint], field: str, value: object
) -> None:
    content = fingerprint_of([(1, 1, 1), (1, 1, 1)], [(9, 9, 9), (8, 8, 8)]).model_dump() | {field: value}
    with pytest.raises(SegForgeError, match=field):
        Fingerprint.parse(content, "the file")


def test_fingerprint_whose_channels_are_not_numbered_is_refused(fingerprint_of: Callable[..., Fingerprint]) -> None:
    content = fingerprint_of([(1, 1, 1)], [(9, 9, 9)]).model_dump()
    channels = content["foreground_intensity_properties_per_channel"]
    for key in ("a", "7"):
        wrong = content | {"foreground_intensity_properties_per_channel": {key: channels["0"]}}
        with pytest.raises(SegForgeError, match=f"must be numbered from 0; found {key}"):
            Fingerprint.parse(wrong, "the file")


def test_memory_for_which_no_patch_is_small_enough_is_said(
    fingerprint_of: Callable[..., Fingerprint],
    description_of: Callable[..., DatasetDescription],
    caplog: pytest.LogCaptureFixture,
) -> None:
    planner = Planner(PlannerSettings(gpu_memory=1e-7))
    planner.plan(fingerprint_of([(1, 1, 1)], [(40, 40, 40)]), description_of(), "Dataset001_Test")
    assert "3d_fullres: no patch fits into 1e-07 GB" in caplog.text
