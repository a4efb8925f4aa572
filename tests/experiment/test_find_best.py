"""The whole of find-best on models whose held-out logits are made by hand, so that its numbers can be computed by hand."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, zoom
from scipy.stats import wilcoxon

from segforge import TrainingOptions, find_best, plan, train
from segforge.api.cleaning import clean
from segforge.compute.executors import Resources, inline
from segforge.compute.files import file_hash
from segforge.dataset.cases import open_dataset
from segforge.dataset.phantom import write_phantom
from segforge.errors import CasesFailed, SegForgeError
from segforge.evaluation.evaluate import evaluate_pairs
from segforge.evaluation.made_from import made_from
from segforge.experiment import ensembles
from segforge.experiment.kept_logits import KeptLogits
from segforge.images.files import write_volume
from segforge.inference.export import CaseLogits, labels_of
from segforge.networks.model_folder import FINAL, ModelFolder
from segforge.planning.settings import PlannerSettings
from segforge.preprocessing.recipe import recipe
from segforge.preprocessing.store import CaseStore

NAME = "Dataset900_Phantom"
CASES = [f"phantom_{number:03d}" for number in range(8)]
FOLDS = {"0": CASES[:4], "1": CASES[4:]}
SHORT = TrainingOptions(epochs=1, iterations=1, validation_iterations=1, batch_size=2)
A, B = "default__default__2d", "default__default__3d_fullres"
PAIR = f"{A}___{B}"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with two folds of two configurations, hardly trained."""
    workspace = tmp_path_factory.mktemp("trained")
    write_phantom(workspace / "raw" / NAME, training=len(CASES), testing=0)
    splits = [{"train": FOLDS["1"], "val": FOLDS["0"]}, {"train": FOLDS["0"], "val": FOLDS["1"]}]
    (workspace / "raw" / NAME / "splits_final.json").write_text(json.dumps(splits))
    plan(900, settings=PlannerSettings(features=2), workspace=workspace)
    for configuration in ("2d", "3d_fullres"):
        for fold in FOLDS:
            train(900, configuration, fold, options=SHORT, device="cpu", workspace=workspace)
    return workspace


@pytest.fixture(scope="module")
def made(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace with logits that find the structures, each model with errors of its own, and their label maps."""
    workspace = tmp_path_factory.mktemp("made") / "w"
    shutil.copytree(trained, workspace)
    for seed, name in enumerate((A, B)):
        for fold in FOLDS:
            write_held_out(workspace, name, fold, seed)
    return workspace


@pytest.fixture
def workspace(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "w")
    return tmp_path / "w"


def best(workspace: Path, **more):
    return find_best(900, device="cpu", workspace=workspace, **more)


def results(workspace: Path) -> Path:
    return workspace / "results" / NAME


def opened(workspace: Path, name: str) -> tuple[ModelFolder, CaseStore]:
    model, raw = ModelFolder(results(workspace) / name), open_dataset(workspace / "raw" / NAME)
    _, configuration = model.configuration(model.plans)
    folder = workspace / "preprocessed" / NAME / configuration.data
    return model, CaseStore(folder, recipe(model.plans, configuration, raw.description))


def write_held_out(workspace: Path, name: str, fold: str, seed: int) -> None:
    """Logits, label maps and summary of a fold, as its validation would leave them."""
    model, store = opened(workspace, name)
    raw, (_, configuration) = open_dataset(workspace / "raw" / NAME), model.configuration(model.plans)
    labels, folder = raw.description.label_scheme, model.fold(fold)
    references = {case.id: case.label for case in raw.cases if case.id in FOLDS[fold]}
    kept = KeptLogits(folder, store, labels.heads, lambda case: None)
    for number, case in enumerate(FOLDS[fold]):
        stored = store.open(case)
        noise = np.random.default_rng((seed, number, int(fold))).normal(size=(3, *stored.classes.shape[1:]))
        blurred = np.stack([gaussian_filter(channel, 2) * 20 for channel in noise])
        logits = kept.keep(case, (stored.classes == np.arange(3).reshape(-1, 1, 1, 1)) * 3 + blurred)
        members = [CaseLogits.of(logits, stored.properties, model.plans, configuration)]
        write_volume(folder.validation / f"{case}.nii.gz", labels_of(members, labels), stored.properties.geometry)
    pairs = [(references[case], folder.validation / f"{case}.nii.gz") for case in FOLDS[fold]]
    summary = evaluate_pairs(pairs, labels, inline, Resources(), made_from(folder.path / FINAL, references))
    summary.write(folder.validation / "summary.json")


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nibabel.load(path).dataobj).T


def probabilities_by_hand(workspace: Path, name: str, case: str) -> np.ndarray:
    fold = next(fold for fold, cases in FOLDS.items() if case in cases)
    logits = np.load(results(workspace) / name / f"fold_{fold}" / "validation" / "logits" / f"{case}.npy").astype(float)
    order = json.loads((results(workspace) / name / "plans.json").read_text())["transpose_forward"]
    image = voxels(workspace / "raw" / NAME / "imagesTr" / f"{case}_0000.nii.gz")
    assert all((np.take(image, [0, -1], axis) != 0).any() for axis in range(3))  # there is no crop
    shape = [image.shape[axis] for axis in order]
    factors = np.divide(shape, logits.shape[1:])
    resampled = [zoom(head, factors, order=1, mode="nearest", grid_mode=True) for head in logits]
    powers = np.exp(resampled)
    return np.moveaxis(powers / powers.sum(0), (1, 2, 3), [1 + axis for axis in order])


def dice_by_hand(workspace: Path, maps: dict[str, np.ndarray]) -> dict[str, list[float]]:
    scores: dict[str, list[float]] = {"organ": [], "lesion": []}
    for case, predicted in maps.items():
        truth = voxels(workspace / "raw" / NAME / "labelsTr" / f"{case}.nii.gz")
        for value, name in enumerate(scores, start=1):
            both = ((truth == value) & (predicted == value)).sum()
            scores[name].append(2 * both / ((truth == value).sum() + (predicted == value).sum()))
    return scores


def test_its_numbers_are_those_that_are_computed_by_hand(workspace: Path) -> None:
    selection = best(workspace)
    by_hand = {}
    for name in (A, B):
        paths = {path.name.removesuffix(".nii.gz"): path for path in (results(workspace) / name).rglob("validation/*.nii.gz")}
        by_hand[(name,)] = dice_by_hand(workspace, {case: voxels(paths[case]) for case in CASES})
    means = {case: probabilities_by_hand(workspace, A, case) + probabilities_by_hand(workspace, B, case) for case in CASES}
    by_hand[(A, B)] = dice_by_hand(workspace, {case: mean.argmax(0) for case, mean in means.items()})

    assert [one.models for one in selection.ranking] == sorted(
        by_hand, key=lambda models: -np.mean([np.mean(scores) for scores in by_hand[models].values()])
    )
    for one in selection.ranking:
        scores = by_hand[one.models]
        assert one.dice_per_structure == pytest.approx({name: np.mean(values) for name, values in scores.items()}, abs=1e-5)
        assert one.dice == pytest.approx(np.mean([np.mean(values) for values in scores.values()]), abs=1e-5)
        assert one.interval is not None and one.interval[0] < one.dice < one.interval[1]
    assert selection.models == (A, B)  # errors of their own average out
    of_cases = [np.mean(list(by_hand[one.models].values()), axis=0) for one in selection.ranking[:2]]
    assert selection.comparison is not None
    assert selection.comparison.p == pytest.approx(wilcoxon(*of_cases).pvalue)
    assert (selection.folds, selection.comparison.cases) == (("0", "1"), 8)
    # Blobs of noise lie apart from the organ, so that the largest component is better.
    assert selection.postprocessing.steps
    assert selection.postprocessed_dice > selection.ranking[0].dice
    assert (results(workspace) / "ranking.png").stat().st_size > 5000
    assert json.loads((results(workspace) / "postprocessing.json").read_text())["steps"]
    assert "segforge ensemble" in (results(workspace) / "instructions.md").read_text()


def written(workspace: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in results(workspace).rglob("*") if path.is_file()}


def test_again_it_does_nothing_and_says_so(workspace: Path, caplog, monkeypatch) -> None:
    caplog.set_level("INFO")
    first, files = best(workspace), written(workspace)
    assert "Nothing has changed" not in caplog.text
    for name in ("write_average", "_predict_average", "evaluate_pairs"):
        monkeypatch.setattr(ensembles, name, None)
    shutil.rmtree(workspace / "preprocessed" / NAME / "default_3d_fullres")  # is not needed
    assert best(workspace).to_json() == first.to_json()
    assert written(workspace) == files
    assert "Nothing has changed" in caplog.text
    for name in ("instructions.md", "ranking.png"):
        (results(workspace) / name).unlink()
    best(workspace)
    assert set(written(workspace)) == set(files)


def test_only_what_has_changed_is_averaged_again(workspace: Path) -> None:
    best(workspace)
    before = written(workspace)
    write_held_out(workspace, A, "1", seed=7)
    best(workspace)
    changed = {path.name for path, time in written(workspace).items() if path.parent.name == PAIR and time != before[path]}
    assert changed == {*(f"{case}.nii.gz" for case in FOLDS["1"]), "summary.json", "prediction.json"}
    damaged = results(workspace) / "ensembles" / PAIR / f"{CASES[0]}.nii.gz"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:100])
    best(workspace)
    assert damaged.read_bytes() == whole


def test_processes_make_the_same_bytes_as_one_thread(workspace: Path) -> None:
    best(workspace, workers=0)
    maps = sorted((results(workspace) / "ensembles" / PAIR).glob("*.nii.gz"))
    hashes = [file_hash(path) for path in maps]
    assert len(maps) == len(CASES)
    shutil.rmtree(results(workspace) / "ensembles")
    best(workspace, workers=2)
    assert [file_hash(path) for path in maps] == hashes


def test_killed_in_the_middle_it_goes_on_to_the_same_end(workspace: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from segforge import find_best\nfrom segforge.experiment import ensembles\n"
        "average, count = ensembles.write_average, []\n"
        "def killed(*arguments):\n"
        "    count.append(1)\n"
        "    if len(count) == 4: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    average(*arguments)\n"
        "ensembles.write_average = killed\n"
        "find_best(900, device='cpu', workers=0, workspace=Path(sys.argv[1]))"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code, str(workspace)], env=environment, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    maps = sorted((results(workspace) / "ensembles" / PAIR).glob("*.nii.gz"))
    before = {path: path.stat().st_mtime_ns for path in maps}
    assert len(maps) == 3 and not (results(workspace) / "selection.json").exists()
    assert best(workspace, workers=0).models == (A, B)
    assert {path: path.stat().st_mtime_ns for path in maps} == before


def test_a_case_that_fails_is_named_and_the_others_are_done(workspace: Path) -> None:
    path = results(workspace) / B / "fold_0" / "validation" / "logits" / f"{CASES[2]}.npy"
    array = np.load(path)
    np.save(path, array[:2])  # its record now has another size ...
    record = json.loads(path.with_suffix(".json").read_text()) | {"size": path.stat().st_size}
    path.with_suffix(".json").write_text(json.dumps(record))  # ... and believes it
    with pytest.raises(CasesFailed, match=f"1 cases of .* could not be averaged:\n{CASES[2]}: "):
        best(workspace)
    assert len(list((results(workspace) / "ensembles" / PAIR).glob("*.nii.gz"))) == len(CASES) - 1
    assert not (results(workspace) / "selection.json").exists()


def test_without_ensembles_or_with_one_configuration_single_models_are_ranked(workspace: Path) -> None:
    selection = best(workspace, ensembles=False)
    assert [one.models for one in selection.ranking] in ([(A,), (B,)], [(B,), (A,)])
    assert json.loads((results(workspace) / "inference_information.json").read_text())["ensembling_allowed"] is False
    alone = best(workspace, configurations=["2d"], folds=["1"])
    assert (alone.models, alone.folds, alone.comparison) == ((A,), ("1",), None)
    assert not (results(workspace) / "ensembles").exists()


def test_models_that_held_out_different_cases_are_not_compared(workspace: Path) -> None:
    folder = ModelFolder(results(workspace) / A).fold("1")
    folder.cases_path.write_text(json.dumps({"train": CASES[:4], "val": CASES[4:7]}))
    with pytest.raises(SegForgeError, match=rf"only one of them held out {CASES[7]}\. Choose folds with -f"):
        best(workspace)
    assert best(workspace, folds=["0"]).folds == ("0",)


def test_missing_validations_and_logits_are_made_from_the_checkpoints(trained: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    shutil.copytree(trained, workspace)
    expected = best(workspace)
    hashes = {path: file_hash(path) for path in results(workspace).rglob("*.nii.gz")}
    assert len(hashes) == 3 * len(CASES)
    removed = {item.path.name for item in clean(900, remove=True, workspace=workspace)}
    assert {"logits", PAIR} <= removed
    plan(900, settings=PlannerSettings(features=2), workspace=workspace)
    shutil.rmtree(results(workspace) / A / "fold_0" / "validation")
    (results(workspace) / A / "fold_1" / "validation" / f"{CASES[5]}.nii.gz").unlink()
    assert best(workspace, keep_logits=0).to_json() == expected.to_json()
    assert {path: file_hash(path) for path in hashes} == hashes
    assert not list(results(workspace).rglob("logits/*.npy"))
