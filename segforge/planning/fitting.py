"""Spacing, median shape and budget -> the largest patch that fits on the card, and the batch that fills it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from segforge.planning.architecture import Axes
from segforge.planning.presets import SMALLEST_BATCH, Budget
from segforge.planning.spacing import Vector, voxels
from segforge.planning.topology import Topology

_REFERENCE_VOXELS = {2: 2048**2, 3: 256**3}


@dataclass(frozen=True, slots=True)
class ShrinkStep:
    """One step of making a patch smaller: the axis it went along, and the patch and its estimate after it."""

    axis: int
    patch_size: Axes
    estimate: int


@dataclass(frozen=True)
class PatchFit:
    """A patch made to fit on the card.

    Attributes:
        start: Topology that shrinking started from, with its padded patch.
        start_estimate: Memory estimate of that patch.
        steps: How it became smaller.
        topology: The final patch and its topology.
        estimate: Memory estimate of the final patch.
        fits: False if it is still too large and no axis can shrink further.
    """

    start: Topology
    start_estimate: int
    steps: tuple[ShrinkStep, ...]
    topology: Topology
    estimate: int
    fits: bool


@dataclass(frozen=True)
class BatchSize:
    """A batch size and what limits it.

    Attributes:
        value: Patches per training step.
        by_memory: As many as fill the card.
        by_data: As many as hold the largest share of the data set's voxels.
        given: Whether the user chose it.
    """

    value: int
    by_memory: int
    by_data: int
    given: bool = False


def initial_patch(spacing: Vector) -> Axes:
    """A patch of 256³ (2D: 2048²) voxels that is as long in mm along each axis."""
    density = [1 / value for value in spacing]
    scale = (_REFERENCE_VOXELS[len(spacing)] / math.prod(density)) ** (1 / len(spacing))
    return tuple(round(value * scale) for value in density)


def clipped(patch_size: Axes, median_shape: Vector) -> Vector:
    """The patch, nowhere longer than the median case."""
    return tuple(min(size, limit) for size, limit in zip(patch_size, median_shape, strict=True))


def fit_patch(
    start: Sequence[float],
    median_shape: Vector,
    topology_of: Callable[[Sequence[float]], Topology],
    estimate_of: Callable[[Topology], int],
    fits: Callable[[int], bool],
) -> PatchFit:
    """Shrink a patch step by step until it fits (METHOD section 3, shrink).

    Each step goes along the axis where the patch covers most of the median case. Where that would lead in a circle or
    below one voxel, the next axis is taken.

    Args:
        start: Patch in voxels, before padding.
        median_shape: Median shape of the cases in voxels.
        topology_of: Topology of a patch; pads it.
        estimate_of: Memory estimate of a network with that topology and patch.
        fits: Whether a patch of that estimate fits.
    """
    topology = padded = topology_of(start)
    estimate = start_estimate = estimate_of(topology)
    seen, steps = {topology.patch_size}, list[ShrinkStep]()
    while not fits(estimate):
        step = _step(topology, median_shape, topology_of, seen)
        if step is None:
            break
        axis, topology = step
        estimate = estimate_of(topology)
        seen.add(topology.patch_size)
        steps.append(ShrinkStep(axis, topology.patch_size, estimate))
    return PatchFit(padded, start_estimate, tuple(steps), topology, estimate, fits(estimate))


def _step(
    topology: Topology, median_shape: Vector, topology_of: Callable[[Sequence[float]], Topology], seen: set[Axes]
) -> tuple[int, Topology] | None:
    """The axis to shorten, the one that covers most first and the last of equals, and what it leads to."""
    patch = topology.patch_size
    cover = [size / limit for size, limit in zip(patch, median_shape, strict=True)]
    for axis in sorted(range(len(patch)), key=lambda axis: (cover[axis], axis), reverse=True):
        reduced = _shortened(patch, axis, topology.divisor[axis])
        if reduced[axis] < 1:
            continue
        # The step is the divisor after a whole one: 256 with divisor 64 goes to 224, not to 192.
        smaller = topology_of(_shortened(patch, axis, topology_of(reduced).divisor[axis]))
        if smaller.patch_size not in seen:
            return axis, smaller
    return None


def _shortened(patch_size: Axes, axis: int, step: int) -> Axes:
    return (*patch_size[:axis], patch_size[axis] - step, *patch_size[axis + 1 :])


def fit_batch(estimate: int, budget: Budget, patch_size: Axes, allowed_voxels: float) -> BatchSize:
    """The batch that fills the card, if the data set is large enough for it; at least 2.

    Args:
        estimate: Memory estimate of one patch.
        budget: What a training step may use.
        patch_size: In voxels.
        allowed_voxels: Voxels that one batch may hold: a share of the data set's.
    """
    by_memory = round(budget.estimate / estimate * budget.batch_size)
    by_data = round(allowed_voxels / voxels(patch_size))
    return BatchSize(max(min(by_memory, by_data), SMALLEST_BATCH), by_memory, by_data)
