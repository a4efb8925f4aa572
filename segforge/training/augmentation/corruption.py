"""The map of the previous stage -> one with mistakes as that stage makes them, so that a cascade does not simply copy it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from segforge.images.components import connected_components
from segforge.training.augmentation.morphology import OPERATORS
from segforge.training.augmentation.parameters import Bools, Floats
from segforge.training.augmentation.transfer import on_device

RESHAPING_PROBABILITY = 0.4
RADIUS_RANGE = (1.0, 8.0)
REMOVAL_PROBABILITY = 0.2
LABEL_PROBABILITY = 0.5
"""Share of the labels that either touches in a sample that it was drawn for."""

LARGEST_SHARE = 0.15
"""Components of at least this share of the patch are not removed."""


@dataclass(frozen=True, eq=False)
class Corruption:
    """Everything random about the mistakes in the maps of B samples with L foreground labels.

    Attributes:
        orders: The order in which labels are reshaped, `(B, L)`, as indices from 0.
        reshaped: Which labels are, `(B, L)`.
        operators: By which operator, `(B, L)`, as indices into `OPERATORS`.
        radii: Of the ball, in voxels, `(B, L)`.
        removals: Which of its components a label loses, as a share of their number from 0 to below 1, `(B, L)`; NaN: none.
    """

    orders: NDArray[np.int64]
    reshaped: Bools
    operators: NDArray[np.int64]
    radii: Floats
    removals: Floats


def draw_corruption(rng: np.random.Generator, *, batch_size: int, labels: int) -> Corruption:
    """Draw the mistakes of one batch; every call takes the same number of draws of each kind, whatever comes out."""
    shape = (batch_size, labels)
    return Corruption(
        orders=rng.permuted(np.tile(np.arange(labels), (batch_size, 1)), axis=1),
        reshaped=_some(rng, shape, RESHAPING_PROBABILITY),
        operators=rng.integers(0, len(OPERATORS), shape),
        radii=rng.uniform(*RADIUS_RANGE, shape),
        removals=np.where(_some(rng, shape, REMOVAL_PROBABILITY), rng.random(shape), np.nan),
    )


def corrupt(maps: Tensor, corruption: Corruption) -> None:
    """Make the mistakes in maps `(B, *patch)` of labels from 1 on, in place."""
    for sample, classes in enumerate(maps):
        for index in corruption.orders[sample].tolist():
            if corruption.reshaped[sample, index]:
                operator, radius = corruption.operators[sample, index], corruption.radii[sample, index]
                _reshape(classes, index + 1, int(operator), float(radius))
        for index in np.flatnonzero(~np.isnan(corruption.removals[sample])).tolist():
            _remove_component(classes, index + 1, float(corruption.removals[sample, index]))


def _some(rng: np.random.Generator, shape: tuple[int, int], probability: float) -> Bools:
    """Which labels of which samples, `(B, L)`."""
    samples = rng.random((shape[0], 1)) < probability
    chosen: Bools = samples & (rng.random(shape) < LABEL_PROBABILITY)
    return chosen


def _reshape(classes: Tensor, label: int, operator: int, radius: float) -> None:
    """Change one label's mask; it takes what it gains from the others, and what it loses is background."""
    mask = classes == label
    classes.masked_fill_(mask, 0)
    classes.masked_fill_(OPERATORS[operator](mask, radius), label)


def _remove_component(classes: Tensor, label: int, choice: float) -> None:
    """Remove one of a label's small components.

    They are counted on the host: where maps lie on a GPU, this waits for it.
    """
    mask = (classes == label).cpu().numpy()
    numbers, sizes = connected_components(mask.reshape((1,) * (3 - mask.ndim) + mask.shape))
    small = np.flatnonzero(sizes < LARGEST_SHARE * mask.size) + 1
    if len(small):
        removed = numbers.reshape(mask.shape) == small[int(choice * len(small))]
        classes.masked_fill_(on_device(removed, classes.device), 0)
