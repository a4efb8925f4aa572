"""What a user may choose about a training; `settings.json` of a model folder, one for all its folds."""

from typing import Literal

from pydantic import Field

from segforge.compute.documents import Document


class TrainingSettings(Document):
    """The numbers of a training (METHOD, section 5).

    Attributes:
        version: Version of this schema.
        trainer: The trainer class.
        epochs: Epochs.
        iterations: Training steps per epoch.
        validation_iterations: Validation steps per epoch.
        batch_size: Patches per step.
        learning_rate: At the start; it falls to 0 by the schedule.
        momentum: Nesterov momentum of the optimizer.
        weight_decay: On all parameters.
        gradient_norm: Gradients are clipped to this norm.
        foreground_share: Share of a batch that is centred on foreground.
        seed: All randomness follows from it.
    """

    version: Literal[1] = 1
    trainer: str = "default"
    epochs: int = Field(default=1000, ge=1)
    iterations: int = Field(default=250, ge=1)
    validation_iterations: int = Field(default=50, ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(default=1e-2, gt=0)
    momentum: float = Field(default=0.99, ge=0, lt=1)
    weight_decay: float = Field(default=3e-5, ge=0)
    gradient_norm: float = Field(default=12.0, gt=0)
    foreground_share: float = Field(default=0.33, ge=0, le=1)
    seed: int = Field(default=0, ge=0)

    def differences(self, other: "TrainingSettings") -> list[str]:
        """In words, the fields in which two settings differ: `epochs 20, not 1000`."""
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in type(self).model_fields)
        return [f"{name} {mine}, not {theirs}" for name, mine, theirs in pairs if mine != theirs]
