"""A run in small: what is tried where, and what stays as it was."""

import json
from pathlib import Path

import pytest
from experiment_estimates import estimate

from segforge import PlannerSettings, SegForgeError, TrainingOptions, plan
from segforge.api.pilot import pilot
from segforge.api.run import PieceReport, RunReport
from segforge.api.workers import Workers
from segforge.compute.executor_choice import ExecutorChoice
from segforge.dataset.phantom import write_phantom
from segforge.planning.plans import Plans

NAME = "Dataset900_Phantom"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    write_phantom(tmp_path / "raw" / NAME, training=5, testing=0)
    return tmp_path


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> dict:
    """What the pilot asks for of runs and estimates, which are only noted."""
    asked: dict = {"estimates": []}

    def run(dataset, *, workspace, plans, **more) -> RunReport:
        folder = workspace / "preprocessed" / NAME
        asked.update(more, workspace=workspace, small=Plans.read(folder / "plans" / f"{plans}.json"))
        asked["splits"] = json.loads((workspace / "raw" / NAME / "splits_final.json").read_text())
        asked["cases"] = sorted(path.stem for path in folder.glob("*_2d/*.json"))
        return RunReport(NAME, (PieceReport("2d fold 0", asked.get("reason"), None, 1.0, Path("log")),), None)

    def measured(dataset, configuration, *, plans, workspace, **more):
        asked["estimates"].append(configuration)
        if configuration == asked.get("fails"):
            raise SegForgeError("The device is full.")
        return estimate(advice=["Use a GPU."])

    monkeypatch.setattr("segforge.api.pilot.run", run)
    monkeypatch.setattr("segforge.api.pilot.estimate", measured)
    return asked


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_three_cases_are_tried_elsewhere_in_small(workspace: Path, tried: dict) -> None:
    before = files(workspace)
    found = pilot(900, settings=PlannerSettings(features=16), options=TrainingOptions(epochs=50, warmup=4), workspace=workspace)
    assert files(workspace) == before and len(list(workspace.iterdir())) == 1
    sizes = {case: (workspace / "raw" / NAME / "imagesTr" / f"{case}_0000.nii.gz").stat().st_size for case in cases(5)}
    largest, smallest = max(sizes, key=sizes.__getitem__), min(sizes, key=sizes.__getitem__)
    assert found.tried[:2] == (largest, smallest) and found.tried[2] not in (largest, smallest)
    assert tried["splits"][0]["val"] == [largest] and len(tried["splits"]) == 3
    assert tried["cases"] == sorted(found.tried)
    assert max(tried["small"].configurations["2d"].architecture.features) == 8
    assert (tried["options"].epochs, tried["options"].warmup, tried["folds"]) == (1, None, [0])
    assert [one.folds for one in found.configurations] == [5, 5] and found.cases == 5
    assert found.problems == [] and found.advice == ("Use a GPU.",)


def test_plans_that_are_there_are_tried_and_what_fails_is_named(workspace: Path, tried: dict) -> None:
    plan(900, settings=PlannerSettings(features=2, patch_size=(8, 16, 16)), preprocess=False, workspace=workspace)
    tried |= {"reason": "the label has a value 7", "fails": "3d_fullres"}
    found = pilot(900, configurations=["2d", "3d_fullres"], folds=[0], workspace=workspace)
    assert tried["small"].configurations["3d_fullres"].patch_size == (8, 16, 16)
    assert found.problems == ["In small, 2d fold 0 failed: the label has a value 7", "3d_fullres: The device is full."]
    assert [(one.configuration, one.folds) for one in found.configurations] == [("2d", 1)]


def test_a_worker_elsewhere_tries_it_for_as_many_as_there_are(workspace: Path, tried: dict) -> None:
    elsewhere = Workers(at_once=3, where=ExecutorChoice("segforge.compute.executors:inline"))
    found = pilot(900, configurations=["2d"], workers=elsewhere, workspace=workspace)
    assert found.at_once == 3 and found.problems == []
    assert tried["workers"].where.is_local and tried["work"].where.is_local
    tried["fails"] = "2d"
    assert pilot(900, configurations=["2d"], workers=elsewhere, workspace=workspace).problems == ["2d: The device is full."]
    with pytest.raises(SegForgeError, match="have no configuration 3d_lowres"):
        pilot(900, configurations=["3d_lowres"], workers=elsewhere, workspace=workspace)


def test_a_cascade_is_measured_without_its_previous_stage(workspace: Path, tried: dict) -> None:
    settings = PlannerSettings(features=2, gpu_memory=0.0005)
    found = pilot(900, configurations=["3d_cascade_fullres"], settings=settings, workspace=workspace)
    assert tried["estimates"] == ["3d_lowres", "3d_fullres"]
    assert [one.configuration for one in found.configurations] == ["3d_lowres", "3d_cascade_fullres"]


def test_two_cases_are_too_few(tmp_path: Path) -> None:
    write_phantom(tmp_path / "raw" / NAME, training=2, testing=0)
    with pytest.raises(SegForgeError, match="has 2 cases, a pilot needs three"):
        pilot(900, workspace=tmp_path)


def cases(number: int) -> list[str]:
    return [f"phantom_{index:03d}" for index in range(number)]
