"""What a logger is, and what it is told of a training."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from segforge.training.history import EpochRecord


@dataclass(frozen=True)
class LoggedRun:
    """A training, as a logger knows it.

    Attributes:
        id: The same word when the training goes on in another process, another one when it begins anew.
        folder: The fold's folder.
        project: Name of the data set.
        name: Model and fold.
        settings: The numbers of the training.
        first_epoch: The epoch that it goes on with; what was logged of it and later ones is obsolete.
    """

    id: str
    folder: Path
    project: str
    name: str
    settings: Mapping[str, Any]
    first_epoch: int


class Logger(Protocol):
    """Keeps the numbers of one training; all calls come from one thread, and may fail or take their time.

    Attributes:
        package: The package that it needs.
    """

    package: ClassVar[str]

    def __init__(self, run: LoggedRun) -> None:
        """Begin, or go on with, a training."""

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Keep an epoch's numbers, by names like `train_loss` and `pseudo_dice/Liver`."""

    def picture(self, epoch: int, path: Path) -> None:
        """Keep the picture of the progress so far, a PNG file."""

    def close(self) -> None:
        """The training has ended or stopped."""


def numbers_of(record: EpochRecord) -> dict[str, float]:
    """All numbers of an epoch by name, without those that are not known."""
    flat: dict[str, Any] = {}
    for name, value in asdict(record).items():
        flat |= {f"{name}/{key}": item for key, item in value.items()} if isinstance(value, dict) else {name: value}
    return {name: value for name, value in flat.items() if name != "epoch" and value is not None and math.isfinite(value)}
