"""Decides which boxes of which cases a batch is made of."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.preprocessing.locations import ANNOTATED


@dataclass(frozen=True)
class CaseLayout:
    """What the sampler knows of a case: its shape, and voxels of each structure that occurs, or any annotated ones."""

    shape: tuple[int, int, int]
    locations: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Position:
    """The box of one sample: the case, and the lower corner of the initial patch, which may lie outside."""

    case: str
    corner: tuple[int, ...]


class Sampler:
    """Draws positions of the initial patch (METHOD, section 5, Patches)."""

    def __init__(
        self,
        cases: Mapping[str, CaseLayout],
        patch: Sequence[int],
        initial: Sequence[int],
        batch_size: int,
        foreground_share: float,
        *,
        drawn: bool = False,
    ) -> None:
        """Set the sizes, each (z, y, x); for 2D configurations z is 1.

        Args:
            cases: The cases to draw from.
            patch: The network's input.
            initial: What is read before augmentation.
            batch_size: Samples per batch.
            foreground_share: Share of the samples, at the batch's end, that are centred on a structure.
            drawn: Whether each sample is centred on one with that chance instead.
        """
        self._names = list(cases)
        self._cases = cases
        self._patch = patch
        self._initial = initial
        self._batch_size = batch_size
        self._random_samples = round(batch_size * (1 - foreground_share))
        self._chance = foreground_share if drawn else None

    def draw(self, random: np.random.Generator) -> list[Position]:
        """One batch: cases uniformly with replacement, the last samples on foreground.

        With an ignore label the others are centred on annotated voxels.
        """
        chosen = random.integers(len(self._names), size=self._batch_size)
        if self._chance is None:
            on_foreground = [sample >= self._random_samples for sample in range(self._batch_size)]
        else:
            on_foreground = (random.random(self._batch_size) < self._chance).tolist()
        return [
            self._position(self._names[index], foreground, random)
            for index, foreground in zip(chosen, on_foreground, strict=True)
        ]

    def _position(self, name: str, foreground: bool, random: np.random.Generator) -> Position:
        case = self._cases[name]
        bounds = [self._bounds(axis, case.shape[axis]) for axis in range(3)]
        structures = [key for key in case.locations if key != ANNOTATED]
        centres = structures if foreground and structures else [key for key in case.locations if key == ANNOTATED]
        if centres:
            voxels = case.locations[centres[random.integers(len(centres))]]
            voxel = voxels[random.integers(len(voxels))]
            corner = [max(low, int(voxel[axis]) - self._initial[axis] // 2) for axis, (low, _) in enumerate(bounds)]
        else:
            corner = [int(random.integers(low, high + 1)) for low, high in bounds]
        return Position(name, tuple(corner))

    def _bounds(self, axis: int, size: int) -> tuple[int, int]:
        """Lowest and highest corner of a random sample along an axis."""
        pad = max(self._initial[axis] - self._patch[axis], self._initial[axis] - size)
        return -math.ceil(pad / 2), size + math.ceil(pad / 2) - self._initial[axis]
