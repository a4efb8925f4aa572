"""Folders of predicted probabilities -> label maps of their average, case by case, one head in memory at a time."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from segforge.compute.executors import ExecutorFactory, Resources, Task, run_all
from segforge.dataset.description import DatasetDescription
from segforge.dataset.labels import BACKGROUND, LabelScheme
from segforge.errors import CasesFailed, SegForgeError
from segforge.evaluation.summary import case_of
from segforge.images.files import ending_of, read_grid, read_labels, write_volume
from segforge.images.image import Geometry, geometry_difference
from segforge.inference.finished_cases import FinishedCases
from segforge.inference.probabilities import (
    ProbabilityFacts,
    ProbabilityType,
    are_written,
    facts_path,
    read_facts,
    read_probabilities,
    write_probabilities,
)

Array = npt.NDArray[Any]

_STORE = ".npz"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AverageSettings:
    """What is written where.

    Attributes:
        output: Folder of the label maps.
        description: Of the data set: what heads and label values mean.
        probabilities: Type in which the mean probabilities are written too; None for none.
    """

    output: Path
    description: DatasetDescription
    probabilities: ProbabilityType | None = None

    @property
    def made_from(self) -> dict[str, str]:
        """What decides the results besides the probabilities."""
        scheme = repr(self.description.label_scheme)
        return {"average of": "probabilities", "labels": hashlib.sha256(scheme.encode()).hexdigest()}


def average_folders(folders: Sequence[Path], settings: AverageSettings, factory: ExecutorFactory, resources: Resources) -> int:
    """Average the probabilities `CASE.npz` of several folders; goes on where it stopped.

    Args:
        folders: The folders, ours or nnU-Net's; each has all cases.
        settings: What to write.
        factory: Opens an executor.
        resources: What to ask of it.

    Returns:
        Number of cases that had to be averaged.

    Raises:
        SegForgeError: If a folder is missing or has no probabilities, or the output is one of them.
        CasesFailed: If cases failed; names each with its reason. The others are written.
    """
    found = [_stores(folder) for folder in folders]
    _refuse_same(folders, settings.output)
    finished = FinishedCases(settings.output, " and ".join(map(str, folders)), settings.made_from)
    cases = sorted({case for stores in found for case in stores})
    failures = {
        case: f"{folder / f'{case}{_STORE}'} is missing"
        for folder, stores in zip(folders, found, strict=True)
        for case in cases
        if case not in stores
    }
    job = _Job(settings, {case: [stores[case] for stores in found] for case in cases if case not in failures}, finished)
    due = [case for case in job.stores if not job.is_done(case)]
    if len(due) < len(job.stores):
        log.info("%d of %d cases are averaged already.", len(job.stores) - len(due), len(cases))
    failures |= job.run(due, factory, resources)
    for case, reason in failures.items():
        finished.fail(case, reason)
    if failures:
        reasons = "\n".join(f"{case}: {reason}" for case, reason in sorted(failures.items()))
        raise CasesFailed(f"{len(failures)} of {len(cases)} cases failed, the others are in {settings.output}:\n{reasons}")
    return len(due)


def _stores(folder: Path) -> dict[str, Path]:
    """The probabilities of a folder by case."""
    if not folder.is_dir():
        raise SegForgeError(f"{folder} is missing, a folder of predictions.")
    found = {path.stem: path for path in sorted(folder.glob(f"*{_STORE}")) if not path.name.startswith(".")}
    if not found:
        raise SegForgeError(
            f"{folder} has no probabilities (CASE.npz). Predict again with --save-probabilities, into another folder."
        )
    return found


def _refuse_same(folders: Sequence[Path], output: Path) -> None:
    resolved = [folder.resolve() for folder in folders]
    if len(set(resolved)) < len(resolved):
        raise SegForgeError(f"A folder is named twice: {', '.join(map(str, folders))}. Name each once.")
    if output.resolve() in resolved:
        raise SegForgeError(f"{output} holds probabilities to be averaged. Choose another folder for the results.")


class _Job:
    """The cases of which all folders have probabilities."""

    def __init__(self, settings: AverageSettings, stores: dict[str, list[Path]], finished: FinishedCases) -> None:
        self.stores = stores
        self._settings, self._finished = settings, finished

    def is_done(self, case: str) -> bool:
        """Whether an earlier run did the case, the probabilities that are asked for included."""
        output, dtype = self._output(case), self._settings.probabilities
        if dtype and not are_written(output.with_name(f"{case}{_STORE}"), dtype):
            return False
        return self._finished.has(case, self.stores[case], output)

    def run(self, cases: Sequence[str], factory: ExecutorFactory, resources: Resources) -> dict[str, str]:
        """Average the cases; returns the reason for each that failed."""
        for case in cases:
            self._output(case).unlink(missing_ok=True)
        tasks = [Task(case, _average, (self.stores[case], self._output(case), self._settings)) for case in cases]
        return run_all(factory, tasks, resources=resources, description="average", finished=self._note).failures

    def _note(self, case: str) -> None:
        if self._output(case).is_file():
            self._finished.add(case, self.stores[case], self._output(case))

    def _output(self, case: str) -> Path:
        return self._settings.output / f"{case}{self._settings.description.output_ending}"


def _average(stores: Sequence[Path], output: Path, settings: AverageSettings) -> None:
    """Write the mean probabilities of a case if asked for, and its label map last."""
    labels = settings.description.label_scheme
    geometry = _common_grid(stores, labels)

    def heads() -> Iterator[Array]:
        return _mean_heads(stores, labels, geometry.shape)

    if settings.probabilities:
        facts = ProbabilityFacts(heads=_head_names(labels), dtype=settings.probabilities, geometry=geometry)
        write_probabilities(output.with_name(stores[0].name), heads(), facts)
    write_volume(output, labels.to_stored(labels.classes_from_logits(heads(), threshold=0.5)), geometry)


def _mean_heads(stores: Sequence[Path], labels: LabelScheme, shape: tuple[int, ...]) -> Iterator[Array]:
    """The mean probabilities `(Z, Y, X)` float32 of each head in turn."""
    for heads in zip(*(_heads(store, labels, shape) for store in stores), strict=True):
        yield sum(heads[1:], heads[0]) / len(stores)


def _heads(store: Path, labels: LabelScheme, shape: tuple[int, ...]) -> Iterator[Array]:
    """The probabilities of each head of a file, once they are known to be what they should be."""
    number = 0
    for number, head in enumerate(read_probabilities(store), start=1):
        if head.shape != shape:
            raise SegForgeError(f"{store} has the shape {head.shape}, its label map or JSON {shape}. Predict it again.")
        if number > labels.heads:
            break
        yield head
    if number != labels.heads:
        raise SegForgeError(f"{store} must have {labels.heads} heads, as the data set has. Name the right one with -d or -m.")


def _common_grid(stores: Sequence[Path], labels: LabelScheme) -> Geometry:
    """The grid that all probabilities of a case lie on."""
    grids = [_grid(store, labels) for store in stores]
    for store, grid in zip(stores[1:], grids[1:], strict=True):
        if difference := geometry_difference(grids[0], grid):
            raise SegForgeError(
                f"{store} and {stores[0]} are not on one grid: {difference}. Predict both from the same images."
            )
    return grids[0]


def _grid(store: Path, labels: LabelScheme) -> Geometry:
    """The grid of probabilities: by the JSON beside ours, by the label map beside nnU-Net's."""
    if facts_path(store).is_file():
        facts = read_facts(store)
        if facts.heads != _head_names(labels):
            raise SegForgeError(
                f"{store} has the heads {', '.join(facts.heads)}, the data set {', '.join(_head_names(labels))}. "
                "Name the right one with -d or -m."
            )
        return facts.geometry
    beside = [path for path in store.parent.glob(f"{store.stem}.*") if ending_of(path) and case_of(path) == store.stem]
    if len(beside) != 1:
        raise SegForgeError(f"{store} needs its label map beside it, which says where it lies; found {len(beside)}.")
    return read_grid(beside[0]) or read_labels(beside[0]).geometry


def _head_names(labels: LabelScheme) -> tuple[str, ...]:
    names = tuple(target.name for target in labels.targets)
    return names if labels.has_regions else (BACKGROUND, *names)
