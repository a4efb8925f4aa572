"""`segforge run` as a function: the whole experiment, each piece in a process of its own."""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from segforge.api.command_words import training_words
from segforge.api.experiment import FIND_BEST, Experiment, open_experiment, pieces_of
from segforge.api.planning import PREPROCESSED, Work, plan, planner_for, preprocess
from segforge.api.training import TrainingOptions
from segforge.api.workers import Opened, Workers
from segforge.compute.wording import counted, duration
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
        CasesFailed: If cases could not be preprocessed; names each.
    """
    place = find_workspace(workspace).absolute
    options, work, workers = options or TrainingOptions(), work or Work(), workers or Workers()
    words, opened = training_words(options), workers.opened()
    chosen = settings or PlannerSettings()
    found, there = _planned(str(dataset), place, replace(chosen, name=plans or chosen.name), configurations, work)
    experiment = open_experiment(
        place, str(dataset), found, name=name, trainer=trainer, configurations=configurations, folds=folds
    )
    experiment.refuse_other_settings(options)
    _preprocess_the_rest(str(dataset), place, found, configurations, work, there)
    pieces = pieces_of(experiment, words, threads=opened.threads, device=opened.places[0], processes=work.workers)
    return _report(experiment, pieces, _carry_out(pieces, opened, is_local=workers.where.is_local))


def _planned(
    dataset: str, place: Workspace, settings: PlannerSettings, configurations: Sequence[str] | None, work: Work
) -> tuple[Plans, set[str]]:
    """The plans, and the folders of the data that were preprocessed with the planning, if that is done now."""
    name, folder = planner_for(settings).name, place.preprocessed / place.dataset_name(dataset)
    if plans_path(folder, name).is_file() and not settings.changes_plans:
        log.info("Taking the plans %s as they are.", name)
        return read_plans(folder, name), set()
    plans = plan(dataset, settings=settings, configurations=configurations, work=work, workspace=place.root).plans
    return plans, {plans.configuration(one).data for one in configurations or PREPROCESSED if one in plans.configurations}


def _preprocess_the_rest(
    dataset: str, place: Workspace, plans: Plans, configurations: Sequence[str] | None, work: Work, there: set[str]
) -> None:
    """Preprocess what the trainings need and what is not there, or not known to be."""
    stages = {
        stage: item.data
        for one in configurations or plans.configurations
        for stage, item in plans.with_previous_stages(one).items()
    }
    if missing := [stage for stage, data in stages.items() if data not in there]:
        preprocess(dataset, plans=plans.name, configurations=missing, work=work, workspace=place.root)


def _carry_out(pieces: Sequence[Piece], opened: Opened, *, is_local: bool) -> Course:
    """Carry the pieces out; says how each one has ended."""
    begun, folder = time.monotonic(), pieces[0].command.log.parent
    log.info("%s, %d at once. Their messages: %s", counted(len(pieces), "piece"), len(opened.places), folder)

    def told(piece: Piece, course: Course) -> None:
        log.info("[%d of %d] %s", len(course), len(pieces), _line(piece, course))

    chain, executor = Chain(pieces, opened.places, told), opened.factory(opened.resources)
    course = _here(chain, executor) if is_local else _elsewhere(chain, executor)
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
