"""Preprocesses a whole data set: only what is missing or changed, in parallel, each case read once."""

import logging
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from segforge.compute.blas import one_blas_thread
from segforge.compute.executors import ExecutorFactory, Outcome, Resources, Task, available_cores, run_all
from segforge.compute.files import make_folder
from segforge.compute.locks import FolderLock, Owner
from segforge.compute.memory import workers_within
from segforge.compute.wording import counted, duration, size
from segforge.dataset.cases import Case, RawDataset
from segforge.dataset.decoded import CaseReader, DecodedCase
from segforge.dataset.labels import LabelScheme
from segforge.errors import PreprocessingFailed, SegForgeError
from segforge.planning.extraction import Measured
from segforge.planning.plans import Configuration, Plans
from segforge.preprocessing.forecast import PROCESS_BYTES, CaseForecast, forecast_cases
from segforge.preprocessing.preprocessor import Preprocessor
from segforge.preprocessing.recipe import recipe
from segforge.preprocessing.store import CaseStore
from segforge.preprocessing.trial import seconds_for

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preprocessing:
    """What is to be preprocessed, and by whom.

    Attributes:
        dataset: The raw data set.
        measured: Its fingerprint and the sizes of its cases.
        plans: The plans.
        configurations: Names of the configurations.
        folder: The data set's preprocessed folder.
        factory: Opens an executor.
        resources: The most workers it may have.
        memory: Bytes that all of them may take together.
        verify: Whether raw files and results are compared by hash even where size and time are the same.
    """

    dataset: RawDataset
    measured: Measured
    plans: Plans
    configurations: Sequence[str]
    folder: Path
    factory: ExecutorFactory
    resources: Resources
    memory: int
    verify: bool = False


@dataclass(frozen=True)
class _Output:
    """One data folder that cases go to, and how."""

    configuration: Configuration
    store: CaseStore


@dataclass(frozen=True)
class _Due:
    """A case, and where it is to be written."""

    case: Case
    outputs: list[_Output]


def preprocess_dataset(job: Preprocessing, reader: CaseReader | None = None) -> int:
    """Bring the data folders of some configurations up to date; says before what it needs.

    One process works on a data folder at a time; a second one waits for it, and then finds its cases done.

    Args:
        job: What to do.
        reader: Reads the cases; it may have some in memory.

    Returns:
        Number of cases that had to be preprocessed.

    Raises:
        PreprocessingFailed: If some cases failed; names each with its reason. The others are done.
        SegForgeError: If there is not enough room on the disk.
    """
    description, reader = job.dataset.description, reader or CaseReader(job.dataset.description)
    chosen = {item.data: item for item in map(job.plans.configuration, job.configurations)}
    outputs = [
        _Output(item, CaseStore(job.folder / data, recipe(job.plans, item, description))) for data, item in chosen.items()
    ]
    make_folder(job.folder)
    with ExitStack() as locks:
        for output in sorted(outputs, key=lambda output: output.store.folder):  # in one order, or two would wait for each other
            locks.enter_context(lock_of_cases(output.store.folder).waited_for(Owner.here()))
        return _bring_up_to_date(job, outputs, reader)


def lock_of_cases(folder: Path) -> FolderLock:
    """The lock that a preprocessing holds on a data folder."""
    return FolderLock(folder, "preprocessed")


def _bring_up_to_date(job: Preprocessing, outputs: Sequence[_Output], reader: CaseReader) -> int:
    """What `preprocess_dataset` does once nobody else works on the folders."""
    for output in outputs:
        _tidy(output.store, job.dataset)
    items = [output.configuration for output in outputs]
    labels = job.dataset.description.label_scheme
    needed = forecast_cases(job.measured, job.plans, items, labels)
    forecasts = {case.id: forecast for case, forecast in zip(job.dataset.cases, needed, strict=True)}
    due = _due(job, outputs)
    if len(due) < len(job.dataset.cases):
        log.info("%d of %d cases are preprocessed already.", len(job.dataset.cases) - len(due), len(job.dataset.cases))
    if due:
        outcome = _run(job, due, forecasts, reader)
        if outcome.failures:
            failed = f"{len(outcome.failures)} of {len(due)} cases failed, the others are done:\n{outcome.reasons}"
            raise PreprocessingFailed(failed)
    return len(due)


def _due(job: Preprocessing, outputs: Sequence[_Output]) -> list[_Due]:
    """Which cases are to be written, and where to."""
    missing = [
        _Due(case, [output for output in outputs if not output.store.is_current(case.id, case.files, verify=job.verify)])
        for case in job.dataset.cases
    ]
    return [item for item in missing if item.outputs]


def _run(job: Preprocessing, due: Sequence[_Due], forecasts: dict[str, CaseForecast], reader: CaseReader) -> Outcome[None]:
    """Preprocess the cases, once it is said what that takes."""
    needs = [forecasts[item.case.id] for item in due]
    disk, largest = sum(item.disk for item in needs), max(item.memory for item in needs)
    resources = workers_within(job.resources, job.memory - PROCESS_BYTES, largest)
    _check_room(job.folder, disk)
    at_once = min(resources.workers, len(due))
    outputs, labels = {item.case.id: item.outputs for item in due}, job.dataset.description.label_scheme

    def attempt(case: Case, decoded: DecodedCase, folder: Path) -> None:
        there = [_Output(output.configuration, output.store.inside(folder)) for output in outputs[case.id]]
        _write_outputs(case, decoded, labels, job.plans, there, sources=())

    here = min(at_once, available_cores())  # a cluster is quicker than this machine, whose time is said
    seconds = seconds_for(attempt, [item.case for item in due], [item.work for item in needs], reader, job.folder, here)
    memory = PROCESS_BYTES + at_once * largest + reader.kept * (1 - at_once / len(due))
    amount = f"{size(round(memory))} of memory for {at_once} at once"
    if resources.is_elsewhere:
        amount = f"{size(PROCESS_BYTES + largest)} of memory for a worker with one of them"
    time = f", about {duration(seconds)}{' here' if resources.is_elsewhere else ''}" if seconds is not None else ""
    log.info("Preprocessing %s: %s on disk, about %s%s.", counted(len(due), "case"), size(disk), amount, time)
    tasks = [Task(item.case.id, _preprocess_case, (item, reader, labels, job.plans)) for item in due]
    return run_all(job.factory, tasks, resources=resources, description="preprocessing")


def _preprocess_case(due: _Due, reader: CaseReader, labels: LabelScheme, plans: Plans) -> None:
    decoded = reader.take(due.case)
    _write_outputs(due.case, decoded, labels, plans, due.outputs, due.case.files)


def _write_outputs(
    case: Case,
    decoded: DecodedCase,
    labels: LabelScheme,
    plans: Plans,
    outputs: Sequence[_Output],
    sources: Sequence[Path],
) -> None:
    with one_blas_thread():
        for output in outputs:
            try:
                preprocess = Preprocessor(plans, output.configuration, labels)
                preprocessed = preprocess(decoded.image, decoded.classes)
            except SegForgeError as error:
                raise SegForgeError(f"{case.images[0]} {error}") from error
            output.store.write(case.id, preprocessed, sources)


def _tidy(store: CaseStore, dataset: RawDataset) -> None:
    """Remove what killed processes left, and cases that are no longer in the raw data set."""
    make_folder(store.folder)
    for case in set(store.cases()) - {case.id for case in dataset.cases}:
        store.remove(case)


def _check_room(folder: Path, disk: int) -> None:
    make_folder(folder)
    free = shutil.disk_usage(folder).free
    if disk > free:
        raise SegForgeError(
            f"{folder} needs {size(disk)} for the preprocessed cases, {size(free)} are free. Make room, preprocess fewer "
            "configurations (-c), or plan with --dtype float16."
        )
