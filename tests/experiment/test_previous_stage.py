"""Maps for cascade training: each case by the fold that has not seen it, on the cascade's grid, made again when outdated."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from samples import plans_for
from scipy.ndimage import zoom

from segforge.dataset.description import DatasetDescription
from segforge.dataset.splits import Fold, Splits
from segforge.errors import SegForgeError
from segforge.experiment import held_out
from segforge.experiment.previous_stage import PreviousStage, find_previous_model
from segforge.networks.model_folder import FINAL, ModelFolder
from segforge.preprocessing.preprocessor import CaseProperties
from segforge.preprocessing.store import CaseStore

SPLITS = Splits((Fold(train=("c", "d"), val=("a", "b")), Fold(train=("a", "b"), val=("c", "d"))))
CASES = ["a", "b", "c", "d"]
LOW, HIGH = (4, 5, 6), (8, 9, 11)
CPU = torch.device("cpu")


class Store(CaseStore):
    def __init__(self, folder: Path, shape: tuple[int, int, int]) -> None:
        super().__init__(folder, "recipe")
        self.shape = shape
        folder.mkdir(parents=True)
        for case in CASES:
            self.record(case).write_text(case)

    def properties(self, case: str) -> CaseProperties:
        return CaseProperties.model_construct(new_shape=self.shape, spacing=(1.0, 1.0, 1.0))

    def open(self, case: str, *, verify: bool = True):
        return case


def logits_of(fold: str, case: str) -> np.ndarray:
    return np.random.default_rng((int(fold) if fold != "all" else 9, ord(case))).normal(size=(3, *LOW)).astype(np.float32)


@pytest.fixture
def predicted(monkeypatch) -> list[tuple[str, str]]:
    """Which fold predicted which case."""
    asked: list[tuple[str, str]] = []

    def predictor(model, folds, device, checkpoint):
        def logits(case: str) -> SimpleNamespace:
            asked.append((folds[0], case))
            return SimpleNamespace(values=torch.from_numpy(logits_of(folds[0], case)))

        return SimpleNamespace(logits=logits)

    monkeypatch.setattr(held_out, "LoadedModel", predictor)
    return asked


def model(results: Path, name: str = "default", *, folds=("0", "1"), regions: bool = False) -> ModelFolder:
    folder = ModelFolder(results / "Dataset900_Phantom" / f"{name}__test__3d_lowres")
    folder.path.mkdir(parents=True)
    plans = plans_for((2.0, 2.0, 2.0))
    plans.model_copy(update={"configurations": {"3d_lowres": plans.configurations["3d_fullres"]}}).write(
        folder.path / "plans.json"
    )
    labels = (
        {"background": 0, "whole": (1, 2, 3), "core": (2, 3), "deep": (3,)} if regions else {"background": 0, "x": 1, "y": 2}
    )
    DatasetDescription(
        channel_names={"0": "MRI"}, labels=labels, num_training=4, file_ending=".nii.gz",
        regions_class_order=(1, 2, 3) if regions else None,
    ).write(folder.path / "dataset.json")  # fmt: skip
    for fold in folds:
        part = folder.fold(fold)
        part.path.mkdir()
        (part.path / FINAL).write_bytes(b"weights" + fold.encode())
        cases = SPLITS.root[int(fold)] if fold != "all" else Fold(train=tuple(CASES), val=tuple(CASES))
        part.cases_path.write_text(json.dumps(cases.model_dump(mode="json")))
    return folder


def stage(tmp_path: Path, low: ModelFolder) -> PreviousStage:
    return PreviousStage(low, Store(tmp_path / "low", LOW), "3d_cascade_fullres")


def resampled(logits: np.ndarray) -> np.ndarray:
    factors = np.array(HIGH) / LOW
    half = logits.astype(np.float16).astype(np.float64)
    return np.stack([zoom(head, factors, order=1, mode="nearest", grid_mode=True) for head in half])


def test_each_case_is_mapped_by_the_fold_that_has_not_seen_it(tmp_path: Path, predicted) -> None:
    low = stage(tmp_path, model(tmp_path / "results"))
    low.provide(CASES, Store(tmp_path / "high", HIGH), SPLITS, CPU)
    assert predicted == [("0", "a"), ("0", "b"), ("1", "c"), ("1", "d")]
    assert low.folder == low.model.path / "predicted_next_stage" / "3d_cascade_fullres"
    for fold, case in predicted:
        found = np.load(low.folder / f"{case}.npy")
        assert found.shape == (1, *HIGH) and found.dtype == np.int8
        np.testing.assert_array_equal(found[0], resampled(logits_of(fold, case)).argmax(0))


def test_regions_become_classes_in_their_order(tmp_path: Path, predicted) -> None:
    low = stage(tmp_path, model(tmp_path / "results", regions=True))
    low.provide(["a"], Store(tmp_path / "high", HIGH), SPLITS, CPU)
    heads = resampled(logits_of("0", "a")) > 0
    expected = np.where(heads[2], 3, np.where(heads[1], 2, np.where(heads[0], 1, 0)))
    np.testing.assert_array_equal(np.load(low.folder / "a.npy")[0], expected)


def test_anisotropy_is_that_of_the_low_resolution_alone(tmp_path: Path, predicted) -> None:
    folder = model(tmp_path / "results")
    plans = plans_for((7.0, 2.0, 2.0))
    plans.model_copy(update={"configurations": {"3d_lowres": plans.configurations["3d_fullres"]}}).write(
        folder.path / "plans.json"
    )
    low = stage(tmp_path, folder)
    low.provide(["a"], Store(tmp_path / "high", HIGH), SPLITS, CPU)
    found = np.load(low.folder / "a.npy")[0]
    np.testing.assert_array_equal(found[0::2], found[1::2])  # 4 slices -> 8: each is taken twice


def test_what_is_current_is_not_made_again_and_what_is_not_is(tmp_path: Path, predicted) -> None:
    low, high = stage(tmp_path, model(tmp_path / "results")), Store(tmp_path / "high", HIGH)
    low.provide(CASES, high, SPLITS, CPU)
    before = {path.name: path.stat().st_mtime_ns for path in low.folder.iterdir()}
    low.provide(CASES, high, SPLITS, CPU)
    assert before == {path.name: path.stat().st_mtime_ns for path in low.folder.iterdir()}
    predicted.clear()
    (low.model.fold("1").path / FINAL).write_bytes(b"others")
    (low.folder / "a.npy").write_bytes((low.folder / "a.npy").read_bytes()[:-1])
    low.provide(CASES, high, SPLITS, CPU)
    assert predicted == [("1", "c"), ("1", "d")]  # the logits of case a were kept
    changed = {name for name, time in before.items() if (low.folder / name).stat().st_mtime_ns != time}
    assert changed == {f"{case}.{ending}" for case in "acd" for ending in ("json", "npy")}
    high.shape = (8, 9, 12)
    low.provide(CASES, high, SPLITS, CPU)
    assert np.load(low.folder / "b.npy").shape == (1, 8, 9, 12)


def test_missing_folds_are_named_with_their_commands(tmp_path: Path, predicted) -> None:
    low = stage(tmp_path, model(tmp_path / "results", "own", folds=("0",)))
    command = "segforge train Dataset900_Phantom 3d_lowres 1 -p test --name own"
    with pytest.raises(SegForgeError, match=f"2 are in the validation of no trained fold. Train what is missing: {command}$"):
        low.provide(CASES, Store(tmp_path / "high", HIGH), SPLITS, CPU)
    assert not low.folder.exists()


def test_cases_that_no_fold_holds_out_need_fold_all(tmp_path: Path, predicted, caplog) -> None:
    splits = Splits(SPLITS.root[:1])
    low, high = stage(tmp_path, model(tmp_path / "results", folds=("0",))), Store(tmp_path / "high", HIGH)
    with pytest.raises(SegForgeError, match="3d_lowres all -p test$"):
        low.provide(CASES, high, splits, CPU)
    both = PreviousStage(model(tmp_path / "more", folds=("0", "all")), low.store, "3d_cascade_fullres")
    both.provide(CASES, high, splits, CPU)
    assert predicted == [("0", "a"), ("0", "b"), ("all", "c"), ("all", "d")]
    assert "2 cases have been trained on by the fold that predicts them" in caplog.text


def test_the_model_of_the_same_name_comes_before_default(tmp_path: Path) -> None:
    results = tmp_path / "Dataset900_Phantom"
    with pytest.raises(
        SegForgeError, match=r"not trained yet.*segforge train Dataset900_Phantom 3d_lowres 0 -p test, and so on"
    ):
        find_previous_model(results, "3d_lowres", name="own", plans="test")
    default = model(tmp_path)
    assert find_previous_model(results, "3d_lowres", name="own", plans="test").path == default.path
    own = model(tmp_path, "own", folds=("1",))
    assert find_previous_model(results, "3d_lowres", name="own", plans="test").path == own.path
