"""What an experiment consists of."""

import pytest

from segforge.errors import SegForgeError
from segforge.experiment.pieces import trainings
from segforge.planning.plans import Plans


@pytest.fixture(scope="module")
def plans() -> Plans:
    from samples import plans_for

    content = plans_for((1.0, 1.0, 1.0)).model_dump(mode="json")
    full = content["configurations"]["3d_fullres"]
    spec = full["architecture"] | {"input_channels": 3}
    content["configurations"] |= {
        "3d_lowres": full | {"data": "low"},
        "3d_cascade_fullres": full | {"previous_stage": "3d_lowres", "architecture": spec},
    }
    return Plans.parse(content, "test")


def names(found) -> list[str]:
    return [training.name for training in found]


def test_all_folds_of_all_configurations(plans: Plans) -> None:
    found = trainings(plans, None, None, 2)
    assert names(found) == [
        f"{name} fold {fold}" for name in ("3d_fullres", "3d_lowres", "3d_cascade_fullres") for fold in (0, 1)
    ]
    assert found[0].needs == () and found[4].needs == ("3d_lowres fold 0", "3d_lowres fold 1")


def test_a_cascade_brings_every_fold_that_it_needs(plans: Plans) -> None:
    found = trainings(plans, ["3d_cascade_fullres"], ["1"], 3)
    assert names(found) == ["3d_lowres fold 0", "3d_lowres fold 1", "3d_lowres fold 2", "3d_cascade_fullres fold 1"]
    found = trainings(plans, ["3d_lowres", "3d_cascade_fullres"], ["all"], 2)
    assert names(found) == ["3d_lowres fold all", "3d_lowres fold 0", "3d_lowres fold 1", "3d_cascade_fullres fold all"]
    assert found[-1].needs == ("3d_lowres fold 0", "3d_lowres fold 1")


def test_a_single_case_is_trained_on_alone(plans: Plans) -> None:
    assert names(trainings(plans, ["3d_fullres"], None, 0)) == ["3d_fullres fold all"]
    with pytest.raises(SegForgeError, match="3d_cascade_fullres is a cascade, which needs folds"):
        trainings(plans, ["3d_cascade_fullres"], None, 0)


def test_a_configuration_that_is_not_planned_is_named(plans: Plans) -> None:
    with pytest.raises(SegForgeError, match="no configuration 3d_fulres. Did you mean 3d_fullres"):
        trainings(plans, ["3d_fulres"], None, 2)
