"""`segforge run` as a function: the whole experiment, each piece in a process of its own."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from segforge.api.command_words import training_words
from segforge.api.experiment import FIND_BEST, Experiment, open_experiment, pieces_of
from segforge.api.planning import PREPROCESSED, Work, plan, planner_for, preprocess
from segforge.api.training import TrainingOptions
from segforge.api.workers import Opened, Workers
from segforge.compute.wording import counted, duration
from segforge.errors import PreprocessingFailed
from segforge.experiment.chain import Chain, Course, Piece
from segforge.experiment.commands import Children, run_command
from segforge.experiment.selection import Selection, read_selection
from segforge.planning.plans import Plans, plans_path, read_plans
from segforge.planning.settings import PlannerSettings
from segforge.workspace import Workspace, find_workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PieceReport:
    """How a piece of a run stands at its end.

    Attributes:
        name: What people call it.
        reason: Why it is not done; None if it is.
        dice: Mean foreground Dice of a training's validation.
        seconds: How long it took; None if it was done before.
        log: File of its messages.
    """

    name: str
    reason: str | None
    dice: float | None
    seconds: float | None
    log: Path


@dataclass(frozen=True)
class RunReport:
    """What a run came to.

    Attributes:
        dataset: Folder name of the data set.
        pieces: All pieces, in their order.
        selection: The best, if it was selected.
    """

    dataset: str
    pieces: tuple[PieceReport, ...]
    selection: Selection | None

    @property
    def is_done(self) -> bool:
        """Whether every piece is done."""
        return all(piece.reason is None for piece in self.pieces)


def run(
    dataset: int | str,
    *,
    configurations: Sequence[str] | None = None,
    folds: Sequence[int | str] | None = None,
    plans: str | None = None,
    settings: PlannerSettings | None = None,
    name: str | None = None,
    trainer: str = "default",
    options: TrainingOptions | None = None,
    work: Work | None = None,
    workers: Workers | None = None,
    workspace: Path | None = None,
) -> RunReport:
    """Plan, preprocess, train and validate every fold of every configuration, and select the best; goes on where it stopped.

    Plans that are there are taken as they are, unless `settings` decide something. What is done is not done again; what
    fails is named, and all that does not need it is carried on.

    Args:
        dataset: Number or name of the data set.
        configurations: Those to train; None trains all that are planned.
        folds: Folds to train; None trains all.
        plans: Name of the plans; None is the planner's.
        settings: What to decide instead of the planner.
        name: Name of the trainings; None takes the trainer's.
        trainer: `default`, a plug-in's, `PACKAGE:CLASS`, or one of nnU-Net's names.
        options: Numbers of the trainings that differ from the plan's, the trainer's or the method's.
        work: How to preprocess.
        workers: Who carries the pieces out.
        workspace: The workspace folder; None finds it.

    Returns:
        How every piece stands, and the selection.

    Raises:
        SegForgeError: If something that is needed is missing or does not fit; says what to do.
        CasesFailed: If cases could not be read or preprocessed and everything needs them; names each.
    """
    place = find_workspace(workspace).absolute
    options, work, workers = options or TrainingOptions(), work or Work(), workers or Workers()
    words, opened = training_words(options) + workers.words, workers.opened()
    chosen = settings or PlannerSettings()
    data = _Data(str(dataset), place, configurations, work)
    found = data.planned(replace(chosen, name=plans or chosen.name))
    experiment = open_experiment(
        place, str(dataset), found, name=name, trainer=trainer, configurations=configurations, folds=folds
    )
    experiment.refuse_other_settings(options)
    data.preprocess_the_rest(found)
    pieces = pieces_of(experiment, words, threads=opened.threads, processes=work.workers)
    return _report(
        experiment, pieces, _carry_out(pieces, opened, experiment.unprepared() if data.failure else {}, data.failure)
    )


class _Data:
    """What is planned and preprocessed before the trainings; cases that fail end only what needs them.

    Attributes:
        failure: Which cases failed, if any did.
    """

    def __init__(self, dataset: str, place: Workspace, configurations: Sequence[str] | None, work: Work) -> None:
        self._dataset, self._place, self._configurations, self._work = dataset, place, configurations, work
        self._tried: set[str] = set()
        self.failure: PreprocessingFailed | None = None

    def planned(self, settings: PlannerSettings) -> Plans:
        """The plans, made now with the data of their usual configurations if they are not there."""
        name, folder = planner_for(settings).name, self._place.preprocessed / self._place.dataset_name(self._dataset)
        if plans_path(folder, name).is_file() and not settings.changes_plans:
            log.info("Taking the plans %s as they are.", name)
            return read_plans(folder, name)
        with self._noting_failure():
            plan(
                self._dataset,
                settings=settings,
                configurations=self._configurations,
                work=self._work,
                workspace=self._place.root,
            )
        plans, chosen = read_plans(folder, name), self._configurations or PREPROCESSED
        self._tried = {plans.configuration(one).data for one in chosen if one in plans.configurations}
        return plans

    def preprocess_the_rest(self, plans: Plans) -> None:
        """Preprocess what the trainings need and what is not there, or not known to be."""
        stages = {
            stage: item.data
            for one in self._configurations or plans.configurations
            for stage, item in plans.with_previous_stages(one).items()
        }
        if missing := [stage for stage, data in stages.items() if data not in self._tried]:
            with self._noting_failure():
                preprocess(self._dataset, plans=plans.name, configurations=missing, work=self._work, workspace=self._place.root)

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except PreprocessingFailed as error:
            self.failure = error


def _carry_out(
    pieces: Sequence[Piece], opened: Opened, impossible: Mapping[str, str], failure: PreprocessingFailed | None
) -> Course:
    """Carry the pieces out; says how each one has ended."""
    if failure is not None and len(impossible) >= len(pieces) - 1:  # all but the selection
        raise failure
    if failure is not None:
        log.error("%s\nWhat does not need them is carried on.", failure)
    begun, folder, is_elsewhere = time.monotonic(), pieces[0].command.log.parent, opened.resources.is_elsewhere
    at_once = "as many at once as there is room for" if is_elsewhere else f"{len(opened.places)} at once"
    log.info("%s, %s. Their messages: %s", counted(len(pieces), "piece"), at_once, folder)

    def told(piece: Piece, course: Course) -> None:
        log.info("[%d of %d] %s", len(course), len(pieces), _line(piece, course))

    chain, executor = Chain(pieces, opened.places, told, impossible), opened.factory(opened.resources)
    course = _elsewhere(chain, executor) if is_elsewhere else _here(chain, executor)
    log.info("%d of %d pieces are done, in %s.", len(course.done), len(pieces), duration(time.monotonic() - begun))
    return course


def _here(chain: Chain, executor: Executor) -> Course:
    """Carry out on this machine; interrupted, what is under way saves what it has."""
    children = Children()
    try:
        return chain.carry_out(executor, children.run)
    except BaseException:
        children.end()
        log.info("Ending what is under way; it saves what it has. Once more ends it at once.")
        try:
            executor.shutdown(cancel_futures=True)
        except KeyboardInterrupt:
            children.end()
        raise
    finally:
        executor.shutdown()


def _elsewhere(chain: Chain, executor: Executor) -> Course:
    """Carry out on other machines; interrupted, what they have begun goes to its end."""
    try:
        return chain.carry_out(executor, run_command)
    except BaseException:
        log.info("What workers have begun goes to its end; segforge stop ends a training.")
        raise
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _line(piece: Piece, course: Course) -> str:
    """How a piece has ended, in a line."""
    ending = course.endings.get(piece.name)
    if reason := course.failures.get(piece.name):
        return f"{piece.name} failed: {reason}" + (f" ({piece.command.log})" if ending else "")
    return f"{piece.name} is done, in {duration(ending.seconds)}." if ending else f"{piece.name} is done already."


def _report(experiment: Experiment, pieces: Sequence[Piece], course: Course) -> RunReport:
    dice = {training.name: experiment.dice(training) for training in experiment.trainings}
    reports = [
        PieceReport(
            name=piece.name,
            reason=course.failures.get(piece.name),
            dice=dice.get(piece.name) if piece.name in course.done else None,
            seconds=course.endings[piece.name].seconds if piece.name in course.endings else None,
            log=piece.command.log,
        )
        for piece in pieces
    ]
    selection = read_selection(experiment.results) if FIND_BEST in course.done else None
    return RunReport(experiment.raw.folder.name, tuple(reports), selection)
