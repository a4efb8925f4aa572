"""`segforge run --pilot` as a function: the whole chain in small on three cases, and what the real one will take."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from shutil import disk_usage

from segforge.api.estimation import estimate
from segforge.api.networks import cost_of
from segforge.api.planning import Work, import_plans, plan, planner_for, preprocess
from segforge.api.run import run
from segforge.api.training import TrainingOptions
from segforge.api.workers import Workers
from segforge.compute.executor_choice import HERE, room
from segforge.compute.executors import Task, run_all
from segforge.compute.files import temporary_folder
from segforge.compute.memory import available_memory
from segforge.dataset.cases import Case, RawDataset, open_dataset
from segforge.dataset.description import FILE_NAME, CaseFiles
from segforge.dataset.splits import FILE_NAME as SPLITS
from segforge.dataset.splits import FOLDS, Fold, Splits, read_splits, write_splits
from segforge.errors import SegForgeError
from segforge.experiment.outlook import ConfigurationOutlook, Outlook
from segforge.experiment.pieces import trainings
from segforge.planning.plans import Plans, plans_path
from segforge.planning.settings import PlannerSettings
from segforge.training.estimate import Estimate
from segforge.workspace import Workspace, find_workspace

log = logging.getLogger(__name__)

_FEATURES = 8
_SMALL = "pilot"
"""Name of the plans of the small networks."""


def pilot(
    dataset: int | str,
    *,
    configurations: Sequence[str] | None = None,
    folds: Sequence[int | str] | None = None,
    plans: str | None = None,
    settings: PlannerSettings | None = None,
    trainer: str = "default",
    options: TrainingOptions | None = None,
    work: Work | None = None,
    workers: Workers | None = None,
    workspace: Path | None = None,
) -> Outlook:
    """Try a whole run in small, in a few minutes; the workspace stays as it is.

    Three cases go through planning, preprocessing, short trainings of small networks, validation and selection, in a
    temporary folder of the workspace; of the real networks a few steps are measured there. Plans that are there are
    tried; else they are made from the three cases, and may differ a little from those that all cases will give.
    Where others work, one of them tries and measures it. Arguments are those of `run`.

    Raises:
        SegForgeError: If the data set is not there, has fewer than three cases, or its cases cannot be read.
    """
    options, work, workers = options or TrainingOptions(), work or Work(), workers or Workers()
    if not workers.where.is_local:
        asked = partial(
            pilot, dataset, configurations=configurations, folds=folds, plans=plans, settings=settings, trainer=trainer,
            options=options, work=replace(work, where=HERE), workers=replace(workers, where=HERE),
            workspace=find_workspace(workspace).root.resolve(),
        )  # fmt: skip
        return _on_a_worker(asked, workers)
    chosen = settings or PlannerSettings()
    chosen = replace(chosen, name=plans or planner_for(chosen).name)
    place = find_workspace(workspace)
    raw = open_dataset(place.raw_folder(place.dataset_name(str(dataset))))
    tried = _three(raw)
    share = _bytes(raw.cases) / _bytes(tried)
    with temporary_folder(place.root.resolve()) as folder:
        trial = _Trial(_workspace_of(tried, raw, folder), raw.folder.name, work, configurations, trainer, options)
        found = trial.plan(place, chosen)
        seconds = trial.preprocess(found)
        preprocessed = _size(trial.folder)
        failures = trial.run_small(found, workers)
        estimates = trial.estimates(found, workers.device, failures)
    numbers = _folds_of(place.preprocessed / raw.folder.name / SPLITS, raw)
    counts = Counter(one.configuration for one in trainings(found, configurations, list(map(str, folds or [])), numbers))
    return Outlook(
        dataset=raw.folder.name,
        cases=len(raw.cases),
        tried=tuple(case.id for case in tried),
        preprocessing_seconds=seconds * share,
        preprocessed=round(preprocessed * share),
        configurations=tuple(
            ConfigurationOutlook.of(
                found,
                name,
                one,
                folds=counts[name],
                cases=-(-len(raw.cases) // numbers),
                parameters=cost_of(found.configuration(name)).parameters,
            )
            for name, one in estimates.items()
            if counts[name]
        ),
        at_once=len(workers.opened().places),
        free_disk=disk_usage(place.root).free,
        free_memory=available_memory(),
        failures=tuple(failures),
        advice=tuple(dict.fromkeys(line for one in estimates.values() for line in one.advice)),
    )


def _on_a_worker(asked: Callable[[], Outlook], workers: Workers) -> Outlook:
    """What one of the workers elsewhere finds, for as many of them as there are."""
    opened = workers.opened()
    outcome = run_all(
        opened.factory, [Task("pilot", asked)], resources=replace(opened.resources, workers=1), description="pilot"
    )
    if outcome.failures:
        raise SegForgeError(outcome.failures["pilot"])
    return outcome.results["pilot"].model_copy(update={"at_once": room(opened.factory, opened.resources)})


@dataclass(frozen=True)
class _Trial:
    """What is tried in a temporary workspace; the fields are arguments of `pilot`."""

    place: Workspace
    dataset: str
    work: Work
    configurations: Sequence[str] | None
    trainer: str
    options: TrainingOptions

    @property
    def folder(self) -> Path:
        """Where plans and preprocessed cases are."""
        return self.place.preprocessed / self.dataset

    def plan(self, real: Workspace, settings: PlannerSettings) -> Plans:
        """The real plans here, and beside them the same with small networks."""
        path = plans_path(real.preprocessed / self.dataset, str(settings.name))
        if path.is_file() and not settings.changes_plans:
            found = import_plans(path, self.dataset, preprocess=False, work=self.work, workspace=self.place.root)
        else:
            found = plan(self.dataset, settings=settings, preprocess=False, work=self.work, workspace=self.place.root).plans
        _with_small_networks(found).write(plans_path(self.folder, _SMALL))
        return found

    def preprocess(self, plans: Plans) -> float:
        """Preprocess what is needed, and return the seconds."""
        begin = time.monotonic()
        preprocess(
            self.dataset, plans=plans.name, configurations=self._needed(plans), work=self.work, workspace=self.place.root
        )
        return time.monotonic() - begin

    def run_small(self, plans: Plans, workers: Workers) -> list[str]:
        """Run the whole chain with small networks, and return what failed."""
        short = replace(self.options, epochs=1, budget_seconds=None, iterations=2, validation_iterations=1, warmup=None)
        report = run(
            self.dataset,
            configurations=self.configurations or tuple(plans.configurations),
            folds=[0],
            plans=_SMALL,
            trainer=self.trainer,
            options=short,
            work=self.work,
            workers=workers,
            workspace=self.place.root,
        )
        return [f"In small, {piece.name} failed: {piece.reason}" for piece in report.pieces if piece.reason]

    def estimates(self, plans: Plans, device: str, failures: list[str]) -> dict[str, Estimate]:
        """What the real networks take, by configuration; why one could not be tried is added to the failures.

        A cascade takes what its network takes without a previous stage, whose predictions are not there.
        """
        found: dict[str, Estimate] = {}
        for name in self._needed(plans):
            try:
                found[name] = estimate(
                    self.dataset,
                    _without_previous_stage(plans, name),
                    plans=plans.name,
                    trainer=self.trainer,
                    options=self.options,
                    device=device,
                    workspace=self.place.root,
                )
            except SegForgeError as error:
                failures.append(f"{name}: {error}")
        return found

    def _needed(self, plans: Plans) -> list[str]:
        """The configurations, and those that they build on before them."""
        asked = self.configurations or plans.configurations
        return list(dict.fromkeys(stage for one in asked for stage in reversed(list(plans.with_previous_stages(one)))))


def _three(raw: RawDataset) -> list[Case]:
    """The largest case by its files, the smallest, and the one in the middle."""
    if len(raw.cases) < 3:
        raise SegForgeError(f"{raw.folder} has {len(raw.cases)} cases, a pilot needs three. Leave --pilot out.")
    by_size = sorted(raw.cases, key=lambda case: _bytes([case]))
    return [by_size[-1], by_size[0], by_size[len(by_size) // 2]]


def _workspace_of(cases: Sequence[Case], raw: RawDataset, folder: Path) -> Workspace:
    """A workspace with these cases, where they lie; each is held out by a fold of its own, the first by fold 0."""
    place, names = Workspace(folder), [case.id for case in cases]
    files = {
        case.id: CaseFiles(
            images=tuple(str(path.resolve()) for path in case.images), label=str(case.label and case.label.resolve())
        )
        for case in cases
    }
    there = place.raw / raw.folder.name
    raw.description.model_copy(update={"dataset": files, "num_training": len(cases)}).write(there / FILE_NAME)
    folds = (Fold(train=tuple(name for name in names if name != held_out), val=(held_out,)) for held_out in names)
    write_splits(there / SPLITS, Splits(tuple(folds)))
    return place


def _with_small_networks(plans: Plans) -> Plans:
    """The same plans with few channels in SegForge's own networks."""
    content = plans.model_dump(mode="json")
    for item in content["configurations"].values():
        features = item["architecture"].get("features", ())
        item["architecture"] |= {"features": [min(_FEATURES, each) for each in features]} if features else {}
    return Plans.parse(content | {"name": _SMALL}, "The plans of the pilot")


def _without_previous_stage(plans: Plans, name: str) -> str:
    """The configuration, or the one that is preprocessed alike and does not build on another one."""
    data = plans.configuration(name).data
    return next((other for other, one in plans.configurations.items() if one.data == data and not one.previous_stage), name)


def _folds_of(path: Path, raw: RawDataset) -> int:
    """Number of folds that the cases are or will be divided into."""
    brought = raw.folder / SPLITS
    there = path if path.is_file() else brought if brought.is_file() else None
    return len(read_splits(there, [case.id for case in raw.cases])) if there else min(FOLDS, len(raw.cases))


def _bytes(cases: Collection[Case]) -> int:
    return sum(path.stat().st_size for case in cases for path in case.files)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
