"""What a user may choose about a training; `settings.json` of a model folder, one for all its folds."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from segforge.compute.documents import Document
from segforge.training.choices import OPTIMIZERS

_EPOCHS = 1000
_OWN_OPTIONS = {"learning_rate": "--lr", "budget_seconds": "--budget", "trainer": "-tr"}
WITHOUT_OPTION = ("momentum", "amsgrad", "weight_decay", "gradient_norm", "dice_smoothing", "foreground_drawn")
"""Numbers of a training that no option of the command line chooses."""
_UNTYPED = (*WITHOUT_OPTION, "version", "previous_model", "deep_supervision")  # the last is only turned off


def option_of(setting: str) -> str:
    """What a user types for a setting: `--lr` for `learning_rate`; its own name where there is no option."""
    if setting in _UNTYPED:
        return setting
    return _OWN_OPTIONS.get(setting, f"--{setting.replace('_', '-')}")


class TrainingSettings(Document):
    """The numbers of a training (METHOD, section 5).

    Attributes:
        version: Version of this schema.
        trainer: The trainer class.
        epochs: Epochs; None where they result from the budget.
        budget_seconds: Time of the training, without the final validation of whole cases; None where epochs are given.
        iterations: Training steps per epoch; within a budget the most.
        validation_iterations: Validation steps per epoch; fewer, in proportion, where an epoch has fewer training steps.
        batch_size: Patches per step.
        optimizer: Name of the optimizer.
        learning_rate: At the start; it falls by the schedule. Where it is not given, the optimizer's (`OPTIMIZERS`).
        momentum: Nesterov momentum of sgd.
        amsgrad: Whether adam and adamw divide by the largest second moment so far.
        weight_decay: On all parameters. Where it is not given, the optimizer's.
        schedule: How the learning rate falls.
        warmup: Epochs in which it rises linearly before that.
        gradient_norm: Gradients are clipped to this norm.
        loss: Name of the loss.
        label_smoothing: Share of the truth that the cross-entropy spreads evenly over the classes.
        dice_smoothing: Added to numerator and denominator of soft Dice.
        norm: Normalization of the network; None leaves it as the plan has it.
        deep_supervision: Whether lower resolutions are trained too, where the plan has it so.
        augmentation: Name of the augmentation.
        mirror_axes: Spatial axes, from 0, that are mirrored in training and may be in prediction; None stands for all,
            without augmentation for none.
        foreground_share: Share of a batch that is centred on foreground.
        foreground_drawn: Whether each sample is so with that chance, instead of the last ones of every batch.
        validate_every: Epochs after which whole validation cases are predicted; 0 never does it.
        best_by: What the best checkpoint is chosen by: the moving average of the pseudo-Dice, or full-volume Dice.
        precision: In what the network computes; `auto` is the reduced precision that a CUDA device is fast in, else fp32.
        seed: All randomness follows from it.
        pretrained: Hash of the file of weights that the training began with.
        previous_model: Folder of the model whose predictions are further input channels, for a cascade.
    """

    version: Literal[1] = 1
    trainer: str = "default"
    epochs: int | None = Field(default=None, ge=1)
    budget_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    iterations: int = Field(default=250, ge=1)
    validation_iterations: int = Field(default=50, ge=1)
    batch_size: int = Field(ge=1)
    optimizer: Literal["sgd", "adam", "adamw", "adan"] = "sgd"
    learning_rate: float = Field(gt=0, allow_inf_nan=False)
    momentum: float = Field(default=0.99, ge=0, lt=1)
    amsgrad: bool = False
    weight_decay: float = Field(ge=0, allow_inf_nan=False)
    schedule: Literal["poly", "cosine", "constant"] = "poly"
    warmup: int = Field(default=0, ge=0)
    gradient_norm: float = Field(default=12.0, gt=0)
    loss: str = "dice_ce"
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    dice_smoothing: float = Field(default=1e-5, ge=0, allow_inf_nan=False)
    norm: Literal["instance", "batch"] | None = None
    deep_supervision: bool = True
    augmentation: str = "default"
    mirror_axes: tuple[int, ...] | None = None
    foreground_share: float = Field(default=0.33, ge=0, le=1)
    foreground_drawn: bool = False
    validate_every: int = Field(default=0, ge=0)
    best_by: Literal["pseudo-dice", "full-volume"] = "pseudo-dice"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    seed: int = Field(default=0, ge=0)
    pretrained: str | None = None
    previous_model: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _numbers_of_the_optimizer(cls, content: Any) -> Any:
        if isinstance(content, dict):
            return OPTIMIZERS.get(str(content.get("optimizer", "sgd")), OPTIMIZERS["sgd"]) | content
        return content

    @model_validator(mode="before")
    @classmethod
    def _length(cls, content: Any) -> Any:
        if isinstance(content, dict) and content.get("budget_seconds") is None:
            return {"epochs": _EPOCHS} | content
        return content

    @model_validator(mode="after")
    def _length_is_one_of_two(self) -> Self:
        if (self.epochs is None) == (self.budget_seconds is None):
            raise ValueError("the length is either a number of epochs or a budget of time; give --epochs or --budget")
        return self

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.epochs is not None and self.warmup >= self.epochs:
            raise ValueError(f"--warmup {self.warmup} leaves nothing of the {self.epochs} epochs; give less, or more --epochs")
        return self

    @model_validator(mode="after")
    def _mirroring_is_augmentation(self) -> Self:
        if self.augmentation == "none" and self.mirror_axes:
            raise ValueError("--augmentation none mirrors nothing; leave --mirror-axes out, or take another --augmentation")
        return self

    @model_validator(mode="after")
    def _best_is_measured(self) -> Self:
        if self.best_by == "full-volume" and not self.validate_every:
            raise ValueError("--best-by full-volume needs whole cases; add --validate-every EPOCHS")
        return self

    def differences(self, other: "TrainingSettings") -> list[str]:
        """In words, the fields in which two settings differ: `--epochs 20, not 1000`."""
        pairs = ((name, getattr(self, name), getattr(other, name)) for name in type(self).model_fields)
        return [f"{option_of(name)} {_shown(mine)}, not {_shown(theirs)}" for name, mine, theirs in pairs if mine != theirs]


def _shown(value: object) -> object:
    return "left out" if value is None else value
