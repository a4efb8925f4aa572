"""Preprocesses a whole data set: only what is missing or changed, in parallel, each case read once."""

import logging
from dataclasses import dataclass
from pathlib import Path

from segforge.compute.executors import ExecutorFactory, Resources, Task, run_all
from segforge.compute.files import make_folder
from segforge.dataset.cases import Case, RawDataset, read_case_classes, read_case_image
from segforge.dataset.description import DatasetDescription
from segforge.errors import CasesFailed, SegForgeError
from segforge.planning.plans import Configuration, Plans
from segforge.preprocessing.preprocessor import Preprocessor
from segforge.preprocessing.recipe import recipe
from segforge.preprocessing.store import CaseStore

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Output:
    """One data folder that cases go to, and how."""

    configuration: Configuration
    store: CaseStore


def preprocess_dataset(
    dataset: RawDataset,
    plans: Plans,
    configurations: list[str],
    folder: Path,
    factory: ExecutorFactory,
    resources: Resources,
) -> int:
    """Bring the data folders of some configurations up to date.

    Args:
        dataset: The raw data set.
        plans: The plans.
        configurations: Names of the configurations.
        folder: The data set's preprocessed folder.
        factory: Opens an executor.
        resources: Its workers.

    Returns:
        Number of cases that had to be preprocessed.

    Raises:
        CasesFailed: If some cases failed; names each with its reason. The others are done.
    """
    chosen = {plans.configuration(name).data: plans.configuration(name) for name in configurations}
    outputs = [
        _Output(item, CaseStore(folder / data, recipe(plans, item, dataset.description))) for data, item in chosen.items()
    ]
    tasks = []
    for output in outputs:
        _tidy(output.store, dataset)
    for case in dataset.cases:
        due = [output for output in outputs if not output.store.is_current(case.id, case.files)]
        if due:
            tasks.append(Task(case.id, _preprocess_case, (case, dataset.description, plans, due)))
    if len(tasks) < len(dataset.cases):
        log.info("%d of %d cases are preprocessed already.", len(dataset.cases) - len(tasks), len(dataset.cases))
    outcome = run_all(factory, tasks, resources=resources, description="preprocessing")
    if outcome.failures:
        raise CasesFailed(f"{len(outcome.failures)} of {len(tasks)} cases failed, the others are done:\n{outcome.reasons}")
    return len(tasks)


def _preprocess_case(case: Case, description: DatasetDescription, plans: Plans, outputs: list[_Output]) -> None:
    image = read_case_image(case, description)
    classes = read_case_classes(case, image, description)
    for output in outputs:
        try:
            preprocessed = Preprocessor(plans, output.configuration, description.label_scheme)(image, classes)
        except SegForgeError as error:
            raise SegForgeError(f"{case.images[0]} {error}") from error
        output.store.write(case.id, preprocessed, case.files)


def _tidy(store: CaseStore, dataset: RawDataset) -> None:
    """Remove what killed processes left, and cases that are no longer in the raw data set."""
    make_folder(store.folder)
    for case in set(store.cases()) - {case.id for case in dataset.cases}:
        store.remove(case)
