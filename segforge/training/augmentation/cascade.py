"""Augmentation for a cascade: the previous stage's map moves with the labels and becomes further channels of the image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from segforge.errors import SegForgeError
from segforge.training.augmentation.corruption import Corruption, corrupt, draw_corruption
from segforge.training.augmentation.pipeline import BatchTransform


class MovingTransform(BatchTransform, Protocol):
    """What a cascade asks of an augmentation besides."""

    def move_labels(self, labels: Sequence[Tensor], parameters: Any) -> Tensor:
        """Labels of samples, moved just as calling it would move them: `(B, *patch)` int16 without negative values."""


@dataclass(frozen=True, eq=False)
class CascadeParameters:
    """Everything random in one batch: of the augmentation, and the mistakes in the maps."""

    inner: Any
    corruption: Corruption | None


class CascadeTransform:
    """An augmentation whose `labels` are pairs `(2, *source_size)`: the labels, and the map of the previous stage.

    Attributes:
        patch_size: Size of the augmented patch.
        initial_patch_size: Size of the patch that is read for it.
    """

    def __init__(self, inner: BatchTransform, *, labels: int, corrupts: bool) -> None:
        """Wrap an augmentation.

        Args:
            inner: What happens to image and labels.
            labels: Foreground labels, each of which becomes a channel.
            corrupts: Whether the maps get mistakes, as in training.

        Raises:
            SegForgeError: If the augmentation cannot move labels alone.
        """
        if not hasattr(inner, "move_labels"):
            raise SegForgeError(
                f"The augmentation {type(inner).__name__} has no method move_labels, which a cascade needs to move the "
                "previous stage's map with the labels. Choose --augmentation default, strong or none, or add the method."
            )
        self._inner = cast(MovingTransform, inner)
        self._labels = labels
        self._corrupts = corrupts
        self.patch_size = inner.patch_size
        self.initial_patch_size = inner.initial_patch_size

    def draw(self, rng: np.random.Generator, batch_size: int) -> CascadeParameters:
        """Draw everything random in one batch."""
        inner = self._inner.draw(rng, batch_size)
        corruption = draw_corruption(rng, batch_size=batch_size, labels=self._labels) if self._corrupts else None
        return CascadeParameters(inner, corruption)

    def source_sizes(self, parameters: CascadeParameters) -> list[tuple[int, ...]]:
        """Size of the box that has to be read for each sample."""
        return self._inner.source_sizes(parameters.inner)

    def __call__(
        self, images: Sequence[Tensor], labels: Sequence[Tensor], parameters: CascadeParameters
    ) -> tuple[Tensor, Tensor]:
        """Make a batch: image channels and one 0/1 channel per label, `(B, C + L, *patch)`, and labels `(B, *patch)`."""
        batch, targets = self._inner(images, [pair[0] for pair in labels], parameters.inner)
        maps = self._inner.move_labels([pair[1] for pair in labels], parameters.inner)
        if parameters.corruption:
            corrupt(maps, parameters.corruption)
        return torch.cat([batch, one_hot(maps, self._labels).to(batch.dtype)], 1), targets


def one_hot(maps: Tensor, labels: int) -> Tensor:
    """One boolean map for each label from 1 on: `(B, ...)` -> `(B, labels, ...)`."""
    return torch.stack([maps == label for label in range(1, labels + 1)], 1)
