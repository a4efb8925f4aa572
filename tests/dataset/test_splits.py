import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import KFold

from segforge.dataset.splits import FILE_NAME, fold_cases, make_splits, provide_splits, read_splits, write_splits
from segforge.errors import SegForgeError

CASES = [f"case_{index:03d}" for index in range(23)]


def test_folds_equal_those_of_scikit_learn() -> None:
    for fold, (train, val) in zip(make_splits(CASES), KFold(5, shuffle=True, random_state=12345).split(CASES), strict=True):
        assert list(fold.train) == [CASES[index] for index in train]
        assert list(fold.val) == [CASES[index] for index in val]


def test_few_cases_give_fewer_folds() -> None:
    assert len(make_splits(CASES[:3])) == 3
    with pytest.raises(SegForgeError, match="fold all"):
        make_splits(CASES[:1])


def test_a_fold_beyond_the_last_is_a_random_80_20_split() -> None:
    splits = make_splits(CASES)
    fold = fold_cases(splits, "7", CASES)
    chosen = np.random.RandomState(12345 + 7).choice(23, int(0.8 * 23), replace=False)
    assert set(fold.train) == {CASES[index] for index in chosen}
    assert set(fold.train) | set(fold.val) == set(CASES)
    assert not set(fold.train) & set(fold.val)


def test_fold_all_trains_and_validates_on_everything() -> None:
    fold = fold_cases(make_splits(CASES), "all", CASES)
    assert fold.train == fold.val == tuple(CASES)


def test_splits_survive_the_round_trip_in_nnunets_layout(tmp_path: Path) -> None:
    write_splits(tmp_path / "s.json", make_splits(CASES))
    assert [set(fold) for fold in json.loads((tmp_path / "s.json").read_text())] == [{"train", "val"}] * 5
    assert read_splits(tmp_path / "s.json", CASES) == make_splits(CASES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{"train": ["case_000", "nobody"], "val": []}], "fold 0 has the unknown case nobody"),
        ([{"train": ["case_000"], "val": ["case_000"]}], "fold 0 has case_000 on both sides"),
        ([{"train": ["case_000", "case_000"], "val": ["case_001"]}], "fold 0 has case_000 twice"),
        ([{"train": [], "val": ["case_000"]}], "no training case"),
        ([], "no folds"),
        ({"train": []}, "must be a list"),
        ([{"training": ["case_000"], "val": []}], "must be a list"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content, message: str) -> None:
    (tmp_path / "s.json").write_text(json.dumps(content))
    with pytest.raises(SegForgeError, match=message):
        read_splits(tmp_path / "s.json", CASES)


def test_folds_that_come_with_the_data_are_used_and_must_not_change(tmp_path: Path, caplog) -> None:
    raw, preprocessed = tmp_path / "raw", tmp_path / "preprocessed"
    raw.mkdir()
    (raw / FILE_NAME).write_text(json.dumps([{"train": CASES[:20], "val": CASES[20:]}]))
    provide_splits(raw, preprocessed, CASES)
    assert len(read_splits(preprocessed / FILE_NAME, CASES)) == 1
    assert not caplog.text
    (raw / FILE_NAME).write_text(json.dumps([{"train": CASES[:19], "val": CASES[19:]}]))
    with pytest.raises(SegForgeError, match="differ"):
        provide_splits(raw, preprocessed, CASES)


def test_cases_that_are_in_no_fold_of_the_data_are_counted(tmp_path: Path, caplog) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / FILE_NAME).write_text(json.dumps([{"train": CASES[:10], "val": CASES[10:20]}]))
    provide_splits(raw, tmp_path / "preprocessed", CASES)
    assert "splits_final.json leaves out 3 of 23 cases; they are in no fold." in caplog.text


def test_nnunets_folds_are_taken_where_there_are_no_others(tmp_path: Path, caplog) -> None:
    raw, preprocessed, theirs = tmp_path / "raw", tmp_path / "preprocessed", tmp_path / "theirs"
    theirs.mkdir()
    provide_splits(raw, preprocessed / "a", CASES, theirs)
    assert read_splits(preprocessed / "a" / FILE_NAME, CASES) == make_splits(CASES)
    (theirs / FILE_NAME).write_text(json.dumps([{"train": CASES[:20], "val": CASES[20:]}]))
    with caplog.at_level("INFO", "segforge"):
        provide_splits(raw, preprocessed / "b", CASES, theirs)
    assert read_splits(preprocessed / "b" / FILE_NAME, CASES).root[0].val == tuple(CASES[20:])
    assert f"The folds are those of nnU-Net, {theirs / FILE_NAME}." in caplog.text
    provide_splits(raw, preprocessed / "a", CASES, theirs)  # ours are there already
    assert read_splits(preprocessed / "a" / FILE_NAME, CASES) == make_splits(CASES)


def test_nnunets_folds_of_other_cases_are_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps([{"train": CASES[:20], "val": ["nobody"]}]))
    with pytest.raises(SegForgeError, match="fold 0 has the unknown case nobody"):
        provide_splits(tmp_path / "raw", tmp_path / "preprocessed", CASES, tmp_path)
    assert not (tmp_path / "preprocessed").exists()
