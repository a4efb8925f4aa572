"""A clock that stands still unless it is told to go on, and trainings that run by it."""

from functools import partial

import pytest
import torch

from segforge.training.budget import TimedCourse
from segforge.training.trainer import Trainer


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def rule(self, patch: pytest.MonkeyPatch) -> None:
        """Have every course that is made from here on run by this clock."""
        for module in ("extension", "ending"):
            patch.setattr(f"segforge.training.{module}.TimedCourse", partial(TimedCourse, clock=self))


class ClockedTrainer(Trainer):
    """Each training step takes one second of the clock, each validation step a third; notes the learning rates."""

    clock: Clock

    def train_step(self, images: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        self.clock.now += 1
        self.rates = [*getattr(self, "rates", []), self.optimizer.param_groups[0]["lr"]]
        return super().train_step(images, target)

    def validation_step(self, images: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.clock.now += 1 / 3
        return super().validation_step(images, target)
