import json
from pathlib import Path

import numpy as np
import pytest

from segforge.compute.executors import Resources, inline
from segforge.dataset.cases import RawDataset, open_dataset
from segforge.errors import SegForgeError
from segforge.evaluation.evaluate import evaluate_pairs
from segforge.evaluation.made_from import made_from
from segforge.evaluation.measure import Measures
from segforge.experiment.cross_validation import gather_folds, summarize_folds
from segforge.images.files import write_volume
from segforge.images.image import Geometry
from segforge.networks.model_folder import FINAL, ModelFolder

GRID = Geometry((4, 8, 8), (2.0, 1.0, 1.0))
DESCRIPTION = {"channel_names": {"0": "MRI"}, "labels": {"background": 0, "a": 1}, "numTraining": 6, "file_ending": ".nii.gz"}
FOLDS = {"0": ["case_0", "case_3"], "1": ["case_1", "case_2"], "2": ["case_4"]}


def label_map(shift: int) -> np.ndarray:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[1:3, shift : shift + 4, 2:6] = 1
    return labels


@pytest.fixture
def raw(tmp_path: Path) -> RawDataset:
    folder = tmp_path / "raw" / "Dataset900_X"
    for number in range(6):
        write_volume(folder / "imagesTr" / f"case_{number}_0000.nii.gz", label_map(0), GRID)
        write_volume(folder / "labelsTr" / f"case_{number}.nii.gz", label_map(0), GRID)
    (folder / "dataset.json").write_text(json.dumps(DESCRIPTION))
    return open_dataset(folder)


@pytest.fixture
def model(tmp_path: Path, raw: RawDataset) -> ModelFolder:
    """A model with three validated folds, as a training leaves them; the prediction of case N is N voxels off."""
    model = ModelFolder(tmp_path / "results" / "Dataset900_X" / "default__default__3d_fullres")
    for fold in FOLDS:
        validate(model, raw, fold)
    (model.path / "dataset.json").write_text(json.dumps(DESCRIPTION))
    return model


def validate(model: ModelFolder, raw: RawDataset, fold: str) -> None:
    folder = model.fold(fold)
    references = {case.id: case.label for case in raw.cases if case.id in FOLDS[fold]}
    for case in references:
        write_volume(folder.validation / f"{case}.nii.gz", label_map(int(case[-1])), GRID)
    (folder.path / FINAL).write_bytes(fold.encode())
    folder.cases_path.write_text(json.dumps({"train": [], "val": FOLDS[fold]}))
    pairs = [(references[case], folder.validation / f"{case}.nii.gz") for case in sorted(references)]
    sources = made_from(folder.path / FINAL, references)
    summary = evaluate_pairs(pairs, raw.description.label_scheme, inline, Resources(), sources)
    summary.write(folder.validation / "summary.json")


def dice(*cases: int) -> float:
    return float(np.mean([max(0, 4 - case) / 4 for case in cases]))


def test_the_held_out_cases_of_all_folds_are_one_summary(model: ModelFolder, raw: RawDataset) -> None:
    gathered = gather_folds(model, raw)
    assert gathered.folds == ("0", "1", "2")
    summary = summarize_folds(gathered, raw, inline, Resources())
    assert summary.dice == pytest.approx(dice(0, 1, 2, 3, 4))
    assert sorted(case.case for case in summary.metric_per_case) == [f"case_{number}" for number in range(5)]
    chosen = summarize_folds(gather_folds(model, raw, ["1", "2"]), raw, inline, Resources())
    assert chosen.dice == pytest.approx(dice(1, 2, 4))


def test_what_the_trainings_have_evaluated_is_not_computed_again(model: ModelFolder, raw: RawDataset) -> None:
    for path in model.path.glob("fold_*/validation/*.nii.gz"):
        path.write_bytes(b"")  # not even read
    gathered = gather_folds(model, raw)
    summary = summarize_folds(gathered, raw, inline, Resources())
    summary.write(gathered.path)
    assert summarize_folds(gathered, raw, inline, Resources()) == summary


def test_other_measures_are_taken_of_the_label_maps_and_once(model: ModelFolder, raw: RawDataset) -> None:
    gathered, measures = gather_folds(model, raw), Measures(tolerances=(1.0,))
    summary = summarize_folds(gathered, raw, inline, Resources(), measures)
    assert summary.metric_per_case[1].metrics["1"].scores["HD95 (voxels)"] == 1
    summary.write(gathered.path)
    for path in model.path.glob("fold_*/validation/*.nii.gz"):
        path.write_bytes(b"")
    assert summarize_folds(gathered, raw, inline, Resources(), measures).to_json() == summary.to_json()
    assert "HD95 (voxels)" not in summarize_folds(gathered, raw, inline, Resources()).mean["1"]


def test_a_case_that_two_folds_hold_out_is_named(model: ModelFolder, raw: RawDataset) -> None:
    model.fold("2").cases_path.write_text(json.dumps({"train": [], "val": ["case_4", "case_3"]}))
    with pytest.raises(SegForgeError, match=r"several folds hold out the same case: case_3 \(folds 0, 2\)"):
        gather_folds(model, raw)
    assert gather_folds(model, raw, ["0", "1"]).folds == ("0", "1")


@pytest.mark.parametrize("what", ["weights", "labels", "summary"])
def test_a_validation_that_is_out_of_date_is_refused_with_the_command(model: ModelFolder, raw: RawDataset, what: str) -> None:
    if what == "weights":
        (model.fold("1").path / FINAL).write_bytes(b"other")
    elif what == "labels":
        write_volume(raw.folder / "labelsTr" / "case_2.nii.gz", label_map(1), GRID)
    else:
        (model.fold("1").validation / "summary.json").unlink()
    command = "segforge train Dataset900_X 3d_fullres FOLD --validate-only, FOLD 1"
    with pytest.raises(SegForgeError, match=rf"no validation of fold 1 .*{command}"):
        gather_folds(model, raw)


def test_a_fold_that_is_not_trained_is_refused(model: ModelFolder, raw: RawDataset) -> None:
    with pytest.raises(SegForgeError, match="of fold 3"):
        gather_folds(model, raw, ["3"])


def test_a_moved_workspace_is_found_where_it_is_now(model: ModelFolder, raw: RawDataset, tmp_path: Path) -> None:
    (tmp_path / "moved").mkdir()
    for name in ("raw", "results"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    moved = ModelFolder(tmp_path / "moved" / model.path.relative_to(tmp_path))
    gathered = gather_folds(moved, open_dataset(tmp_path / "moved" / raw.folder.relative_to(tmp_path)))
    assert all(path.is_file() for pair in gathered.pairs for path in pair)


def test_labels_that_mean_something_else_are_refused(model: ModelFolder, raw: RawDataset) -> None:
    other = DESCRIPTION | {"labels": {"background": 0, "b": 1}}
    (model.path / "dataset.json").write_text(json.dumps(other))
    with pytest.raises(SegForgeError, match="other labels in dataset.json"):
        gather_folds(model, raw)


def test_fold_all_says_that_it_says_nothing(model: ModelFolder, raw: RawDataset, caplog: pytest.LogCaptureFixture) -> None:
    for fold in FOLDS:
        (model.fold(fold).path / FINAL).unlink()
    FOLDS["all"] = ["case_0", "case_5"]
    try:
        validate(model, raw, "all")
    finally:
        del FOLDS["all"]
    gather_folds(model, raw)
    assert "its scores say nothing about new ones" in caplog.text
