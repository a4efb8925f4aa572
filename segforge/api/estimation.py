"""`segforge estimate` as a function."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from segforge.api.model_names import named_model
from segforge.api.prepared import open_prepared
from segforge.api.training import TrainingOptions, prepare_training
from segforge.compute.device import describe_device
from segforge.networks.model_folder import ModelFolder
from segforge.training.estimate import Estimate, estimate_of
from segforge.training.measurement import measure
from segforge.training.memory import explained_memory
from segforge.training.run import make_trainer


def estimate(
    dataset: int | str,
    configuration: str,
    fold: int | str = 0,
    *,
    plans: str = "default",
    name: str | None = None,
    trainer: str = "default",
    options: TrainingOptions | None = None,
    device: str = "auto",
    workspace: Path | None = None,
) -> Estimate:
    """Measure a few steps of a training on this machine; nothing is left behind.

    Args:
        dataset: Number or name of the data set.
        configuration: Name of the configuration.
        fold: Fold number, or `all`.
        plans: Name of the plans, ours or nnU-Net's.
        name: Name of the training; only a cascade asks for it.
        trainer: `default`, a plug-in's, `PACKAGE:CLASS`, or one of nnU-Net's names.
        options: Numbers that differ from the plan's, the trainer's or the method's.
        device: `auto`, `cuda`, `cuda:N`, `mps` or `cpu`.
        workspace: The workspace folder; None finds it.

    Returns:
        Time, memory, what bounds the training, and what to change.

    Raises:
        SegForgeError: If something that is needed is missing, or the device has too little memory; says what to do.
    """
    prepared = open_prepared(dataset, device, workspace)
    model, found = named_model(prepared.preprocessed, prepared.results, configuration, plans=plans, name=name, trainer=trainer)
    training = prepare_training(
        prepared, model, found, configuration, str(fold), trainer=trainer, options=options or TrainingOptions()
    )
    with (
        TemporaryDirectory(prefix="segforge-estimate-") as folder,
        explained_memory(found.configuration(configuration), training.settings.batch_size, prepared.device),
    ):
        made = make_trainer(replace(training, model=ModelFolder(Path(folder))))
        return estimate_of(measure(made), made.job, describe_device(prepared.device))
