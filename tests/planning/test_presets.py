"""Names and reference numbers of the planners."""

import pytest

from segforge.errors import SegForgeError
from segforge.planning.presets import Budget, find_preset


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("ExperimentPlanner", "default"),
        ("nnUNetPlannerResEncM", "resenc-m"),
        ("nnUNetPlannerResEncL", "resenc-l"),
        ("nnUNetPlannerResEncXL", "resenc-xl"),
    ],
)
def test_names_of_nnunet_are_accepted(theirs: str, ours: str) -> None:
    assert find_preset(theirs) is find_preset(ours)


def test_unknown_planner_is_refused_with_the_nearest() -> None:
    with pytest.raises(SegForgeError, match="no planner resenc-s. Did you mean resenc-"):
        find_preset("resenc-s")


def test_budget_scales_with_the_memory_asked_for() -> None:
    assert find_preset("default").budget(3, 16) == Budget(2 * 5.6e8, 2)
    assert find_preset("resenc-l").budget(2, 12) == Budget(3.8e8 / 2, 12)


def test_budget_is_kept_when_a_batch_fills_it_exactly() -> None:
    budget = Budget(100.0, 12)
    assert budget.holds(600, 2)
    assert not budget.holds(601, 2)
