"""Which postprocessing makes cross-validated predictions better (METHOD, section 7)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segforge.compute.executors import ExecutorFactory, Resources, Task, run_all
from segforge.dataset.labels import LabelScheme, Target
from segforge.errors import CasesFailed
from segforge.evaluation.evaluate import Pair, failed_pairs, read_pair
from segforge.evaluation.overlap import Array, overlap_of_case
from segforge.evaluation.summary import mean_of
from segforge.inference.postprocessing import KeepLargestComponent, Postprocessing, Trial, keep_largest

FOREGROUND = "foreground"

Dice = dict[str, float]
"""Dice by key of the structure."""


@dataclass(frozen=True)
class _Attempt:
    """Keeping the largest component of some classes, and the structures that it is judged by."""

    classes: tuple[int, ...]
    judged: tuple[Target, ...]


def determine_steps(
    pairs: Sequence[tuple[Path, Path]], labels: LabelScheme, factory: ExecutorFactory, resources: Resources
) -> Postprocessing:
    """Try to keep the largest component, of the foreground and then of each structure, and keep what helps.

    Args:
        pairs: Reference and prediction of each case.
        labels: The structures.
        factory: Opens an executor.
        resources: What to ask of it.

    Raises:
        CasesFailed: If cases could not be compared; names each.
    """
    study = _Study(pairs, labels, factory, resources)
    study.try_foreground()
    if len(labels.targets) > 1:
        for group in separate_groups(labels.targets):
            study.try_each(group)
    return Postprocessing(steps=tuple(study.steps), trials=tuple(study.trials))


def dice_after(
    pairs: Sequence[tuple[Path, Path]],
    steps: Postprocessing,
    labels: LabelScheme,
    factory: ExecutorFactory,
    resources: Resources,
) -> float:
    """Mean foreground Dice of label maps after all steps.

    Args:
        pairs: Reference and prediction of each case.
        steps: The steps.
        labels: The structures.
        factory: Opens an executor.
        resources: What to ask of it.

    Raises:
        CasesFailed: If cases could not be compared; names each.
    """
    kept = tuple(tuple(labels.stored_values.index(value) for value in step.values) for step in steps.steps)
    ((after, _),) = _compare(pairs, labels, kept, [_Attempt((), labels.targets)], factory, resources)
    return float(np.mean(list(after.values())))


def separate_groups(targets: Sequence[Target]) -> Iterator[tuple[Target, ...]]:
    """Successive structures that share no class: a step for one changes no other, so that one pass can try them all."""
    group: list[Target] = []
    for target in targets:
        if any(set(target.classes) & set(other.classes) for other in group):
            yield tuple(group)
            group = []
        group.append(target)
    yield tuple(group)


class _Study:
    """The steps that helped so far, and all that were tried."""

    def __init__(
        self, pairs: Sequence[tuple[Path, Path]], labels: LabelScheme, factory: ExecutorFactory, resources: Resources
    ) -> None:
        self.steps: list[KeepLargestComponent] = []
        self.trials: list[Trial] = []
        self._pairs, self._labels = pairs, labels
        self._factory, self._resources = factory, resources
        self._kept: tuple[tuple[int, ...], ...] = ()

    def try_foreground(self) -> None:
        """All structures as one mask: helps if their mean rises and none of them falls."""
        classes = tuple(range(1, self._labels.classes))
        ((before, after),) = self._compare([_Attempt(classes, self._labels.targets)])
        means = float(np.mean(list(before.values()))), float(np.mean(list(after.values())))
        helped = means[1] > means[0] and not any(after[key] < before[key] for key in before)
        self._record(FOREGROUND, classes, *means, helped=helped)

    def try_each(self, group: Sequence[Target]) -> None:
        """Structures that share no class: each helps if its own Dice rises."""
        results = self._compare([_Attempt(target.classes, (target,)) for target in group])
        for target, (before, after) in zip(group, results, strict=True):
            means = before[target.key], after[target.key]
            self._record(target.name, target.classes, *means, helped=means[1] > means[0])

    def _record(self, structure: str, classes: tuple[int, ...], before: float, after: float, *, helped: bool) -> None:
        self.trials.append(Trial(structure=structure, before=before, after=after, helped=helped))
        if helped:
            values = tuple(self._labels.stored_values[number] for number in classes)
            self.steps.append(KeepLargestComponent(structure=structure, values=values))
            self._kept = (*self._kept, classes)

    def _compare(self, attempts: Sequence[_Attempt]) -> list[tuple[Dice, Dice]]:
        return _compare(self._pairs, self._labels, self._kept, attempts, self._factory, self._resources)


def _compare(
    pairs: Sequence[tuple[Path, Path]],
    labels: LabelScheme,
    kept: Sequence[tuple[int, ...]],
    attempts: Sequence[_Attempt],
    factory: ExecutorFactory,
    resources: Resources,
) -> list[tuple[Dice, Dice]]:
    """For each attempt the mean Dice of the structures before and after it, with the steps that were kept before it."""
    tasks = [
        Task(str(prediction), _compare_case, (reference, prediction, labels, kept, attempts)) for reference, prediction in pairs
    ]
    outcome = run_all(factory, tasks, resources=resources, description="postprocessing")
    if outcome.failures:
        raise CasesFailed(failed_pairs(outcome.failures))
    cases = [outcome.results[task.name] for task in tasks]
    return [
        (_means([case[number][0] for case in cases]), _means([case[number][1] for case in cases]))
        for number in range(len(attempts))
    ]


def _compare_case(
    reference: Path,
    prediction: Path,
    labels: LabelScheme,
    kept: Sequence[tuple[int, ...]],
    attempts: Sequence[_Attempt],
) -> list[tuple[Dice, Dice]]:
    """Dice of a case before and after each attempt, which all begin with the steps that helped so far."""
    pair = read_pair(reference, prediction, labels)
    predicted = pair.prediction
    for classes in kept:
        predicted = keep_largest(predicted, classes)
    return [
        (
            _dice(pair, predicted, labels, attempt.judged),
            _dice(pair, keep_largest(predicted, attempt.classes), labels, attempt.judged),
        )
        for attempt in attempts
    ]


def _dice(pair: Pair, predicted: Array, labels: LabelScheme, judged: tuple[Target, ...]) -> Dice:
    overlaps = overlap_of_case(pair.reference, predicted, replace(labels, targets=judged))
    return {key: overlap.Dice for key, overlap in overlaps.items()}


def _means(cases: Sequence[Dice]) -> Dice:
    return {key: mean_of([case[key] for case in cases]) for key in cases[0]}
