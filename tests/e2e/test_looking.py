"""Looking at data and results of a real training: `segforge plot` and the cross-validation of `segforge evaluate`."""

import json
import shutil
from pathlib import Path

import pytest

RESULTS = Path("results/Dataset900_Phantom")
MODEL = RESULTS / "default__default__3d_fullres"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, planned: Path, segforge) -> Path:
    """A workspace with two folds of a configuration, trained for two steps."""
    workspace = Path(shutil.copytree(planned, tmp_path_factory.mktemp("looking") / "workspace"))
    for fold in (0, 1):
        segforge(f"train 900 3d_fullres {fold} --epochs 1 --iterations 2 --validation-iterations 1", workspace)
    return workspace


def test_cross_validation_gathers_what_the_trainings_found(trained: Path, segforge) -> None:
    done = segforge("evaluate -d 900 --figures 1", trained)
    assert "default__default__3d_fullres: folds 0, 1." in done.stdout
    folder = trained / MODEL
    folds = [json.loads((folder / f"fold_{fold}" / "validation" / "summary.json").read_text()) for fold in (0, 1)]
    gathered = json.loads((folder / "cv_results" / "summary.json").read_text())
    cases = [case["metrics"] for fold in folds for case in fold["metric_per_case"]]
    assert sorted(map(str, cases)) == sorted(str(case["metrics"]) for case in gathered["metric_per_case"])
    assert (folder / "cv_results" / "figures" / "scores.png").is_file()
    best = segforge("find-best -d 900 -f 0 1", trained)
    assert f"{gathered['foreground_mean']['Dice']:.4f}" in best.stdout


def test_every_kind_of_picture_is_drawn_by_worker_processes(trained: Path, segforge) -> None:
    segforge("plot -d 900 --what raw preprocessed predictions -np 2", trained)
    figures = trained / RESULTS / "figures"
    found = {folder.relative_to(figures).as_posix() for folder in figures.rglob("*") if list(folder.glob("*.png"))}
    assert found == {"raw", "preprocessed/default_2d", "preprocessed/default_3d_fullres", f"predictions/{MODEL.name}"}


def test_a_fold_that_is_trained_but_not_validated_is_named_with_the_command(trained: Path, segforge, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(trained, tmp_path / "workspace"))
    (workspace / MODEL / "fold_1" / "validation" / "summary.json").unlink()
    failed = segforge("evaluate -d 900", workspace, status=2)
    assert "no validation of fold 1" in failed.stderr
    segforge("train 900 3d_fullres 1 --validate-only", workspace)
    segforge("evaluate -d 900", workspace)
