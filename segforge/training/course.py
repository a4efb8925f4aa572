"""How long a training goes on, and its learning rate on the way."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from pydantic import Field

from segforge.compute.documents import Document
from segforge.training.schedule import scheduled_learning_rate
from segforge.training.settings import TrainingSettings

VALIDATION_SHARE = 1 / 3
"""A validation step has a forward pass, a training step a backward pass of twice its cost too."""


class Extension(Document):
    """Epochs after the end of a training.

    Attributes:
        base: Epochs that the training had.
        epochs: Epochs that come after those.
        iterations: Training steps in each of them.
    """

    base: int = Field(ge=1)
    epochs: int = Field(ge=1)
    iterations: int = Field(ge=1)


class Countdown(Document):
    """A span of time in which the learning rate falls to its end.

    Attributes:
        seconds: The whole span.
        spent: How much of it was spent when this was written.
        learning_rate: From which it falls.
        warmup: Epochs in which the learning rate rises linearly before that.
        share: How much of the schedule has passed, 0 to 1.
    """

    seconds: float = Field(ge=0, allow_inf_nan=False)
    spent: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    learning_rate: float = Field(ge=0, allow_inf_nan=False)
    warmup: int = Field(default=0, ge=0)
    share: float = Field(default=0.0, ge=0, le=1)


class CourseFacts(Document):
    """What a checkpoint says of a course that is not simply that of the settings' epochs."""

    extension: Extension | None = None
    countdown: Countdown | None = None


@dataclass(frozen=True)
class Outlook:
    """How a training will go on.

    Attributes:
        epoch_seconds: Wall time of an epoch.
        epochs: Epochs of the whole training.
        seconds: Until its end.
    """

    epoch_seconds: float
    epochs: int
    seconds: float


class Course(ABC):
    """Tells a trainer step by step how the training goes on; the order of its calls is that of the methods."""

    def __init__(self, settings: TrainingSettings, extension: Extension | None = None) -> None:
        self._settings = settings
        self.extension = extension

    @property
    @abstractmethod
    def epochs(self) -> int:
        """Epochs of the whole training; where time sets its end, about the fewest."""

    @property
    def iterations(self) -> int:
        """The most training steps of an epoch."""
        return self.extension.iterations if self.extension else self._settings.iterations

    @abstractmethod
    def describe(self) -> str:
        """The length in words."""

    @abstractmethod
    def goes_on(self, epoch: int) -> bool:
        """Whether there is an epoch of that number."""

    @abstractmethod
    def begin_epoch(self, epoch: int, steps: int) -> None:
        """An epoch begins, or goes on after some steps."""

    @abstractmethod
    def learning_rate(self, epoch: int) -> float:
        """The learning rate of the coming step, which is one of that epoch."""

    def ends_epoch(self, steps: int) -> bool:
        """Whether the epoch's training is over after so many steps; asked before each step."""
        return steps >= self.iterations

    def validation_steps(self, steps: int) -> int:
        """Validation steps of an epoch that has so many training steps."""
        return max(1, round(self._settings.validation_iterations * steps / self._settings.iterations))

    @abstractmethod
    def begin_validation(self) -> None:
        """The epoch's training is over."""

    @abstractmethod
    def is_last(self, epoch: int) -> bool:
        """Whether the epoch under way, of which training and validation are over, is the last."""

    @abstractmethod
    def end_epoch(self) -> None:
        """The epoch is over and saved."""

    @abstractmethod
    def outlook(self, epoch: int, epoch_seconds: float) -> Outlook:
        """What is to come.

        Args:
            epoch: Completed epochs.
            epoch_seconds: Wall time of an epoch with all its steps.
        """

    @abstractmethod
    def facts(self) -> CourseFacts | None:
        """What a checkpoint must say so that the training can go on."""


class EpochCourse(Course):
    """A number of epochs: those of the settings, or those and an extension.

    An extension has the learning rates that a training of all these epochs has at its end.
    """

    @property
    def epochs(self) -> int:
        """Epochs of the whole training."""
        if self.extension:
            return self.extension.base + self.extension.epochs
        assert self._settings.epochs is not None  # the settings say epochs or a budget
        return self._settings.epochs

    def describe(self) -> str:
        """The length in words."""
        if self.extension:
            return f"{self.extension.epochs} epochs of {self.iterations} steps after the first {self.extension.base}"
        return f"{self.epochs} epochs of {self.iterations} steps"

    def goes_on(self, epoch: int) -> bool:
        """Whether there is an epoch of that number."""
        return epoch < self.epochs

    def begin_epoch(self, epoch: int, steps: int) -> None:
        """All epochs have the same length."""

    def learning_rate(self, epoch: int) -> float:
        """The learning rate of an epoch, the same for all its steps."""
        settings = self._settings
        return scheduled_learning_rate(settings.schedule, settings.learning_rate, epoch, self.epochs, warmup=settings.warmup)

    def begin_validation(self) -> None:
        """What it takes changes nothing."""

    def is_last(self, epoch: int) -> bool:
        """Whether no other epoch follows."""
        return epoch + 1 >= self.epochs

    def end_epoch(self) -> None:
        """What it took changes nothing."""

    def outlook(self, epoch: int, epoch_seconds: float) -> Outlook:
        """What is to come."""
        return Outlook(epoch_seconds, self.epochs, (self.epochs - epoch) * epoch_seconds)

    def facts(self) -> CourseFacts | None:
        """The extension, if it is one."""
        return CourseFacts(extension=self.extension) if self.extension else None
