"""What the label maps of the cases hold, and strata: cases that are alike in it."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segforge.compute.executors import ExecutorFactory, Resources, Task, run_all
from segforge.dataset.cases import Case
from segforge.dataset.description import FILE_NAME
from segforge.dataset.labels import LabelScheme
from segforge.errors import CasesFailed, SegForgeError
from segforge.images.files import read_labels

_SIZES = 3  # small, middle and large foreground


@dataclass(frozen=True)
class LabelContent:
    """What a label map holds.

    Attributes:
        classes: The classes that occur, background and ignore label left out.
        volume: Of the foreground, in mm^3.
    """

    classes: frozenset[int]
    volume: float


def read_contents(
    cases: Sequence[Case], labels: LabelScheme, factory: ExecutorFactory, resources: Resources
) -> dict[str, LabelContent]:
    """Read the label maps of all cases.

    Raises:
        CasesFailed: If one could not be read or holds unknown values; names each with its reason.
    """
    tasks = [Task(case.id, _content, (case, labels)) for case in cases]
    outcome = run_all(factory, tasks, resources=resources, description="labels")
    if outcome.failures:
        raise CasesFailed(outcome.reasons)
    return {case.id: outcome.results[case.id] for case in cases}


def make_strata(contents: Mapping[str, LabelContent], folds: int) -> dict[str, int]:
    """A number for each case, the same for cases with the same labels and a foreground of like volume.

    Each stratum has at least as many cases as there are folds, if there are so many: cases with a rare set of labels
    join those with the set that differs in the fewest labels, and only frequent sets are divided by volume, into terciles
    or halves.

    Args:
        contents: What each case holds.
        folds: Folds that the cases will be divided into.
    """
    strata: list[list[str]] = []
    for members in _alike(contents, folds):
        ordered = sorted(members, key=lambda case: (contents[case].volume, case))
        sizes = max(1, min(_SIZES, len(ordered) // folds))
        strata += [part.tolist() for part in np.array_split(np.array(ordered), sizes)]
    return {case: number for number, members in enumerate(strata) for case in members}


def _content(case: Case, labels: LabelScheme) -> LabelContent:
    assert case.label is not None
    stored = read_labels(case.label)
    try:
        classes = labels.to_classes(stored.array)
    except SegForgeError as error:
        raise SegForgeError(f"{case.label} {error}. Correct the file, or name the label in {FILE_NAME}.") from error
    counts = sum(np.bincount(plane.ravel(), minlength=labels.classes + 1) for plane in classes[0])
    foreground = np.asarray(counts)[1 : labels.classes]
    volume = float(foreground.sum()) * math.prod(stored.geometry.spacing)
    return LabelContent(frozenset((np.flatnonzero(foreground) + 1).tolist()), volume)


def _alike(contents: Mapping[str, LabelContent], folds: int) -> list[list[str]]:
    """Cases with the same set of labels; the rarest set joins the nearest one until none has fewer cases than folds."""
    sets: dict[frozenset[int], list[str]] = defaultdict(list)
    for case, content in sorted(contents.items()):
        sets[content.classes].append(case)
    while len(sets) > 1:
        rarest = min(sets, key=lambda held: (len(sets[held]), sorted(held)))
        if len(sets[rarest]) >= folds:
            break
        members = sets.pop(rarest)
        sets[_nearest(rarest, sets)] += members
    return [sets[held] for held in sorted(sets, key=sorted)]


def _nearest(classes: frozenset[int], sets: Mapping[frozenset[int], Sequence[str]]) -> frozenset[int]:
    return min(sets, key=lambda held: (len(held ^ classes), -len(sets[held]), sorted(held)))
