"""`segforge train` as a function."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import get_args

from segforge import plugins
from segforge.api.model_names import named_model
from segforge.api.prepared import open_prepared
from segforge.compute.files import file_hash
from segforge.dataset.splits import fold_cases
from segforge.errors import SegForgeError
from segforge.evaluation.summary import Summary
from segforge.experiment.full_volume import FullVolume, handful
from segforge.experiment.kept_logits import DEFAULT_LIMIT
from segforge.experiment.prepared import Prepared
from segforge.experiment.validation import validate_fold
from segforge.networks.model_folder import BEST, FINAL, ModelFolder
from segforge.planning.fingerprint import FILE_NAME as FINGERPRINT
from segforge.planning.plans import Configuration, Plans
from segforge.sharing.starting_weights import starting_weights
from segforge.training import group
from segforge.training.loggers import LOGGERS
from segforge.training.nnunet_names import is_nnunet_trainer, settings_of_trainer
from segforge.training.run import Training, train_fold
from segforge.training.running import Compilation
from segforge.training.settings import TrainingSettings, option_of
from segforge.training.together import followed, joined

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingOptions:
    """What a user may choose about a training; None takes the plan's or the method's number.

    The names and their meaning are those of `segforge.training.settings.TrainingSettings`.
    """

    epochs: int | None = None
    budget_seconds: float | None = None
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
    validate_every: int | None = None
    best_by: str | None = None
    precision: str | None = None
    seed: int | None = None


@dataclass(frozen=True)
class TrainingMode:
    """What a call of `train` does, which is no part of the model's settings.

    Attributes:
        validate_only: Whether to leave the training out.
        validate_best: Whether to validate the best checkpoint instead of the final one.
        keeps_checkpoints: Whether there are checkpoints before the final one, from which a stopped training goes on.
        keep_logits: Bytes that the logits kept from the validations of all the data set's models may take together.
        save_probabilities: Whether the validation writes probabilities beside the label maps, as `CASE.npz`.
        extend: Epochs by which to extend a finished training, counted from where it first ended; 0 does not.
        log: Names of loggers: `tensorboard`, `wandb`, `mlflow`, or a plug-in's.
        compile: Whether to compile the network: `on`, `off`, or `auto`, which does it where it repays.
    """

    validate_only: bool = False
    validate_best: bool = False
    keeps_checkpoints: bool = True
    keep_logits: int = DEFAULT_LIMIT
    save_probabilities: bool = False
    extend: int = 0
    log: Sequence[str] = ()
    compile: Compilation = "auto"

    def __post_init__(self) -> None:
        if self.validate_best and not self.keeps_checkpoints:
            raise SegForgeError("--validate-best needs the best checkpoint, which --no-checkpoints leaves out. Choose one.")
        if self.compile not in get_args(Compilation):
            raise SegForgeError(f"--compile {self.compile} is unknown. Use {', '.join(get_args(Compilation))}.")
        if self.extend < 0:
            raise SegForgeError(f"--extend {self.extend} is no number of epochs. Give 1 or more.")
        if self.extend and self.validate_only:
            raise SegForgeError("--extend trains and --validate-only does not. Choose one.")


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
    adapt_channels: bool = False,
    mode: TrainingMode = TrainingMode(),
    device: str = "auto",
    gpus: int = 1,
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
        pretrained: A checkpoint whose weights to begin with, ours or nnU-Net's.
        adapt_channels: Whether its first layer may be made to fit another number of input channels.
        mode: What to leave out.
        device: `auto`, `cuda`, `cuda:N`, `mps` or `cpu`.
        gpus: Number of GPUs of this machine that share each batch; with `cpu` that of processes. Started by torchrun, it
            joins the others.
        restart: Whether to move an earlier result aside and begin anew.
        workspace: The workspace folder; None finds it.

    Returns:
        The validation of the fold.

    Raises:
        SegForgeError: If something that is needed is missing or does not fit; says what to do.
        Interrupted: After SIGINT or SIGTERM; everything done is saved.
    """
    if mode.extend and restart:
        raise SegForgeError("--extend goes on from what --restart moves aside. Choose one.")
    if gpus > 1 and not mode.validate_only:
        work = partial(
            train, dataset, configuration, fold, plans=plans, name=name, trainer=trainer, options=options,
            pretrained=pretrained, adapt_channels=adapt_channels, mode=mode, device=device, restart=restart,
            workspace=workspace,
        )  # fmt: skip
        with followed(gpus, device, work):
            return work()
    with joined(device) as own_device:
        prepared = open_prepared(dataset, own_device, workspace, mode.keep_logits)
        model, found = named_model(
            prepared.preprocessed, prepared.results, configuration, plans=plans, name=name, trainer=trainer
        )
        for logger in mode.log:
            plugins.find("loggers", logger, LOGGERS)
        if not mode.validate_only:
            with group.first_alone():  # which makes what a cascade lacks of its previous stage
                training = prepare_training(
                    prepared, model, found, configuration, str(fold), trainer=trainer, options=options, pretrained=pretrained,
                    as_begun=not restart,
                )  # fmt: skip
            start = None
            if pretrained is not None:
                spec = found.configuration(configuration).architecture
                start = starting_weights(pretrained, spec, adapt_channels=adapt_channels)
            training = replace(training, start=start, keeps_checkpoints=mode.keeps_checkpoints)
            training = replace(training, extend=mode.extend, loggers=tuple(mode.log), compilation=mode.compile)
            train_fold(training, restart=restart)
        with group.first_alone():
            return _validate(prepared, model, str(fold), mode)


def prepare_training(
    prepared: Prepared,
    model: ModelFolder,
    plans: Plans,
    configuration: str,
    fold: str,
    *,
    trainer: str,
    options: TrainingOptions,
    pretrained: Path | None = None,
    as_begun: bool = False,
) -> Training:
    """What the fold of a model is trained with.

    Args:
        prepared: The data set.
        model: The model's folder, there or not.
        plans: The plans.
        configuration: Name of the configuration.
        fold: Fold number, or `all`.
        trainer: Name of the trainer.
        options: Numbers that differ from the plan's, the trainer's or the method's.
        pretrained: A checkpoint whose weights to begin with; they are not read.
        as_begun: Whether numbers that nobody gives are those that the model was begun with.

    Raises:
        SegForgeError: If something that is needed is missing or does not fit; says what to do.
    """
    chosen = plans.configuration(configuration)
    previous = prepared.previous_model(model.path.name, plans, configuration) if chosen.previous_stage else None
    settings = training_settings(trainer, options, chosen, pretrained, previous)
    if as_begun and asks_nothing(trainer, options):
        settings = _as_begun(model, settings)
    cases = fold_cases(prepared.splits, fold, [case.id for case in prepared.raw.cases])
    store = prepared.store(plans, configuration, sorted({*cases.train, *cases.val}), previous)
    labels, device = prepared.raw.description.label_scheme, prepared.device
    whole = FullVolume(handful(cases.val), store, chosen, labels, device)
    return Training(
        model=model,
        plans=plans,
        configuration=configuration,
        description=prepared.raw.description,
        store=store,
        fold=fold,
        cases=cases,
        settings=settings,
        device=device,
        full_volume=whole if settings.validate_every else None,
        fingerprint=prepared.preprocessed / FINGERPRINT,
    )


def _validate(prepared: Prepared, model: ModelFolder, fold: str, mode: TrainingMode) -> Summary:
    if not model.settings_path.is_file():
        raise SegForgeError(f"{model.path} is not trained; there is nothing to validate. Leave --validate-only out.")
    return validate_fold(
        model,
        fold,
        prepared.raw,
        prepared.store_of(model, model.fold(fold).cases().val),
        prepared.device,
        checkpoint=BEST if mode.validate_best else FINAL,
        keep_logits=mode.keep_logits,
        probabilities=mode.save_probabilities,
    )


def asks_nothing(trainer: str, options: TrainingOptions) -> bool:
    """Whether a training is to be as its model was begun, if it was."""
    return trainer == TrainingSettings.model_fields["trainer"].default and options == TrainingOptions()


def _as_begun(model: ModelFolder, asked: TrainingSettings) -> TrainingSettings:
    """The numbers that a model was begun with; another fold of it must have them too."""
    if not (model.begun_folds() and model.settings_path.is_file()):
        return asked
    there = TrainingSettings.read(model.settings_path)
    taken = there.model_copy(update={name: getattr(asked, name) for name in ("trainer", "pretrained", "previous_model")})
    if differences := taken.differences(asked):
        log.info("As %s was begun: %s.", model.path.name, ", ".join(differences))
    return taken


def training_settings(
    trainer: str,
    options: TrainingOptions,
    configuration: Configuration,
    pretrained: Path | None,
    previous: ModelFolder | None,
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
    if previous is not None:
        content["previous_model"] = previous.path.name
    return TrainingSettings.parse(content, "The training", named=option_of)
