"""From the words that a user types to the folder of a model that is trained or being trained."""

from pathlib import Path

from segforge.networks.model_folder import ModelFolder
from segforge.planning.plans import Plans, plans_path, read_plans
from segforge.training.nnunet_names import PLANS, training_name
from segforge.workspace import checked_name


def named_model(
    preprocessed: Path, results: Path, configuration: str, *, plans: str, name: str | None, trainer: str
) -> tuple[ModelFolder, Plans]:
    """A model's folder, there or not, and the plans of its name.

    Args:
        preprocessed: The data set's folder of plans.
        results: The data set's folder of models.
        configuration: Name of the configuration.
        plans: Name of the plans, ours or nnU-Net's.
        name: Name of the training; None takes the trainer's.
        trainer: Name of the trainer.

    Raises:
        SegForgeError: If there are no such plans, or the name cannot be one.
    """
    found = read_plans(preprocessed, _plans_name(preprocessed, plans))
    own_name = checked_name(name or training_name(trainer), "training's name")
    return ModelFolder(results / ModelFolder.name_of(own_name, found.name, configuration)), found


def _plans_name(preprocessed: Path, name: str) -> str:
    """Our name of the plans, unless there are some that really have nnU-Net's."""
    return name if plans_path(preprocessed, name).is_file() else PLANS.get(name, name)
