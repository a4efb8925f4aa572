"""Cases that belong together (a patient, a site), and folds that keep each group on one side."""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segforge.dataset.splits import SEED, Splits, fold_without, possible_folds
from segforge.dataset.tables import read_table
from segforge.errors import SegForgeError

log = logging.getLogger(__name__)

_TABLES = (".csv", ".tsv")
_COLUMNS = ("case", "group")
_SHOWN = 10


@dataclass(frozen=True)
class Leak:
    """A group with cases on both sides of a fold."""

    fold: int
    group: str
    train: tuple[str, ...]
    val: tuple[str, ...]


@dataclass(frozen=True)
class Division:
    """Folds, and what they were made by.

    Attributes:
        splits: The folds.
        groups: The group of each case, if there are groups.
        labels: The cases that hold each label, by its name, if they were asked for.
    """

    splits: Splits
    groups: Mapping[str, str] | None = None
    labels: Mapping[str, frozenset[str]] | None = None

    @property
    def leaks(self) -> list[Leak]:
        """The groups that a fold has on both sides."""
        return find_leaks(self.splits, self.groups or {})


def read_groups(source: str, cases: Sequence[str]) -> dict[str, str]:
    """The group of each case.

    Args:
        source: A regular expression for the name of a case, or the path of a table `.csv` or `.tsv`.
        cases: The cases of the data set.

    Raises:
        SegForgeError: If a case has no group or two, or the table has cases that the data set has not; names them.
    """
    if source.lower().endswith(_TABLES):
        return groups_from_table(Path(source), cases)
    return groups_by_pattern(source, cases)


def groups_by_pattern(pattern: str, cases: Sequence[str]) -> dict[str, str]:
    """Groups by a regular expression: what its first parentheses matched in the case's name, or without any the whole match.

    Raises:
        SegForgeError: If it is no regular expression, or matches nothing in a case's name; names up to ten cases.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise SegForgeError(f"--group-by {pattern} is neither a .csv file nor a regular expression: {error}.") from error
    matches = {case: expression.search(case) for case in sorted(cases)}
    groups = {case: match[min(1, expression.groups)] for case, match in matches.items() if match}
    if without := [case for case in matches if not groups.get(case)]:
        raise SegForgeError(f"--group-by {pattern} finds no group in {_listed(without)}. It must match the name of every case.")
    return groups


def groups_from_table(path: Path, cases: Sequence[str]) -> dict[str, str]:
    """Groups by a table with the columns `case` and `group`, separated by commas, semicolons or tabs.

    Raises:
        SegForgeError: If it is no such table, or its cases are not exactly those of the data set; names up to ten of them.
    """
    rows = _rows(path)
    names = [case for case, _ in rows]
    _refuse(path, "has a row without a group for", [case for case, group in rows if not group])
    _refuse(path, "has more than one row for", [case for case, count in Counter(names).items() if count > 1])
    _refuse(path, "has no row for", sorted(set(cases) - set(names)))
    _refuse(path, "names what is no case of the data set:", sorted(set(names) - set(cases)))
    return dict(rows)


def make_grouped_splits(
    cases: Sequence[str],
    folds: int,
    *,
    groups: Mapping[str, str] | None = None,
    strata: Mapping[str, int] | None = None,
) -> Splits:
    """Random folds that keep each group on one side and, given strata, spread each stratum over the folds.

    Equal to scikit-learn's `GroupKFold` or, with strata, `StratifiedGroupKFold`, shuffled with the seed 12345, over the
    sorted cases.

    Args:
        cases: The training cases.
        folds: Folds wanted; there are fewer if there are fewer groups.
        groups: The group of each case; None makes each case a group of its own.
        strata: The stratum of each case.

    Raises:
        SegForgeError: If there are fewer than two groups.
    """
    names = sorted(cases)
    belongs = [groups[name] if groups else name for name in names]
    if len(set(belongs)) < 2:
        found = f"All {len(names)} cases are in the group {belongs[0]}" if groups else f"{len(names)} case"
        raise SegForgeError(f"{found}, which cannot be divided into training and validation. Train the fold all.")
    folds = possible_folds(folds, len(set(belongs)), "groups" if groups else "cases")
    held_out = _stratified(belongs, [strata[name] for name in names], folds) if strata else _grouped(belongs, folds)
    return Splits(tuple(fold_without(names, part) for part in held_out))


def find_leaks(splits: Splits, groups: Mapping[str, str]) -> list[Leak]:
    """The groups that a fold has on both sides; a case without a group cannot leak."""
    leaks = []
    for number, fold in enumerate(splits):
        train, val = _members(fold.train, groups), _members(fold.val, groups)
        both = sorted(train.keys() & val.keys())
        leaks += [Leak(number, group, tuple(train[group]), tuple(val[group])) for group in both]
    return leaks


def _rows(path: Path) -> list[tuple[str, str]]:
    """Case and group of each row."""
    titles, rows = read_table(path, "--group-by")
    if missing := [column for column in _COLUMNS if column not in titles]:
        raise SegForgeError(f"{path} has no column {' and no column '.join(missing)}; its first line must be: case,group.")
    return [(row["case"], row["group"]) for _, row in rows]


def _refuse(path: Path, problem: str, cases: Sequence[str]) -> None:
    if cases:
        raise SegForgeError(f"{path} {problem} {_listed(cases)}. Give every case of the data set one row with its group.")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _grouped(groups: Sequence[str], folds: int) -> list[set[int]]:
    from sklearn.model_selection import GroupKFold  # slow to import

    return _held_out(GroupKFold(folds, shuffle=True, random_state=SEED).split(groups, groups=groups))


def _stratified(groups: Sequence[str], strata: Sequence[int], folds: int) -> list[set[int]]:
    from sklearn.model_selection import StratifiedGroupKFold

    held_out = _held_out(StratifiedGroupKFold(folds, shuffle=True, random_state=SEED).split(groups, strata, groups))
    if all(held_out):
        return held_out
    log.warning("These groups cannot be spread over %d folds by their labels; they are divided by groups alone.", folds)
    return _grouped(groups, folds)


def _held_out(parts: Iterable[tuple[Any, Any]]) -> list[set[int]]:
    return [set(held_out.tolist()) for _, held_out in parts]


def _members(cases: Iterable[str], groups: Mapping[str, str]) -> dict[str, list[str]]:
    members: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        if case in groups:
            members[groups[case]].append(case)
    return members
