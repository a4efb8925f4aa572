"""Opens a fold's training: the model folder, its cases, and the trainer."""

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from segforge import plugins
from segforge.compute.documents import to_json
from segforge.compute.files import make_folder, move_aside, write_bytes, write_text
from segforge.compute.progress import log_file
from segforge.dataset.description import FILE_NAME, DatasetDescription
from segforge.dataset.splits import Fold
from segforge.errors import SegForgeError
from segforge.networks.measuring import check_patch
from segforge.networks.model_folder import FINAL, FoldFolder, ModelFolder
from segforge.planning.architecture import ArchitectureSpec
from segforge.planning.plans import Plans
from segforge.preprocessing.store import CaseStore, MappedCases
from segforge.training import group
from segforge.training.extension import is_finished
from segforge.training.job import FullVolumeValidator, TrainingJob
from segforge.training.memory import explained_memory
from segforge.training.pretrained import StartingWeights
from segforge.training.running import Compilation
from segforge.training.settings import TrainingSettings
from segforge.training.sole_run import Run
from segforge.training.trainer import Trainer

log = logging.getLogger(__name__)

TRAINERS = {"default": "segforge.training.trainer:Trainer"}
CASCADE_TRAINERS = {"default": "segforge.training.cascade:CascadeTrainer"}
"""The trainers of configurations that build on the predictions of another one."""


@dataclass(frozen=True)
class Training:
    """One fold of a model.

    Attributes:
        model: The folder of the model.
        plans: The plans.
        configuration: Name of the configuration.
        description: The data set's description.
        store: Its preprocessed cases.
        fold: Fold number, or `all`.
        cases: The cases of the fold.
        settings: The numbers of the training.
        device: Where to train.
        start: Weights to begin with instead of random ones.
        keeps_checkpoints: Whether there are checkpoints before the final one.
        full_volume: What predicts whole cases every few epochs, where the settings ask for it.
        fingerprint: File of the data set's fingerprint, which the model keeps a copy of.
        extend: Epochs by which a finished training is extended.
        loggers: Names of the loggers that are told what the history is told.
        compilation: Whether the network is compiled.
    """

    model: ModelFolder
    plans: Plans
    configuration: str
    description: DatasetDescription
    store: CaseStore
    fold: str
    cases: Fold
    settings: TrainingSettings
    device: torch.device
    start: StartingWeights | None = None
    keeps_checkpoints: bool = True
    full_volume: FullVolumeValidator | None = None
    fingerprint: Path | None = None
    extend: int = 0
    loggers: tuple[str, ...] = ()
    compilation: Compilation = "off"


def train_fold(training: Training, *, restart: bool = False) -> None:
    """Train one fold, or go on with it; a finished one is left as it is, unless it is to be extended.

    Args:
        training: What to train.
        restart: Whether to move an earlier result of this fold aside and begin anew.

    Where several processes train together, the first one alone sees to the folder; the others follow it into the training.

    Raises:
        SegForgeError: If the model folder belongs to other plans, settings or cases, a case is missing or damaged,
            another process trains the fold, or there are more processes than samples in a batch.
    """
    if (batch := training.settings.batch_size) < group.size():
        raise SegForgeError(
            f"A batch of {batch} cannot be shared by {group.size()} processes. Use --gpus {batch}, or a larger --batch-size."
        )
    if group.rank():
        _follow(training)
    else:
        _lead(training, restart=restart)


def _follow(training: Training) -> None:
    with _explained_memory(training):
        trainer = make_trainer(replace(training, loggers=()))
        if group.of_first(False):
            trainer.run()


def _lead(training: Training, *, restart: bool) -> None:
    """All that concerns the folder, and the training."""
    model, folder = training.model, training.model.fold(training.fold)
    others = [fold for fold in model.begun_folds() if fold != training.fold]
    begins = restart or training.fold not in model.begun_folds()
    alone = begins and not others  # there is nothing that it must agree with
    if not alone:
        _compare_settings(training, others)
    if training.extend and not folder.is_trained:
        raise SegForgeError(f"{folder.path} has no {FINAL} to extend. Train it to its end first, without --extend.")
    run = Run(folder.path)
    is_trained = folder.is_trained and not restart
    if is_trained:
        _compare_plans(training, _own_plans(training, model.configuration(model.plans)[1].architecture))
        _settle_cases(training, folder)
        with run.alone():
            if is_finished(folder.path, training.extend):
                group.of_first(False)
                return
    with _explained_memory(training):
        trainer = make_trainer(training, run)
        own = _own_plans(training, trainer.spec)
        if not alone:
            _compare_plans(training, own)
        for case in trainer.job.cases.values():  # a missing or damaged one is found before anything is moved
            del case
        make_folder(model.path)
        with run.alone():
            if folder.is_trained and not (is_trained or restart):  # another process was quicker
                group.of_first(False)
                return
            if restart and folder.path.is_dir():
                _move_aside(model, folder)
            if alone:  # before the fold's folder, whose existence means that there is something to agree with
                _write_model(training, own)
            make_folder(folder.path)
            _settle_cases(training, folder)
            group.of_first(True)
            with log_file(folder.path / "train.log"):
                trainer.run()


def _explained_memory(training: Training) -> AbstractContextManager[None]:
    configuration = training.plans.configuration(training.configuration)
    return explained_memory(configuration, group.largest_share(training.settings.batch_size), training.device)


def _write_model(training: Training, plans: Plans) -> None:
    """What all folds of the model share."""
    model = training.model
    plans.write(model.path / "plans.json")
    training.description.write(model.path / FILE_NAME)
    training.settings.write(model.settings_path)
    if training.fingerprint and training.fingerprint.is_file():
        write_bytes(model.fingerprint_path, training.fingerprint.read_bytes())


def _move_aside(model: ModelFolder, folder: FoldFolder) -> None:
    """Keep an old result, with what it was made by, where nothing takes it for a fold."""
    for path in (model.path / "plans.json", model.path / FILE_NAME, model.settings_path):
        if path.is_file():
            write_bytes(folder.path / path.name, path.read_bytes())
    log.info("The old result is kept in %s.", move_aside(folder.path))


def make_trainer(training: Training, run: Run | None = None) -> Trainer:
    """The trainer of a fold; nothing is written before it runs.

    Args:
        training: What to train.
        run: What other processes know the training by.

    Raises:
        SegForgeError: If plans and labels do not fit together, or a name is unknown.
    """
    labels, configuration = training.description.label_scheme, training.plans.configuration(training.configuration)
    if configuration.architecture.output_channels != labels.heads:
        raise SegForgeError(
            f"The plans {training.plans.name} have {configuration.architecture.output_channels} segmentation heads, "
            f"the labels in {FILE_NAME} need {labels.heads}. Run segforge plan again."
        )
    check_patch(configuration)
    kind = _trainer_class(training.settings.trainer, TRAINERS if configuration.previous_stage is None else CASCADE_TRAINERS)
    names = dict.fromkeys((*training.cases.train, *training.cases.val))
    return kind(
        TrainingJob(
            name=training.configuration,
            configuration=configuration,
            labels=labels,
            fold=training.fold,
            folder=training.model.fold(training.fold).path,
            cases=MappedCases(training.store, names),
            training=training.cases.train,
            validation=training.cases.val,
            settings=training.settings,
            device=training.device,
            start=training.start,
            keeps_checkpoints=training.keeps_checkpoints,
            full_volume=training.full_volume,
            extend=training.extend,
            run=run,
            loggers=training.loggers,
            compilation=training.compilation,
        )
    )


def _trainer_class(name: str, ours: Mapping[str, str]) -> type[Trainer]:
    """The class of a trainer; one of one's own must be a subclass of the default."""
    kind: type[Trainer] = plugins.find("trainers", name, ours, allow_path=True)
    if not (isinstance(kind, type) and issubclass(kind, plugins.find("trainers", "default", ours))):
        raise SegForgeError(f"-tr {name} must be a subclass of {ours['default'].replace(':', '.')}.")
    return kind


def _own_plans(training: Training, spec: ArchitectureSpec) -> Plans:
    """The plans with this model's configuration first, and with the network that is really trained."""
    chain = training.plans.with_previous_stages(training.configuration)
    used = chain[training.configuration].model_copy(update={"architecture": spec})
    return training.plans.model_copy(update={"configurations": chain | {training.configuration: used}})


def _compare_settings(training: Training, others: list[str]) -> None:
    there = TrainingSettings.read(training.model.settings_path)
    if differences := training.settings.differences(there):
        remedy = "a --name of its own" if others else "--restart, or a --name of its own"
        raise SegForgeError(
            f"{training.model.path} was begun with other settings: {', '.join(differences)}. Use the same, or {remedy}."
        )


def _compare_plans(training: Training, own: Plans) -> None:
    model = training.model
    if model.plans != own:
        raise SegForgeError(f"{model.path} was begun with other plans of that name. Give this training a --name of its own.")
    there, now = model.description, training.description
    if (there.labels, there.channel_names, there.regions_class_order) != (
        now.labels,
        now.channel_names,
        now.regions_class_order,
    ):
        raise SegForgeError(
            f"{model.path} was begun with other labels or channels in {FILE_NAME}. Give this training a --name of its own."
        )


def _settle_cases(training: Training, folder: FoldFolder) -> None:
    """Write down which cases the fold trains on, or compare them with what was written when it began."""
    if not folder.cases_path.is_file():
        write_text(folder.cases_path, to_json(training.cases.model_dump(mode="json")), durable=True)
    elif folder.cases() != training.cases:
        raise SegForgeError(
            f"{folder.path} was begun with other cases than fold {training.fold} has now: the data set or its folds have "
            "changed. Begin anew with --restart."
        )
