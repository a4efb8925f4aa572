"""`segforge stop` as a function."""

from pathlib import Path

from segforge.api.model_names import named_model
from segforge.compute.locks import Owner
from segforge.errors import SegForgeError
from segforge.networks.model_folder import LATEST, FoldFolder
from segforge.training.sole_run import ask_to_end
from segforge.workspace import find_workspace

WITHIN = 600.0
"""Seconds in which a training runs out where nothing else is asked for."""


def stop(
    dataset: int | str,
    configuration: str,
    fold: int | str,
    *,
    within: float = WITHIN,
    plans: str = "default",
    name: str | None = None,
    trainer: str = "default",
    workspace: Path | None = None,
) -> Owner:
    """Ask a training that is running to let its learning rate fall to its end within a time, and to end with a valid model.

    It notices at its next step. Asked again, it takes the newer time, if that is sooner.

    Args:
        dataset: Number or name of the data set.
        configuration: Name of the configuration.
        fold: Fold number, or `all`.
        within: Seconds; 0 ends at once.
        plans: Name of the plans, ours or nnU-Net's.
        name: Name of the training; None takes the trainer's.
        trainer: Its trainer.
        workspace: The workspace folder; None finds it.

    Returns:
        The process that was asked.

    Raises:
        SegForgeError: If no process trains this fold; says what there is instead.
    """
    place = find_workspace(workspace)
    dataset_name = place.dataset_name(str(dataset))
    model, found = named_model(
        place.preprocessed / dataset_name,
        place.results / dataset_name,
        configuration,
        plans=plans,
        name=name,
        trainer=trainer,
    )
    found.configuration(configuration)
    folder = model.fold(fold)
    try:
        return ask_to_end(folder.path, within)
    except SegForgeError as error:
        raise SegForgeError(f"{error} {_instead(folder)}".strip()) from error


def _instead(folder: FoldFolder) -> str:
    """What there is where no process trains."""
    if (folder.path / LATEST).is_file():
        return "An interrupted training goes on when its command is typed again."
    if folder.is_trained:
        return "It is trained to its end."
    others = sorted(path.parent.name for path in folder.path.parent.parent.glob(f"*/{folder.path.name}") if path.is_dir())
    return f"This fold was begun of {', '.join(others)}; name one by --name or -p." if others else ""
