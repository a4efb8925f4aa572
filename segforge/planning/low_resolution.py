"""A full resolution whose patch covers little of a case -> the resolution at which it covers enough, if that is worth it."""

from collections.abc import Callable
from dataclasses import dataclass

from segforge.planning.drafts import Draft
from segforge.planning.spacing import Grid, Vector, voxels

_ENOUGH_COVER = 0.25
_ENOUGH_GAIN = 2.0
_COARSER_STEP = 1.03
_COARSER_LAG = 2.0


@dataclass(frozen=True)
class LowResolution:
    """The decision on a low resolution.

    Attributes:
        draft: Its configuration, or None without one.
        cover: Share of the median case at full resolution that a patch covers.
        gain: How many times fewer voxels the median case has at the coarsest spacing tried; 1 if none was.
        steps: How often the spacing was made coarser.
    """

    draft: Draft | None
    cover: float
    gain: float
    steps: int


def search_low_resolution(grid: Grid, full: Draft, draft_at: Callable[[Vector, Vector], Draft]) -> LowResolution:
    """Make the spacing coarser until a patch covers a quarter of the median case; worth it if that halves the voxels.

    Args:
        grid: The full resolution.
        full: Its configuration.
        draft_at: The configuration for a spacing in mm and the median shape there in voxels, which is not rounded.
    """
    spacing, shape, draft, steps = grid.spacing, grid.median_shape, full, 0
    while voxels(draft.fit.topology.patch_size) / voxels(shape) < _ENOUGH_COVER:
        spacing, steps = coarser(spacing), steps + 1
        shape = tuple(old / new * size for old, new, size in zip(grid.spacing, spacing, grid.median_shape, strict=True))
        draft = draft_at(spacing, shape)
    gain = voxels(grid.median_shape) / voxels(shape)
    return LowResolution(draft if gain >= _ENOUGH_GAIN else None, full.cover, gain, steps)


def coarser(spacing: Vector) -> Vector:
    """The next spacing to try.

    Grows the axes that are more than two times finer than the coarsest while there are any, else all of them.
    """
    lags = [max(spacing) / value > _COARSER_LAG for value in spacing]
    grows = lags if any(lags) else [True] * len(spacing)
    return tuple(value * _COARSER_STEP if grow else value for value, grow in zip(spacing, grows, strict=True))
