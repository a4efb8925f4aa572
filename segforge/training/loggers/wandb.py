"""Weights & Biases: a run in the project of the data set's name; `WANDB_MODE=offline` keeps it on this machine."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from segforge.training.loggers.logger import LoggedRun

_SECONDS = 30


class WandbLogger:
    """Sends an epoch's numbers with the epoch as their axis."""

    package: ClassVar[str] = "wandb"

    def __init__(self, run: LoggedRun) -> None:
        import wandb

        self._wandb = wandb
        self._run = wandb.init(
            project=run.project,
            name=run.name,
            id=run.id,
            resume="allow",
            dir=run.folder,
            config=dict(run.settings),
            settings=wandb.Settings(init_timeout=_SECONDS, console="off", quiet=True),
        )
        self._run.define_metric("*", step_metric="epoch")

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Send an epoch's numbers."""
        self._run.log({"epoch": epoch, **numbers})

    def picture(self, epoch: int, path: Path) -> None:
        """Send the picture."""
        self._run.log({"epoch": epoch, "progress": self._wandb.Image(str(path))})

    def close(self) -> None:
        """Send what is left."""
        self._run.finish()
