"""Opens a fold's training: the model folder, its cases, and the trainer."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from segforge import plugins
from segforge.compute.files import move_aside, remove_leftovers
from segforge.dataset.description import FILE_NAME, DatasetDescription
from segforge.dataset.splits import Fold
from segforge.errors import SegForgeError
from segforge.networks.model_folder import ModelFolder
from segforge.planning.plans import Plans
from segforge.preprocessing.store import CaseStore
from segforge.training.settings import TrainingSettings
from segforge.training.trainer import Trainer, TrainingJob

log = logging.getLogger(__name__)

TRAINERS = {"default": "segforge.training.trainer:Trainer"}


def train_fold(
    model: ModelFolder,
    plans: Plans,
    configuration: str,
    description: DatasetDescription,
    store: CaseStore,
    fold: str,
    cases: Fold,
    settings: TrainingSettings,
    device: torch.device,
) -> None:
    """Train one fold, or go on with it; a finished one is left as it is.

    Args:
        model: The folder of the model.
        plans: The plans.
        configuration: Name of the configuration.
        description: The data set's description.
        store: Its preprocessed cases.
        fold: Fold number, or `all`.
        cases: The cases of the fold.
        settings: The numbers of the training.
        device: Where to train.

    Raises:
        SegForgeError: If the model folder belongs to other plans or settings, or a case is missing or damaged.
    """
    _open_model_folder(model, plans, configuration, description, settings)
    folder = model.fold(fold)
    if folder.is_trained:
        log.info("%s is trained already. Train it anew with --restart.", folder.path)
        return
    folder.path.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder.path)
    kind: type[Trainer] = plugins.find("trainers", settings.trainer, TRAINERS, allow_path=True)
    job = TrainingJob(
        name=configuration,
        configuration=plans.configuration(configuration),
        labels=description.label_scheme,
        fold=fold,
        folder=folder.path,
        training={case: store.open(case) for case in cases.train},
        validation={case: store.open(case) for case in cases.val},
        settings=settings,
        device=device,
    )
    with _log_file(folder.path / "train.log"):
        kind(job).run()


def restart_fold(model: ModelFolder, fold: str) -> None:
    """Move a fold's folder aside; the model's settings go with the last one."""
    folder = model.fold(fold).path
    if folder.exists():
        log.info("The old result is kept in %s.", move_aside(folder))
    if not any(path.is_dir() and ".old-" not in path.name for path in model.path.glob("fold_*")):
        for path in (model.settings_path, model.path / "plans.json"):
            path.unlink(missing_ok=True)


def _open_model_folder(
    model: ModelFolder, plans: Plans, configuration: str, description: DatasetDescription, settings: TrainingSettings
) -> None:
    """Write what the folds share, or compare it with what is there."""
    own = plans.model_copy(update={"configurations": plans.with_previous_stages(configuration)})
    if model.settings_path.is_file():
        there = TrainingSettings.read(model.settings_path)
        if differences := settings.differences(there):
            raise SegForgeError(
                f"{model.path} was begun with other settings: {', '.join(differences)}. "
                "Use the same, --restart, or a --name of its own."
            )
        if model.plans != own:
            raise SegForgeError(f"{model.path} was begun with other plans of that name. Use --restart, or a --name of its own.")
        return
    own.write(model.path / "plans.json")
    description.write(model.path / FILE_NAME)
    settings.write(model.settings_path)


@contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Copy all messages into a file while the block runs."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("segforge")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
