"""The pieces of a planned experiment, as commands, each with what says on the disk that it is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from segforge.api.model_names import named_model
from segforge.api.training import TrainingOptions, asks_nothing, training_settings
from segforge.compute.wording import counted
from segforge.dataset.cases import RawDataset, open_dataset
from segforge.dataset.splits import FILE_NAME as SPLITS
from segforge.dataset.splits import read_splits
from segforge.errors import SegForgeError
from segforge.evaluation.summary import SUMMARY, Summary
from segforge.experiment.chain import Piece
from segforge.experiment.commands import Command
from segforge.experiment.cross_validation import unvalidated_folds
from segforge.experiment.pieces import FoldTraining, trainings
from segforge.experiment.selection import lock_of_selection
from segforge.experiment.status import data_status
from segforge.networks.model_folder import ModelFolder
from segforge.planning.plans import Plans
from segforge.training.settings import TrainingSettings
from segforge.training.sole_run import lock_of
from segforge.workspace import Workspace

LOGS = "logs"
"""Folder of the pieces' messages, in the data set's results."""

FIND_BEST = "find-best"
"""Name of the last piece."""


@dataclass(frozen=True)
class Experiment:
    """What is run, once it is planned.

    Attributes:
        place: The workspace.
        raw: The raw data set.
        plans: The plans.
        name: Name of the trainings; None takes the trainer's.
        trainer: Name of the trainer.
        configurations: Names of the configurations that are compared at the end.
        folds: The folds that they are compared on.
        trainings: What is to be trained, with what cascades need.
    """

    place: Workspace
    raw: RawDataset
    plans: Plans
    name: str | None
    trainer: str
    configurations: Sequence[str]
    folds: Sequence[str]
    trainings: Sequence[FoldTraining]

    @property
    def results(self) -> Path:
        """The folder of the data set's models."""
        return self.place.results / self.raw.folder.name

    def model(self, configuration: str) -> ModelFolder:
        """The model of a configuration, there or not."""
        preprocessed = self.place.preprocessed / self.raw.folder.name
        return named_model(
            preprocessed, self.results, configuration, plans=self.plans.name, name=self.name, trainer=self.trainer
        )[0]

    def is_done(self, training: FoldTraining) -> bool:
        """Whether a fold is trained to its end, and validated with these weights and the label maps as they are."""
        model = self.model(training.configuration)
        try:
            return model.fold(training.fold).is_trained and not unvalidated_folds(model, self.raw, [training.fold])
        except SegForgeError:  # the training itself says what is wrong
            return False

    def worker(self, training: FoldTraining) -> str | None:
        """Who trains or validates a fold, in words, if a process does."""
        return lock_of(self.model(training.configuration).fold(training.fold).path).worker()

    def unprepared(self) -> dict[str, str]:
        """The trainings whose cases are not all preprocessed, with that reason, by name."""
        folder = self.place.preprocessed / self.raw.folder.name
        done = {row.configuration: row.done for row in data_status(self.raw, folder, self.plans)}
        missing = {name: len(self.raw.cases) - count for name, count in done.items()}
        return {
            training.name: f"{counted(missing[training.configuration], 'case')} could not be preprocessed"
            for training in self.trainings
            if missing[training.configuration]
        }

    def dice(self, training: FoldTraining) -> float | None:
        """Mean foreground Dice of a fold's validation, if it is there."""
        path = self.model(training.configuration).fold(training.fold).validation / SUMMARY
        try:
            return Summary.read(path).dice
        except SegForgeError:
            return None

    def refuse_other_settings(self, options: TrainingOptions) -> None:
        """Find out before hours of work that a model was begun with other numbers.

        Raises:
            SegForgeError: If one was; names the differences.
        """
        if asks_nothing(self.trainer, options):  # then they are as they were begun
            return
        for configuration in dict.fromkeys(training.configuration for training in self.trainings):
            model = self.model(configuration)
            if not (model.begun_folds() and model.settings_path.is_file()):
                continue
            there = TrainingSettings.read(model.settings_path)
            asked = training_settings(self.trainer, options, self.plans.configuration(configuration), None, None)
            asked = asked.model_copy(update={"previous_model": there.previous_model})
            if differences := asked.differences(there):
                raise SegForgeError(
                    f"{model.path} was begun with other settings: {', '.join(differences)}. Use the same, or another --name."
                )


def open_experiment(
    place: Workspace,
    dataset: str,
    plans: Plans,
    *,
    name: str | None,
    trainer: str,
    configurations: Sequence[str] | None,
    folds: Sequence[int | str] | None,
) -> Experiment:
    """What is to be trained and compared of a data set that is planned; arguments as of `segforge.api.run.run`.

    Raises:
        SegForgeError: If a configuration is not planned, or the division into folds is damaged.
    """
    raw = open_dataset(place.raw_folder(place.dataset_name(dataset)))
    path = place.preprocessed / raw.folder.name / SPLITS
    divisions = len(read_splits(path, [case.id for case in raw.cases])) if path.is_file() else 0
    chosen = list(dict.fromkeys(map(str, folds or range(divisions)))) or ["all"]
    named = tuple(configurations or plans.configurations)
    return Experiment(place, raw, plans, name, trainer, named, chosen, trainings(plans, named, chosen, divisions))


def pieces_of(experiment: Experiment, words: Sequence[str], *, threads: int, processes: int | None) -> list[Piece]:
    """The trainings, and the selection of the best.

    Args:
        experiment: What is to be trained.
        words: Options of `segforge train`.
        threads: Processor threads of each piece.
        processes: Worker processes of the selection; None works in threads.
    """
    pieces = []
    for training in experiment.trainings:
        log = f"{experiment.model(training.configuration).path.name}__fold_{training.fold}.log"
        line = training_line(experiment, training.configuration, training.fold, words)
        command = Command(line, experiment.results / LOGS / log, threads)
        is_done, worker = partial(experiment.is_done, training), partial(experiment.worker, training)
        pieces.append(Piece(training.name, command, training.needs, is_done, worker))
    needs = tuple(piece.name for piece in pieces)
    line = selection_line(experiment, processes)
    selection = Command(line, experiment.results / LOGS / f"{FIND_BEST}.log", threads)
    return [*pieces, Piece(FIND_BEST, selection, needs, worker=lock_of_selection(experiment.results).worker)]


def training_line(experiment: Experiment, configuration: str, fold: str, words: Sequence[str]) -> tuple[str, ...]:
    """What to type after `segforge` to train a fold of a configuration; `words` are options of `segforge train`."""
    name = ["--name", experiment.name] if experiment.name else []
    return (
        *("train", experiment.raw.folder.name, configuration, fold, "-p", experiment.plans.name, *name),
        *("-tr", experiment.trainer, *words, "--workspace", str(experiment.place.root)),
    )


def selection_line(experiment: Experiment, processes: int | None) -> tuple[str, ...]:
    """What to type after `segforge` to select the best; with `processes` workers, None works in threads."""
    names = dict.fromkeys(
        experiment.model(configuration).path.name.split("__")[0] for configuration in experiment.configurations
    )
    folds = [fold for fold in experiment.folds if fold != "all"] or ["all"]  # those are validated on other cases
    return (
        *("find-best", "-d", experiment.raw.folder.name, "-c", *experiment.configurations, "-p", experiment.plans.name),
        *("--names", *names, "-f", *folds, *([] if processes is None else ["-np", str(processes)])),
        *("--workspace", str(experiment.place.root)),
    )
