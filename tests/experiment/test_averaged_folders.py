"""Folders of probabilities averaged: by hand, ours and nnU-Net's, labels and regions, and what cannot be averaged."""

import json
from pathlib import Path

import numpy as np
import pytest

from segforge import ensemble
from segforge.errors import CasesFailed, SegForgeError
from segforge.experiment import averaged_folders
from segforge.images.files import read_labels, write_volume
from segforge.images.image import Geometry
from segforge.inference.finished_cases import PredictionRecord
from segforge.inference.probabilities import ProbabilityFacts, write_probabilities

GRID = Geometry((3, 5, 4), (2.0, 1.0, 0.5), (7.0, -3.0, 1.0))
DESCRIPTION = {
    "channel_names": {"0": "MRI"},
    "labels": {"background": 0, "a": 1, "b": 300},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}
REGIONS = DESCRIPTION | {"labels": {"background": 0, "whole": [1, 2], "core": [2]}, "regions_class_order": [1, 2]}
HEADS = ("background", "a", "b")


def drawn(seed: int, heads: int = 3) -> np.ndarray:
    values = np.random.default_rng(seed).random((heads, *GRID.shape), np.float32)
    return values / values.sum(0) if heads == 3 else values


def write(folder: Path, case: str, probabilities: np.ndarray, heads: tuple[str, ...] = HEADS, grid: Geometry = GRID) -> None:
    """As our own predictions are."""
    facts = ProbabilityFacts(heads=heads, dtype="float32", geometry=grid)
    write_probabilities(folder / f"{case}.npz", iter(probabilities), facts)


def write_nnunet(folder: Path, case: str, probabilities: np.ndarray) -> None:
    """As nnU-Net's predictions are: the label map says where they lie."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / f"{case}.npz", probabilities=probabilities.astype(np.float16))
    (folder / f"{case}.pkl").write_bytes(b"never read")
    write_volume(folder / f"{case}.nii.gz", probabilities.argmax(0).astype(np.uint8), GRID)
    (folder / "dataset.json").write_text(json.dumps(DESCRIPTION))


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    for place, name in enumerate("AB"):
        for number in range(3):
            write(tmp_path / name, f"case_{number}", drawn(10 * place + number))
        (tmp_path / name / "dataset.json").write_text(json.dumps(DESCRIPTION))
    return [tmp_path / "A", tmp_path / "B"]


def test_the_label_map_is_that_of_the_mean(folders: list[Path], tmp_path: Path) -> None:
    write(tmp_path / "C", "case_0", drawn(50))
    write(tmp_path / "C", "case_1", drawn(51))
    write(tmp_path / "C", "case_2", drawn(52))
    assert ensemble([*folders, tmp_path / "C"], tmp_path / "out", probabilities="float32", workers=0) == 3
    for number in range(3):
        mean = (drawn(number) + drawn(10 + number) + drawn(50 + number)) / 3
        image = read_labels(tmp_path / "out" / f"case_{number}.nii.gz")
        np.testing.assert_array_equal(image.array[0], np.array([0, 1, 300])[mean.argmax(0)])
        assert (image.geometry.spacing, image.geometry.origin) == (GRID.spacing, GRID.origin)
        with np.load(tmp_path / "out" / f"case_{number}.npz") as file:
            np.testing.assert_allclose(file["probabilities"], mean, atol=1e-7)
    assert not np.array_equal(mean.argmax(0), drawn(2).argmax(0))  # the members disagree


def test_regions_are_there_above_one_half_in_their_order(tmp_path: Path) -> None:
    heads = ("whole", "core")
    for place, name in enumerate("AB"):
        write(tmp_path / name, "x", drawn(place, heads=2), heads)
    (tmp_path / "A" / "dataset.json").write_text(json.dumps(REGIONS))
    ensemble([tmp_path / "A", tmp_path / "B"], tmp_path / "out", workers=0)
    whole, core = (drawn(0, heads=2) + drawn(1, heads=2)) / 2 > 0.5
    np.testing.assert_array_equal(read_labels(tmp_path / "out" / "x.nii.gz").array[0], np.where(core, 2, np.where(whole, 1, 0)))


def test_nnunets_folders_are_averaged_with_ours(tmp_path: Path) -> None:
    write_nnunet(tmp_path / "A", "x", drawn(1))
    write(tmp_path / "B", "x", drawn(2))
    ensemble([tmp_path / "A", tmp_path / "B"], tmp_path / "out", workers=0)
    mean = drawn(1).astype(np.float16).astype(np.float32) + drawn(2)
    image = read_labels(tmp_path / "out" / "x.nii.gz")
    np.testing.assert_array_equal(image.array[0], np.array([0, 1, 300])[mean.argmax(0)])
    assert image.geometry.spacing == GRID.spacing


def test_it_goes_on_where_it_stopped(folders: list[Path], tmp_path: Path, monkeypatch) -> None:
    average, calls = averaged_folders._average, []

    def interrupted(*arguments) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        average(*arguments)

    monkeypatch.setattr(averaged_folders, "_average", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensemble(folders, tmp_path / "out", workers=0)
    assert ensemble(folders, tmp_path / "out", workers=0) == 1
    assert ensemble(folders, tmp_path / "out", workers=0) == 0
    write(folders[1], "case_1", drawn(99))
    assert ensemble(folders, tmp_path / "out", workers=0) == 1
    assert ensemble(folders, tmp_path / "out", probabilities="float16", workers=0) == 3
    assert ensemble(folders, tmp_path / "out", probabilities="float32", workers=0) == 3
    with pytest.raises(SegForgeError, match="another model or other settings"):
        ensemble(folders[::-1], tmp_path / "out", description=described(tmp_path, REGIONS), workers=0)


def described(folder: Path, content: dict) -> Path:
    path = folder / "described" / "dataset.json"
    path.parent.mkdir()
    path.write_text(json.dumps(content))
    return path


def test_cases_that_cannot_be_averaged_are_named_and_the_others_are_done(folders: list[Path], tmp_path: Path) -> None:
    (folders[1] / "case_0.npz").unlink()
    write(folders[1], "case_1", drawn(3)[:, :, :, :3], grid=Geometry((3, 5, 3), GRID.spacing, GRID.origin))
    with pytest.raises(CasesFailed) as raised:
        ensemble(folders, tmp_path / "out", workers=0)
    message = str(raised.value)
    assert "2 of 3 cases failed" in message
    assert f"case_0: {folders[1] / 'case_0.npz'} is missing" in message
    assert "case_1: " in message and "not on one grid: shape" in message
    assert [path.name for path in (tmp_path / "out").glob("*.nii.gz")] == ["case_2.nii.gz"]
    assert set(PredictionRecord.read(tmp_path / "out" / "prediction.json").failures) == {"case_0", "case_1"}


@pytest.mark.parametrize(
    ("heads", "names", "reason"),
    [
        (drawn(3)[:2], None, "must have 3 heads"),
        (np.concatenate([drawn(3), drawn(3)[:1]]), None, "must have 3 heads"),
        (drawn(3), ("background", "b", "a"), "has the heads background, b, a, the data set background, a, b"),
    ],
)
def test_heads_that_mean_something_else_are_refused(tmp_path: Path, heads, names, reason: str) -> None:
    write_nnunet(tmp_path / "A", "x", drawn(1))
    write_nnunet(tmp_path / "B", "x", heads)
    if names:
        write(tmp_path / "B", "x", heads, names)
    for order in (("A", "B"), ("B", "A")):
        with pytest.raises(CasesFailed, match=reason):
            ensemble([tmp_path / name for name in order], tmp_path / "".join(order), workers=0)


def test_the_labels_come_from_where_they_are_named_or_from_the_model(folders: list[Path], tmp_path: Path) -> None:
    for folder in folders:
        (folder / "dataset.json").unlink()
    with pytest.raises(SegForgeError, match="says what the labels mean"):
        ensemble(folders, tmp_path / "out", workers=0)
    path = described(tmp_path, DESCRIPTION)
    assert ensemble(folders, tmp_path / "out1", description=path, workers=0) == 3
    assert ensemble(folders, tmp_path / "out2", model=path.parent, workers=0) == 3
    PredictionRecord(model=f"{path.parent} and other", made_from={}).write(folders[1] / "prediction.json")
    assert ensemble(folders, tmp_path / "out3", workers=0) == 3
    (folders[0] / "dataset.json").write_text(json.dumps(REGIONS))
    with pytest.raises(SegForgeError, match="have different labels"):
        ensemble(folders, tmp_path / "out4", workers=0)


@pytest.mark.parametrize(
    ("given", "output", "reason"),
    [
        (["A"], "out", "needs two folders"),
        (["A", "B", "A"], "out", "named twice"),
        (["A", "B"], "B", "Choose another folder"),
        (["A", "missing"], "out", "missing is missing"),
        (["A", "empty"], "out", r"no probabilities \(CASE.npz\)\. Predict again with --save-probabilities"),
    ],
)
def test_folders_that_make_no_ensemble_are_refused(folders, tmp_path: Path, given, output: str, reason: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SegForgeError, match=reason):
        ensemble([tmp_path / name for name in given], tmp_path / output, workers=0)
