"""What a trainer is told: one fold of one configuration, its cases, and the numbers of the training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from segforge.dataset.labels import LabelScheme
from segforge.planning.plans import Configuration
from segforge.preprocessing.preprocessor import PreprocessedCase
from segforge.training.pretrained import StartingWeights
from segforge.training.running import Compilation
from segforge.training.settings import TrainingSettings
from segforge.training.sole_run import Run


class FullVolumeValidator(Protocol):
    """Predicts whole cases with the network as it is in the middle of a training."""

    @property
    def cases(self) -> Sequence[str]:
        """The cases, the same ones every time."""

    def dice(self, case: str, network: nn.Module) -> dict[str, float]:
        """Dice of a case by name of the structure, NaN where it does not occur; draws nothing random.

        Args:
            case: One of the cases.
            network: In evaluation mode.
        """


@dataclass(frozen=True)
class TrainingJob:
    """What a trainer needs to know.

    Attributes:
        name: Name of the configuration.
        configuration: The configuration.
        labels: The labels.
        fold: Fold number, or `all`.
        folder: The fold's folder.
        cases: The preprocessed cases, by id.
        training: Ids of those to train on.
        validation: Ids of those to validate on.
        settings: The numbers of the training.
        device: Where tensors live.
        start: Weights to begin with instead of random ones.
        keeps_checkpoints: Whether there are checkpoints before the final one.
        full_volume: What predicts whole cases every few epochs, where the settings ask for it.
        extend: Epochs by which a finished training is extended.
        run: What other processes know this training by, and may ask to end soon.
        loggers: Names of the loggers that are told what the history is told.
        compilation: Whether the network is compiled.
    """

    name: str
    configuration: Configuration
    labels: LabelScheme
    fold: str
    folder: Path
    cases: Mapping[str, PreprocessedCase]
    training: tuple[str, ...]
    validation: tuple[str, ...]
    settings: TrainingSettings
    device: torch.device
    start: StartingWeights | None = None
    keeps_checkpoints: bool = True
    full_volume: FullVolumeValidator | None = None
    extend: int = 0
    run: Run | None = None
    loggers: tuple[str, ...] = ()
    compilation: Compilation = "off"
