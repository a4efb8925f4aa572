"""`segforge train` and `segforge find-best` as functions."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from segforge.compute.device import resolve_device
from segforge.compute.files import file_hash
from segforge.dataset.cases import RawDataset, open_dataset
from segforge.dataset.description import DatasetDescription
from segforge.dataset.splits import FILE_NAME as SPLITS
from segforge.dataset.splits import cases_of_fold
from segforge.errors import SegForgeError
from segforge.evaluation.summary import Summary
from segforge.experiment.selection import Selection, select_best
from segforge.experiment.validation import validate_fold
from segforge.networks.checkpoint import load_checkpoint
from segforge.networks.model_folder import BEST, FINAL, ModelFolder
from segforge.planning.plans import Configuration, plans_path, read_plans
from segforge.preprocessing.recipe import recipe
from segforge.preprocessing.store import CaseStore
from segforge.training.nnunet_names import PLANS, is_nnunet_trainer, settings_of_trainer
from segforge.training.pretrained import StartingWeights
from segforge.training.run import Training, train_fold
from segforge.training.settings import TrainingSettings
from segforge.workspace import checked_name, find_workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingOptions:
    """What a user may choose about a training; None takes the plan's or the method's number.

    The names and their meaning are those of `segforge.training.settings.TrainingSettings`.
    """

    epochs: int | None = None
    iterations: int | None = None
    validation_iterations: int | None = None
    batch_size: int | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    momentum: float | None = None
    amsgrad: bool | None = None
    weight_decay: float | None = None
    schedule: str | None = None
    warmup: int | None = None
    loss: str | None = None
    label_smoothing: float | None = None
    dice_smoothing: float | None = None
    norm: str | None = None
    deep_supervision: bool | None = None
    augmentation: str | None = None
    mirror_axes: Sequence[int] | None = None
    foreground_share: float | None = None
    foreground_drawn: bool | None = None
    seed: int | None = None


@dataclass(frozen=True)
class TrainingMode:
    """What a call of `train` does, which is no part of the model's settings.

    Attributes:
        validate_only: Whether to leave the training out.
        validate_best: Whether to validate the best checkpoint instead of the final one.
        keeps_checkpoints: Whether there are checkpoints before the final one, from which a stopped training goes on.
    """

    validate_only: bool = False
    validate_best: bool = False
    keeps_checkpoints: bool = True

    def __post_init__(self) -> None:
        if self.validate_best and not self.keeps_checkpoints:
            raise SegForgeError("--validate-best needs the best checkpoint, which --no-checkpoints leaves out. Choose one.")


def train(
    dataset: int | str,
    configuration: str,
    fold: int | str,
    *,
    plans: str = "default",
    name: str | None = None,
    trainer: str = "default",
    options: TrainingOptions = TrainingOptions(),
    pretrained: Path | None = None,
    mode: TrainingMode = TrainingMode(),
    device: str = "auto",
    restart: bool = False,
    workspace: Path | None = None,
) -> Summary:
    """Train one fold and validate it on its held-out cases; goes on where it stopped.

    Args:
        dataset: Number or name of the data set.
        configuration: Name of the configuration.
        fold: Fold number, or `all`.
        plans: Name of the plans, ours or nnU-Net's.
        name: Name of the training, to keep several apart; None takes the trainer's.
        trainer: `default`, a plug-in's, `PACKAGE:CLASS`, or one of nnU-Net's names, which stands for options.
        options: Numbers that differ from the plan's, the trainer's or the method's.
        pretrained: A checkpoint whose weights to begin with.
        mode: What to leave out.
        device: `auto`, `cuda`, `cuda:N`, `mps` or `cpu`.
        restart: Whether to move an earlier result aside and begin anew.
        workspace: The workspace folder; None finds it.

    Returns:
        The validation of the fold.

    Raises:
        SegForgeError: If something that is needed is missing or does not fit; says what to do.
        Interrupted: After SIGINT or SIGTERM; everything done is saved.
    """
    place = find_workspace(workspace)
    dataset_name = place.dataset_name(str(dataset))
    folder = place.preprocessed / dataset_name
    plans = _plans_name(folder, plans)
    experiment = read_plans(folder, plans)
    chosen = experiment.configuration(configuration)
    if chosen.previous_stage:
        raise SegForgeError(f"{configuration} builds on the predictions of {chosen.previous_stage} and cannot be trained yet.")
    raw = open_dataset(place.raw_folder(dataset_name))
    own_name = checked_name(name or _name_of(trainer), "training's name")
    model = ModelFolder(place.results / dataset_name / ModelFolder.name_of(own_name, plans, configuration))
    if mode.validate_only:
        return _validate(model, str(fold), raw, folder, device, mode)
    training = Training(
        model=model,
        plans=experiment,
        configuration=configuration,
        description=raw.description,
        store=CaseStore(folder / chosen.data, recipe(experiment, chosen, raw.description)),
        fold=str(fold),
        cases=cases_of_fold(folder / SPLITS, str(fold), [case.id for case in raw.cases]),
        settings=_training_settings(trainer, options, chosen, pretrained),
        device=resolve_device(device),
        start=None if pretrained is None else StartingWeights(str(pretrained), load_checkpoint(pretrained).weights),
        keeps_checkpoints=mode.keeps_checkpoints,
    )
    train_fold(training, restart=restart)
    return _validate(model, str(fold), raw, folder, device, mode)


def find_best(
    dataset: int | str, *, folds: Sequence[int | str] | None = None, device: str = "auto", workspace: Path | None = None
) -> Selection:
    """Rank the trained models of a data set by cross-validated Dice and select the best for prediction.

    Args:
        dataset: Number or name of the data set.
        folds: Folds to compare on; None takes those that all trained models have.
        device: For validations that are still missing.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If nothing is trained, or the models have no fold in common.
    """
    place = find_workspace(workspace)
    name = place.dataset_name(str(dataset))
    folder = place.preprocessed / name
    raw = open_dataset(place.raw_folder(name))

    def validate(model: ModelFolder, fold: str) -> Summary:
        return validate_fold(model, fold, raw, _store_of(model, folder, raw.description), resolve_device(device))

    asked = [str(fold) for fold in folds or []] or None
    return select_best(place.results / name, raw.description.label_scheme, validate, asked)


def _store_of(model: ModelFolder, preprocessed: Path, description: DatasetDescription) -> CaseStore:
    """The preprocessed cases as a model was trained on them, whatever plans of its name say today."""
    plans = model.plans
    _, configuration = model.configuration(plans)
    return CaseStore(preprocessed / configuration.data, recipe(plans, configuration, description))


def _validate(model: ModelFolder, fold: str, raw: RawDataset, preprocessed: Path, device: str, mode: TrainingMode) -> Summary:
    if not model.settings_path.is_file():
        raise SegForgeError(f"{model.path} is not trained; there is nothing to validate. Leave --validate-only out.")
    store = _store_of(model, preprocessed, raw.description)
    checkpoint = BEST if mode.validate_best else FINAL
    return validate_fold(model, fold, raw, store, resolve_device(device), checkpoint=checkpoint)


def _training_settings(
    trainer: str, options: TrainingOptions, configuration: Configuration, pretrained: Path | None
) -> TrainingSettings:
    """The trainer's settings, and over them the options that were given."""
    given = {key: value for key, value in asdict(options).items() if value is not None}
    content = {"batch_size": configuration.batch_size} | given
    if is_nnunet_trainer(trainer):
        theirs = settings_of_trainer(trainer, dimensions=configuration.dimensions, batch_size=content["batch_size"])
        log.info("%s: %s.", trainer, ", ".join(f"{key} {value}" for key, value in theirs.items()) or "the default")
        content = theirs | content
    else:
        content["trainer"] = trainer
    if pretrained is not None:
        content["pretrained"] = file_hash(pretrained)
    return TrainingSettings.parse(content, "The training's settings")


def _name_of(trainer: str) -> str:
    """What a training is called where no name is given: as its trainer, if that is not the default."""
    name = trainer.rpartition(":")[2]
    return "default" if name == "nnUNetTrainer" else name


def _plans_name(preprocessed: Path, name: str) -> str:
    """Our name of the plans, unless there are some that really have nnU-Net's."""
    return name if plans_path(preprocessed, name).is_file() else PLANS.get(name, name)
