"""Logits of held-out cases: kept while they fit, known by what they were made from, and made again when that has changed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from segforge.experiment.kept_logits import KeptLogits, kept_bytes, kept_folders
from segforge.networks.model_folder import FINAL, FoldFolder
from segforge.preprocessing.preprocessor import CaseProperties
from segforge.preprocessing.store import CaseStore

SHAPE = (4, 5, 6)
BYTES = 2 * 3 * 4 * 5 * 6 * 2  # two cases, three heads, half precision


class Store(CaseStore):
    """Cases of which only the record and the shape are known."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "recipe")
        folder.mkdir(parents=True)
        for case in ("a", "b"):
            self.record(case).write_text(case)

    def properties(self, case: str) -> CaseProperties:
        return CaseProperties.model_construct(new_shape=SHAPE)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "preprocessed")


@pytest.fixture
def fold(tmp_path: Path) -> FoldFolder:
    folder = FoldFolder(tmp_path / "results" / "default__default__2d" / "fold_0", "0")
    folder.path.mkdir(parents=True)
    (folder.path / FINAL).write_bytes(b"weights")
    folder.cases_path.write_text(json.dumps({"train": [], "val": ["a", "b"]}))
    return folder


class Model:
    """Predicts the number of the call; remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, case: str) -> np.ndarray:
        self.asked.append(case)
        return np.full((3, *SHAPE), len(self.asked), np.float32)


def test_what_is_there_is_mapped_and_not_made_again(store: Store, fold: FoldFolder) -> None:
    model = Model()
    first = KeptLogits(fold, store, 3, model).open("a")
    assert not KeptLogits(fold, store, 3, model).has("b")
    again = KeptLogits(fold, store, 3, model).open("a")
    assert model.asked == ["a"]
    assert isinstance(again, np.memmap) and again.dtype == np.float16 and again.shape == (3, *SHAPE)
    np.testing.assert_array_equal(first, again)
    assert (again == 1).all()


def other_weights(store: Store, fold: FoldFolder) -> None:
    (fold.path / FINAL).write_bytes(b"others")


def other_case(store: Store, fold: FoldFolder) -> None:
    store.record("a").write_text("changed")


def truncated(store: Store, fold: FoldFolder) -> None:
    path = fold.validation / "logits" / "a.npy"
    path.write_bytes(path.read_bytes()[:-1])


def no_record(store: Store, fold: FoldFolder) -> None:
    (fold.validation / "logits" / "a.json").unlink()


def damaged_record(store: Store, fold: FoldFolder) -> None:
    (fold.validation / "logits" / "a.json").write_text("{")


def no_array(store: Store, fold: FoldFolder) -> None:
    (fold.validation / "logits" / "a.npy").unlink()


@pytest.mark.parametrize("change", [other_weights, other_case, truncated, no_record, damaged_record, no_array])
def test_what_is_outdated_or_damaged_is_made_again_and_the_other_case_is_not(store: Store, fold: FoldFolder, change) -> None:
    model = Model()
    kept = KeptLogits(fold, store, 3, model)
    kept.open("a"), kept.open("b")
    change(store, fold)
    now = KeptLogits(fold, store, 3, model)
    assert not now.has("a")
    assert now.has("b") == (change is not other_weights)
    assert (now.open("a") == 3).all()
    assert model.asked == ["a", "b", "a"]
    assert KeptLogits(fold, store, 3, model).has("a")


def test_the_limit_is_for_all_models_of_the_data_set(store: Store, fold: FoldFolder, tmp_path: Path, caplog) -> None:
    other = fold.path.parents[1] / "own__default__3d_fullres" / "fold_2.old-1" / "validation" / "logits"
    other.mkdir(parents=True)
    np.save(other / "c.npy", np.zeros(100, np.float16))
    taken = kept_bytes(tmp_path / "results")
    assert taken == (other / "c.npy").stat().st_size and kept_folders(tmp_path / "results") == [other]
    assert KeptLogits(fold, store, 3, Model(), limit=BYTES + taken).is_keeping
    with caplog.at_level("INFO"):
        kept = KeptLogits(fold, store, 3, Model(), limit=BYTES + taken - 1)
    assert not kept.is_keeping
    assert "logits of fold 0 are not kept" in caplog.text
    opened = kept.open("a")
    assert opened.dtype == np.float16 and not isinstance(opened, np.memmap)
    assert kept_folders(tmp_path / "results") == [other]


def test_its_own_files_do_not_count_against_a_fold(store: Store, fold: FoldFolder) -> None:
    KeptLogits(fold, store, 3, Model()).open("a")
    assert KeptLogits(fold, store, 3, Model(), limit=BYTES).is_keeping


def test_an_outdated_file_goes_where_there_is_no_room_for_a_new_one(store: Store, fold: FoldFolder) -> None:
    KeptLogits(fold, store, 3, Model()).open("a")
    other_weights(store, fold)
    KeptLogits(fold, store, 3, Model(), limit=0).open("a")
    assert kept_bytes(fold.path.parents[1]) == 0


def test_half_precision_holds_large_logits_and_tensors_are_taken_too(store: Store, fold: FoldFolder) -> None:
    logits = torch.zeros(3, *SHAPE)
    logits[0], logits[1], logits[2] = 1e6, -1e6, 0.25
    opened = KeptLogits(fold, store, 3, lambda case: logits).open("a")
    assert np.isfinite(opened).all()
    assert (opened[0, 0, 0, 0], opened[1, 0, 0, 0], opened[2, 0, 0, 0]) == (65504, -65504, 0.25)
