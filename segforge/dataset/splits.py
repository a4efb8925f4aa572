"""Cross-validation folds: made by the method, kept in `splits_final.json`, or brought by the user."""

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, RootModel

from segforge.compute.documents import read_json, to_json
from segforge.compute.files import write_text
from segforge.errors import SegForgeError

log = logging.getLogger(__name__)

FILE_NAME = "splits_final.json"
FOLDS = 5
SEED = 12345
"""Of every random division, nnU-Net's."""


class Fold(BaseModel):
    """The cases that a fold trains on, and those that it is validated on."""

    model_config = ConfigDict(frozen=True)

    train: tuple[str, ...]
    val: tuple[str, ...]


class Splits(RootModel[tuple[Fold, ...]]):
    """All folds of a data set, in nnU-Net's layout."""

    model_config = ConfigDict(frozen=True)

    def __iter__(self) -> Iterator[Fold]:  # type: ignore[override]
        return iter(self.root)

    def __len__(self) -> int:
        return len(self.root)


def make_splits(cases: Sequence[str], folds: int = FOLDS) -> Splits:
    """Random folds, equal to scikit-learn's `KFold(folds, shuffle=True, random_state=12345)` over the sorted cases.

    Raises:
        SegForgeError: If there are fewer than two cases.
    """
    if len(cases) < 2:
        raise SegForgeError(f"{len(cases)} case cannot be divided into training and validation. Train the fold all.")
    folds = possible_folds(folds, len(cases), "cases")
    names = sorted(cases)
    shuffled = np.arange(len(names))
    np.random.RandomState(SEED).shuffle(shuffled)
    held_out = [set(part.tolist()) for part in np.array_split(shuffled, folds)]
    return Splits(tuple(fold_without(names, part) for part in held_out))


def possible_folds(wanted: int, available: int, what: str) -> int:
    """As many folds as wanted, or, said in a line, as many as there are cases or groups.

    Args:
        wanted: Folds asked for.
        available: Cases or groups, each of which lies in one fold.
        what: `cases` or `groups`.

    Raises:
        SegForgeError: If fewer than two folds are wanted.
    """
    if wanted < 2:
        raise SegForgeError(
            f"Cross-validation needs at least 2 folds, not {wanted}. To train on every case, train the fold all."
        )
    if available < wanted:
        log.warning("Only %d %s: %d folds instead of %d.", available, what, available, wanted)
    return min(wanted, available)


def fold_without(names: Sequence[str], held_out: Collection[int]) -> Fold:
    """The fold that is validated on the names at the places `held_out` and trains on the others."""
    return Fold(
        train=tuple(name for index, name in enumerate(names) if index not in held_out),
        val=tuple(name for index, name in enumerate(names) if index in held_out),
    )


def provide_splits(raw: Path, preprocessed: Path, cases: Sequence[str], elsewhere: Path | None = None) -> None:
    """See to it that a data set has folds: those that came with it, else those that are there, else nnU-Net's, else new ones.

    Args:
        raw: The raw data set's folder, which may hold a `splits_final.json`.
        preprocessed: The folder that shall have one.
        cases: The training cases.
        elsewhere: The folder in which nnU-Net may have one of the data set.

    Raises:
        SegForgeError: If a file is wrong, or the two differ.
    """
    brought, kept = raw / FILE_NAME, preprocessed / FILE_NAME
    if brought.is_file():
        splits = read_splits(brought, cases)
        if kept.is_file() and read_splits(kept, cases) != splits:
            raise SegForgeError(
                f"{brought} and {kept} differ. Remove the one that is wrong; trained folds belong to the second."
            )
        _take_over(splits, brought, kept, cases)
    elif kept.is_file():
        new = set(cases) - _cases_of(read_splits(kept, cases))
        if new:
            log.warning(
                "%s does not know %d new cases; they are in no fold. Remove it to have other folds made.", kept, len(new)
            )
    elif elsewhere and (elsewhere / FILE_NAME).is_file():
        theirs = elsewhere / FILE_NAME
        _take_over(read_splits(theirs, cases), theirs, kept, cases)
        log.info("The folds are those of nnU-Net, %s.", theirs)
    elif len(cases) > 1:
        write_splits(kept, make_splits(cases))


def _take_over(splits: Splits, source: Path, target: Path, cases: Sequence[str]) -> None:
    """Write folds from elsewhere, and say how many cases they leave out."""
    if left := set(cases) - _cases_of(splits):
        log.warning("%s leaves out %d of %d cases; they are in no fold.", source, len(left), len(cases))
    write_splits(target, splits)


def read_splits(path: Path, cases: Sequence[str]) -> Splits:
    """Read a file of folds and check it against the cases of the data set.

    Raises:
        SegForgeError: If a case is unknown, doubled, or on both sides of a fold.
    """
    try:
        splits = Splits.model_validate(read_json(path))
    except ValueError as error:
        form = '{"train": [...], "val": [...]}'
        raise SegForgeError(f"{path} must be a list of {form} with case names. Correct it, or remove it.") from error
    if not len(splits):
        raise SegForgeError(f"{path} has no folds. Remove it to have folds made.")
    for number, fold in enumerate(splits):
        if fault := _fault(fold, cases):
            raise SegForgeError(f"{path}: fold {number} has {fault}. Correct the file, or remove it to have folds made.")
    return splits


def write_splits(path: Path, splits: Splits) -> None:
    """Write the folds whole, in nnU-Net's layout."""
    write_text(path, to_json(splits.model_dump(mode="json")), durable=True)


def cases_of_fold(path: Path, fold: str, cases: Sequence[str]) -> Fold:
    """The cases of a fold by the file of folds, which `all` does not need.

    Raises:
        SegForgeError: If the file is missing or wrong.
    """
    return fold_cases(Splits(()) if fold == "all" else read_splits(path, cases), fold, cases)


def fold_cases(splits: Splits, fold: int | str, cases: Sequence[str]) -> Fold:
    """The cases of a fold: its number, or `all` for training and validation on everything.

    A number beyond the last fold gives a random 80:20 split of its own.
    """
    if fold == "all":
        return Fold(train=tuple(sorted(cases)), val=tuple(sorted(cases)))
    number = int(fold)
    if number < len(splits):
        return splits.root[number]
    names = sorted(cases)
    chosen = np.random.RandomState(SEED + number).choice(len(names), int(len(names) * 0.8), replace=False)
    return fold_without(names, set(range(len(names))) - set(chosen.tolist()))


def _fault(fold: Fold, cases: Sequence[str]) -> str | None:
    """What is wrong with a fold."""
    if shared := sorted({*fold.train} & {*fold.val}):
        return f"{shared[0]} on both sides"
    if doubled := [case for case, count in Counter((*fold.train, *fold.val)).items() if count > 1]:
        return f"{doubled[0]} twice"
    if unknown := sorted({*fold.train, *fold.val} - set(cases)):
        return f"the unknown case {unknown[0]}"
    if not fold.train or not fold.val:
        return "no validation case" if fold.train else "no training case"
    return None


def _cases_of(splits: Splits) -> set[str]:
    return {case for fold in splits for case in (*fold.train, *fold.val)}
