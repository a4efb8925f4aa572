"""What a run will take, from measured steps."""

import pytest
from experiment_estimates import estimate
from samples import plans_for

from segforge.experiment.outlook import ConfigurationOutlook, Outlook


def test_a_validation_takes_tiles_times_mirrorings() -> None:
    plans = plans_for((1.0, 1.0, 1.0))
    one = plans.configurations["3d_fullres"].model_copy(update={"median_shape": (16.0, 8.0, 4.0)})
    plans = plans.model_copy(update={"configurations": {"3d_fullres": one}})
    found = ConfigurationOutlook.of(plans, "3d_fullres", estimate(), folds=5, cases=4, parameters=1000)
    assert found.validation_seconds == 4 * 3 * 8 * 0.5 / 2  # 16 voxels in patches of 8, half of one apart
    assert (found.host_memory, found.checkpoints) == (500, 5 * 4 * 4 * 1000)
    assert found.logits == 5 * 4 * (16 * 8 * 8) * 3 * 2


def test_slices_are_validated_one_by_one() -> None:
    plans = plans_for((1.0, 1.0))
    found = ConfigurationOutlook.of(plans, "2d", estimate(), folds=1, cases=1, parameters=1)
    assert found.validation_seconds == 8 * 1 * 4 * 0.5 / 2


def outlook(**more) -> Outlook:
    plans = plans_for((1.0, 1.0, 1.0))
    one = ConfigurationOutlook.of(plans, "3d_fullres", estimate(), folds=5, cases=1, parameters=100)
    content = {
        "dataset": "D", "cases": 5, "tried": ("a", "b", "c"), "preprocessing_seconds": 30, "preprocessed": 1000,
        "configurations": (one, one), "at_once": 2, "free_disk": 10**6, "free_memory": 10**6, "failures": (), "advice": (),
    }  # fmt: skip
    return Outlook(**content | more)


def test_all_together() -> None:
    found = outlook()
    assert found.seconds == 30 + 2 * 5 * (100 + 2) / 2
    assert found.disk == 1000 + 2 * (5 * 4 * 4 * 100 + 5 * 512 * 3 * 2)
    assert found.memory == 1000 and found.problems == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"free_disk": 40_000}, "make room, or train fewer configurations"),
        ({"free_memory": 999}, "run fewer --at-once"),
        ({"failures": ("In small, 2d fold 0 failed: no",)}, "In small, 2d fold 0 failed: no"),
    ],
)
def test_what_stands_in_its_way_is_named(more: dict, words: str) -> None:
    (problem,) = outlook(**more).problems
    assert words in problem
