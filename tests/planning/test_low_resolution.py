"""The search for a low resolution."""

from collections.abc import Callable

import pytest

from segforge.planning.low_resolution import coarser
from segforge.planning.planner import Planned


def test_all_axes_grow_when_none_lags() -> None:
    assert coarser((2.0, 1.0, 1.0)) == (2.0 * 1.03, 1.03, 1.03)


def test_only_lagging_axes_grow_while_there_are_any() -> None:
    assert coarser((2.1, 1.0, 1.5)) == (2.1, 1.03, 1.5)


def test_a_patch_that_covers_a_quarter_needs_no_low_resolution(plan: Callable[..., Planned]) -> None:
    planned = plan((1, 1, 1), (160, 160, 160))
    assert set(planned.plans.configurations) == {"2d", "3d_fullres"}
    assert "None: a patch of 3d_fullres covers 51.2% of the median case" in planned.explanation


def test_a_low_resolution_that_saves_little_is_dropped(plan: Callable[..., Planned]) -> None:
    # 128³ of 220³ is 19.7 %: less than a quarter, but 2 times fewer voxels are not needed for it.
    planned = plan((1, 1, 1), (220, 220, 220))
    assert set(planned.plans.configurations) == {"2d", "3d_fullres"}
    assert "None: a patch of 3d_fullres covers 19.7% of the median case" in planned.explanation
    assert "2 times would be needed" in planned.explanation


def test_a_low_resolution_comes_with_a_cascade_and_batch_dice(plan: Callable[..., Planned]) -> None:
    planned = plan((1, 1, 1), (400, 400, 400))
    plans = planned.plans
    assert list(plans.configurations) == ["2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres"]
    low = plans.configuration("3d_lowres")
    # 128³ is a quarter of 203³: 400 / 203 = 1.97, which 1.03^23 is the first to reach.
    assert low.spacing == pytest.approx((1.03**23,) * 3)
    assert low.median_shape == (203, 203, 203)
    dice = {name: configuration.batch_dice for name, configuration in plans.configurations.items()}
    assert dice == {"2d": True, "3d_fullres": True, "3d_lowres": False, "3d_cascade_fullres": True}
    assert "Worth it" in planned.explanation


def test_batch_of_the_low_resolution_holds_a_share_of_its_own_voxels(plan: Callable[..., Planned]) -> None:
    section = plan((1, 1, 1), (400, 400, 400), cases=1000).explanation.split("## Configuration 3d_lowres\n")[1]
    share = round(0.05 * (400 / 1.03**23) ** 3 * 1000 / 128**3)
    assert f"the size of the data set {share}," in section.split("\n## ")[0]
