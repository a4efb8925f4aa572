"""A cascade through the whole chain: trained, compared, averaged, selected, and predicted with by no further words."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from segforge import TrainingOptions, find_best, plan, train
from segforge.compute.executors import Resources, inline
from segforge.compute.files import file_hash
from segforge.dataset.cases import open_dataset
from segforge.dataset.phantom import write_phantom
from segforge.evaluation.evaluate import evaluate_pairs
from segforge.experiment.cross_validation import gather
from segforge.images.files import read_labels
from segforge.networks.model_folder import ModelFolder
from segforge.planning.settings import PlannerSettings

NAME = "Dataset900_Phantom"
CASES = [f"phantom_{number:03d}" for number in range(4)]
SHORT = TrainingOptions(epochs=1, iterations=2, validation_iterations=1, batch_size=2)
LOW, CASCADE = "default__default__3d_lowres", "default__default__3d_cascade_fullres"
IMAGES = f"raw/{NAME}/imagesTs"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = tmp_path_factory.mktemp("cascade")
    write_phantom(workspace / "raw" / NAME, training=4, testing=1)
    splits = [{"train": CASES[2:], "val": CASES[:2]}, {"train": CASES[:2], "val": CASES[2:]}]
    (workspace / "raw" / NAME / "splits_final.json").write_text(json.dumps(splits))
    plan(900, settings=PlannerSettings(gpu_memory=0.0005, features=2), workspace=workspace)
    with pytest.MonkeyPatch.context() as patch:  # networks that find something after two steps
        patch.setattr("segforge.training.trainer.expect_background", lambda network, labels: None)
        for configuration in ("3d_lowres", "3d_cascade_fullres"):
            for fold in (0, 1):
                train(900, configuration, fold, options=SHORT, device="cpu", workspace=workspace)
    return workspace


@pytest.fixture
def workspace(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "w")
    return tmp_path / "w"


def results(workspace: Path) -> Path:
    return workspace / "results" / NAME


def put_the_truth(workspace: Path, folder: Path) -> None:
    for path in folder.glob("phantom_*.nii.gz"):
        shutil.copy(workspace / "raw" / NAME / "labelsTr" / path.name, path)


def test_a_cascade_that_wins_predicts_its_previous_stage_too(workspace: Path, segforge) -> None:
    raw = open_dataset(workspace / "raw" / NAME)
    model = ModelFolder(results(workspace) / CASCADE)
    for fold in ("0", "1"):
        gathered = gather(model, raw, [fold])
        put_the_truth(workspace, model.fold(fold).validation)
        path = model.fold(fold).validation / "summary.json"
        sources = json.loads(path.read_text())["made_from"]
        summary = evaluate_pairs(gathered.pairs, raw.description.label_scheme, inline, Resources(), sources)
        summary.write(path)
    done = segforge("find-best -d 900 --device cpu", workspace)
    assert f"Selected {CASCADE}, without postprocessing" in done.stdout
    done = segforge(f"predict -i {IMAGES} -o out --device cpu", workspace)
    assert f"Using the selection of find-best: {CASCADE}." in done.stdout
    record = json.loads((workspace / "out" / "prediction.json").read_text())
    assert {f"{name} fold {fold}" for name in (LOW, CASCADE) for fold in (0, 1)} <= set(record["made_from"])
    segforge(f"predict -i {IMAGES} -o named --device cpu -c 3d_cascade_fullres", workspace)
    assert file_hash(workspace / "out" / "phantom_004.nii.gz") == file_hash(workspace / "named" / "phantom_004.nii.gz")


def test_a_pair_that_wins_is_what_the_instructions_make_step_by_step(workspace: Path, segforge) -> None:
    find_best(900, device="cpu", workspace=workspace)
    pair = results(workspace) / "ensembles" / f"{LOW}___{CASCADE}"
    put_the_truth(workspace, pair)
    record = json.loads((pair / "prediction.json").read_text())
    for case, done in record["cases"].items():
        done["output"] = file_hash(pair / f"{case}.nii.gz")
    (pair / "prediction.json").write_text(json.dumps(record))
    done = segforge("find-best -d 900 --device cpu", workspace)
    assert f"1. {LOW} + {CASCADE}" in done.stdout
    done = segforge(f"predict -i {IMAGES} -o out --device cpu", workspace)
    assert f"Using the selection of find-best: {LOW} and {CASCADE}." in done.stdout
    commands = [
        line.strip() for line in (results(workspace) / "instructions.md").read_text().splitlines()[6:] if "    " in line
    ]
    assert len(commands) == 3
    for command in commands:
        words = command.removeprefix("segforge ").replace("INPUT", IMAGES)
        segforge(words if words.startswith("ensemble") else f"{words} --device cpu", workspace)
    at_once, in_steps = (read_labels(workspace / name / "phantom_004.nii.gz").array for name in ("out", "OUTPUT"))
    assert (at_once != in_steps).mean() < 1e-3
    assert at_once.max() > 0 and np.unique(at_once).size > 1
