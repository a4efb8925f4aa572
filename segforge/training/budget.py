"""A training that has a span of time instead of a number of epochs."""

import math
import time
from collections import deque
from collections.abc import Callable

from segforge.compute.wording import duration
from segforge.training.course import VALIDATION_SHARE, Countdown, Course, CourseFacts, Extension, Outlook
from segforge.training.schedule import scheduled_learning_rate
from segforge.training.settings import TrainingSettings

_SHARE = 1 / 50
"""An epoch takes no longer than this share of the time,"""
_OVERHEADS = 5
"""unless what comes after its steps (validation, saving) would take more than a fifth of it."""
_FURTHER = 0.5  # of that: the end of the training has one more checkpoint to write than the end of an epoch
_REMEMBERED = 50
_SHORT = 0.25  # of an epoch: less than that is no epoch of its own


class TimedCourse(Course):
    """A span of time, in which the learning rate falls by the schedule as the time is spent.

    The clock runs while a process trains; what was spent stands in the checkpoints. Steps and what comes after them are
    measured on the way: the rest of the schedule is spread over the time that is left for steps, so that it never goes
    back and is over when the last step is, and each epoch gets its part of the time that is left.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        countdown: Countdown,
        extension: Extension | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clock.

        Args:
            settings: Of the training.
            countdown: The span of time, and what is spent of it.
            extension: The one that it belongs to, if any.
            clock: Seconds.
        """
        super().__init__(settings, extension)
        self._countdown = countdown
        self._share = countdown.share
        self._share_at = countdown.spent
        self._is_warming = False
        self._clock = clock
        self._zero = clock() - countdown.spent
        self._epoch_at, self._until = countdown.spent, countdown.seconds
        self._is_last = False
        self._step: float | None = None
        self._is_cold = True
        self._timed_from: tuple[float, int] | None = None
        self._steps_end = 0.0
        self._overheads: deque[float] = deque(maxlen=_REMEMBERED)

    @property
    def spent(self) -> float:
        """Seconds that this training has taken so far."""
        return self._clock() - self._zero

    @property
    def left(self) -> float:
        """Seconds that it still has."""
        return max(0.0, self._countdown.seconds - self.spent)

    @property
    def epochs(self) -> int:
        """About the fewest epochs that it will have."""
        return round(1 / _SHARE)

    def describe(self) -> str:
        """The length in words."""
        return f"{duration(self._countdown.seconds)} in epochs of up to {self.iterations} steps"

    def goes_on(self, epoch: int) -> bool:
        """Whether there is time for another epoch; there is always one."""
        return epoch == 0 or (not self._is_last and self.left > self._next_step + self._reserve)

    def begin_epoch(self, epoch: int, steps: int) -> None:
        """Give the epoch its part of the time that is left."""
        self._advance()
        self._is_warming = epoch < self._countdown.warmup
        left, usual = self.left, self._usual_seconds(self._whole_epoch)
        count = max(1, math.ceil(left / usual - _SHORT)) if usual else 1
        self._is_last = count == 1
        self._epoch_at = self.spent
        self._until = self._epoch_at + left / count
        self._timed_from = None

    def learning_rate(self, epoch: int) -> float:
        """The learning rate of this moment."""
        countdown = self._countdown
        if epoch < countdown.warmup:
            return countdown.learning_rate * (epoch + 1) / countdown.warmup
        return scheduled_learning_rate(self._settings.schedule, countdown.learning_rate, self._share, 1.0)

    def ends_epoch(self, steps: int) -> bool:
        """Whether another step would take more than the epoch's time."""
        self._advance()
        self._measure(steps)
        end = self.spent + self._next_step
        after = self._overhead if self._overheads else self._next_step * VALIDATION_SHARE * self.validation_steps(steps)
        return super().ends_epoch(steps) or end + after >= self._until or end + self._reserve >= self._countdown.seconds

    def validation_steps(self, steps: int) -> int:
        """As many as the training steps ask for, but only so many that they take a fifth of the epoch's time."""
        seconds = max(0.0, self._until - self._epoch_at) / _OVERHEADS
        most = seconds / (self._step * VALIDATION_SHARE) if self._step else math.inf if seconds else 0
        return max(1, int(min(super().validation_steps(steps), most)))

    def begin_validation(self) -> None:
        """Remember when the steps were over."""
        self._steps_end = self.spent

    def is_last(self, epoch: int) -> bool:
        """Whether no time is left for another one; then there is none."""
        self._is_last = self._is_last or self.left <= self._next_step + 2 * self._reserve
        return self._is_last

    def end_epoch(self) -> None:
        """Remember what came after the steps."""
        self._overheads.append(self.spent - self._steps_end)

    def outlook(self, epoch: int, epoch_seconds: float) -> Outlook:
        """What is to come: an epoch takes its share of the time at most."""
        usual = self._usual_seconds(epoch_seconds)
        return Outlook(usual, epoch + (math.ceil(self.left / usual) if usual else 0), self.left)

    def facts(self) -> CourseFacts:
        """The span of time, and what is spent of it."""
        now = self._countdown.model_copy(update={"spent": self.spent, "share": self._share})
        return CourseFacts(extension=self.extension, countdown=now)

    @property
    def _next_step(self) -> float:
        return self._step or 0.0

    @property
    def _reserve(self) -> float:
        """What the end of the training may take, by the ends of the epochs so far."""
        return max(self._overheads, default=0.0) + _FURTHER * self._overhead

    @property
    def _overhead(self) -> float:
        """What comes after the steps of an epoch, in the mean."""
        return sum(self._overheads) / max(1, len(self._overheads))

    @property
    def _whole_epoch(self) -> float:
        """Seconds of an epoch with all its steps, as far as they are known."""
        return math.inf if self._step is None else self.iterations * self._step + self._overhead

    def _usual_seconds(self, whole_epoch: float) -> float:
        longest = max(self._countdown.seconds * _SHARE, _OVERHEADS * self._overhead)
        return min(longest, whole_epoch)

    def _advance(self) -> None:
        """Spread the rest of the schedule over the time that is left for steps."""
        now, left = self.spent, self._countdown.seconds - self._reserve - self._share_at
        if not self._is_warming:
            passed = (now - self._share_at) / left if left > 0 else 1.0
            self._share = min(1.0, self._share + (1 - self._share) * passed)
        self._share_at = now

    def _measure(self, steps: int) -> None:
        """The mean time of the epoch's steps so far; the first step of a process, which warms up, counts for itself only."""
        now = self.spent
        begun, before = self._timed_from or (now, steps)
        if steps > before:
            self._step = (now - begun) / (steps - before)
            if self._is_cold:
                begun, before, self._is_cold = now, steps, False
        self._timed_from = begun, before
