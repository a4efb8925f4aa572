"""How far an experiment is, by what lies on the disk."""

import json
import shutil
from pathlib import Path

import pytest

from segforge import PlannerSettings, plan, status
from segforge.compute.documents import to_json
from segforge.compute.locks import Owner
from segforge.dataset.phantom import write_phantom
from segforge.experiment.status import Status
from segforge.training.settings import TrainingSettings
from segforge.training.sole_run import lock_of

NAME, MODEL = "Dataset900_Phantom", "default__default__2d"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = tmp_path_factory.mktemp("status")
    write_phantom(workspace / "raw" / NAME, training=3, testing=0)
    plan(900, settings=PlannerSettings(features=2), configurations=["2d"], workspace=workspace)
    return workspace


@pytest.fixture
def workspace(made: Path, tmp_path: Path) -> Path:
    """Planned; of it 2d alone is preprocessed, and planned."""
    shutil.copytree(made, tmp_path / "w")
    path = tmp_path / "w" / "preprocessed" / NAME / "plans" / "default.json"
    content = json.loads(path.read_text())
    del content["configurations"]["3d_fullres"]
    path.write_text(json.dumps(content))
    return tmp_path / "w"


def fold(workspace: Path, number: int) -> Path:
    return workspace / "results" / NAME / MODEL / f"fold_{number}"


def finish(workspace: Path, number: int, dice: float) -> None:
    """A fold as it looks when it is trained and validated."""
    (fold(workspace, number) / "validation").mkdir(parents=True, exist_ok=True)
    (fold(workspace, number) / "cases.json").write_text('{"train": [], "val": []}')
    (fold(workspace, number) / "checkpoint_final.safetensors").touch()
    summary = {"labels": {}, "metric_per_case": [], "mean": {}, "foreground_mean": {"Dice": dice}}
    (fold(workspace, number) / "validation" / "summary.json").write_text(json.dumps(summary))


def look(workspace: Path) -> Status:
    return status(900, workspace=workspace)


def test_nothing_is_planned(tmp_path: Path) -> None:
    write_phantom(tmp_path / "raw" / NAME, training=2, testing=0)
    found = look(tmp_path)
    assert (found.cases, found.plans, found.data, found.folds) == (2, (), (), ())
    assert found.next == f"segforge plan -d {NAME}"
    assert not (tmp_path / "preprocessed").exists()


def test_cases_that_are_missing_or_changed_are_to_be_preprocessed(workspace: Path) -> None:
    assert [row.done for row in look(workspace).data] == [3]
    (workspace / "preprocessed" / NAME / "default_2d" / "phantom_001.json").unlink()
    label = workspace / "raw" / NAME / "labelsTr" / "phantom_002.nii.gz"
    label.write_bytes(label.read_bytes() + b"\0")
    found = look(workspace)
    assert [row.done for row in found.data] == [1]
    assert found.next == f"segforge preprocess -d {NAME} -c 2d"


def test_a_training_is_at_its_epoch_and_has_a_worker(workspace: Path) -> None:
    found = look(workspace)
    assert [(row.fold, row.state, row.epoch) for row in found.folds] == [(f"{n}", "not begun", 0) for n in range(3)]
    assert found.next == f"segforge train {NAME} 2d 0"
    fold(workspace, 0).mkdir(parents=True)
    record = {"epoch": 4, "learning_rate": 1, "train_loss": 0, "validation_loss": 0, "pseudo_dice": {}}
    lines = json.dumps(record | {"mean_pseudo_dice": 0, "ema": 0, "seconds": 1}) + '\n{"epoch": 5, "lea'
    (fold(workspace, 0) / "history.jsonl").write_text(lines)
    settings = TrainingSettings.parse({"batch_size": 2, "epochs": 20}, "test")
    (fold(workspace, 0).parent / "settings.json").write_text(to_json(settings.model_dump(mode="json")))
    with lock_of(fold(workspace, 0)).held(Owner.here(), ""):
        found = look(workspace)
        assert found.next == f"segforge train {NAME} 2d 1"
        first = found.folds[0]
        assert (first.state, first.epoch, first.epochs) == ("begun", 5, 20)
        assert "is being trained by process" in first.worker
    assert look(workspace).folds[0].worker is None


def test_what_is_validated_is_to_be_compared_and_then_predicts(workspace: Path) -> None:
    for number in range(3):
        finish(workspace, number, 0.5 + number / 10)
    found = look(workspace)
    assert [(row.state, row.dice) for row in found.folds] == [("validated", 0.5), ("validated", 0.6), ("validated", 0.7)]
    assert found.next == f"segforge find-best -d {NAME}"
    selection = {"models": [MODEL], "folds": ["0", "1", "2"], "ranking": [{"models": [MODEL], "dice": 0.6}]}
    path = workspace / "results" / NAME / "selection.json"
    path.write_text(json.dumps(selection))
    found = look(workspace)
    assert found.selected == (MODEL,) and found.next.startswith(f"segforge predict -d {NAME}")
    path.write_text(json.dumps(selection | {"folds": ["0", "1"]}))
    assert look(workspace).next == f"segforge find-best -d {NAME}"
    (workspace / "preprocessed" / NAME / "default_2d" / "phantom_001.json").unlink()  # no training needs it any more
    path.write_text("{")
    assert look(workspace).selected == () and look(workspace).next == f"segforge find-best -d {NAME}"


def test_what_others_work_on_is_waited_for(workspace: Path) -> None:
    for number in range(2):
        finish(workspace, number, 0.5)
    with lock_of(fold(workspace, 2)).held(Owner.here(), ""):
        assert look(workspace).next == f"segforge find-best -d {NAME}, once what others work on is done"
    assert look(workspace).next == f"segforge train {NAME} 2d 2"


def test_a_damaged_validation_does_not_count(workspace: Path) -> None:
    finish(workspace, 0, 0.5)
    (fold(workspace, 0) / "validation" / "summary.json").write_text('{"labels": ')
    found = look(workspace)
    assert found.folds[0].state == "trained" and found.next == f"segforge train {NAME} 2d 0"
    assert Status.parse(json.loads(found.to_json()), "test") == found
