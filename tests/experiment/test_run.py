"""A run whose cases cannot all be preprocessed: what does not need them is carried on."""

import logging
from pathlib import Path

import pytest

from segforge import PlannerSettings, plan, run
from segforge.api import run as module
from segforge.compute.executors import InlineExecutor
from segforge.dataset.phantom import write_phantom
from segforge.errors import PreprocessingFailed
from segforge.experiment.commands import Ending

NAME = "Dataset900_Phantom"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Trainings are not carried out, and are well."""
    write_phantom(tmp_path / "raw" / NAME, training=3, testing=0)
    well = Ending(None, 1.0)
    monkeypatch.setattr(module, "_here", lambda chain, executor: chain.carry_out(InlineExecutor(), lambda command: well))
    monkeypatch.setattr(module, "read_selection", lambda results: None)
    return tmp_path


def break_case(workspace: Path, configuration: str) -> None:
    """A case of a configuration can no longer be written."""
    folder = workspace / "preprocessed" / NAME / f"default_{configuration}"
    (folder / "phantom_001.json").unlink()
    (folder / "phantom_001.json").mkdir()


def test_the_configurations_that_are_whole_are_trained(workspace: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    plan(900, settings=PlannerSettings(features=2), configurations=["2d", "3d_fullres"], workspace=workspace)
    break_case(workspace, "3d_fullres")
    report = run(900, configurations=["2d", "3d_fullres"], workspace=workspace)
    reasons = {piece.name: piece.reason for piece in report.pieces}
    assert [reasons[f"2d fold {fold}"] for fold in range(3)] == [None] * 3
    assert {reasons[f"3d_fullres fold {fold}"] for fold in range(3)} == {"1 case could not be preprocessed"}
    assert reasons["find-best"].startswith("needs 3d_fullres fold 0") and not report.is_done
    assert "1 of 1 cases failed" in caplog.text and "What does not need them is carried on." in caplog.text


def test_a_run_ends_where_nothing_is_whole(workspace: Path) -> None:
    plan(900, settings=PlannerSettings(features=2), configurations=["2d"], workspace=workspace)
    break_case(workspace, "2d")
    with pytest.raises(PreprocessingFailed, match="phantom_001"):
        run(900, configurations=["2d"], workspace=workspace)


def test_plans_that_were_made_just_now_are_kept_with_what_is_whole(workspace: Path) -> None:
    folder = workspace / "preprocessed" / NAME / "default_3d_fullres"
    folder.mkdir(parents=True)
    (folder / "phantom_001.json").mkdir()
    report = run(900, configurations=["2d", "3d_fullres"], settings=PlannerSettings(features=2), workspace=workspace)
    assert [piece.name for piece in report.pieces if piece.reason is None] == [f"2d fold {fold}" for fold in range(3)]
