"""Random generator -> the numbers of one batch of the strong augmentation."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from segforge.training.augmentation.geometry import AugmentationGeometry
from segforge.training.augmentation.parameters import (
    CHANNEL_PROBABILITY,
    GAMMA_RANGE,
    MIRROR_PROBABILITY,
    NOISE_PROBABILITY,
    NOISE_SIGMA_RANGE,
    AugmentationParameters,
    Bools,
    Draw,
    Floats,
    neutral_parameters,
)

ROTATION_PROBABILITY = 0.4
ROTATED_AXIS_PROBABILITY = 0.5
SCALING_PROBABILITY = 0.2
SCALING_RANGE = (0.7, 1.43)
MEDIAN_PROBABILITY = 0.1
MEDIAN_WINDOWS = (3, 5, 7)
BLUR_PROBABILITY = 0.1
BLUR_SIGMA_RANGE = (0.3, 1.5)
BRIGHTNESS_PROBABILITY = 0.1
BRIGHTNESS_SIGMA = 0.5
CONTRAST_PROBABILITY = 0.1
CONTRAST_RANGE = (0.5, 2.0)
LOW_RESOLUTION_PROBABILITY = 0.15
ZOOM_RANGE = (0.25, 1.0)
GAMMA_PROBABILITY = 0.1
BLANK_PROBABILITY = 0.4
MOST_BLANKS = 4
BLANK_SHARES = (1 / 10, 1 / 3)
SHARPENING_PROBABILITY = 0.2
SHARPENING_RANGE = (0.1, 1.0)


@dataclass(frozen=True, eq=False)
class StrongParameters(AugmentationParameters):
    """What the strong augmentation draws besides; `scalings` has a factor for each axis, `(B, d)`, `brightnesses` are 1.

    Attributes:
        medians: Windows of the median filter, `(B, C)`; 0 where not drawn.
        additions: Summands, `(B, C)`; 0 where not drawn.
        stretches: Factors of the contrast that do not keep the range, `(B, C)`; 1 where not drawn.
        blank_corners: Lower corners of the blank boxes, `(B, C, boxes, D)`.
        blank_sizes: Their sizes; 0 where not drawn.
        sharpenings: Strengths, `(B, C)`; 0 where not drawn.
    """

    medians: NDArray[np.int64]
    additions: Floats
    stretches: Floats
    blank_corners: NDArray[np.int64]
    blank_sizes: NDArray[np.int64]
    sharpenings: Floats

    @property
    def transformed(self) -> Bools:
        """Which samples are rotated or scaled, `(B,)`."""
        result: Bools = (self.angles != 0).any(axis=1) | (self.scalings != 1).any(axis=1)
        return result


def draw_strong_parameters(
    rng: np.random.Generator,
    geometry: AugmentationGeometry,
    *,
    batch_size: int,
    channels: int,
    mirror_axes: Sequence[int],
) -> StrongParameters:
    """Draw the numbers of one batch; every call takes the same number of draws of each kind, whatever comes out."""
    draw = Draw(rng, batch_size, channels)
    shape, axes = (batch_size, channels), len(geometry.patch_size)
    neutral = neutral_parameters(geometry, batch_size=batch_size, channels=channels)
    drawn = {
        "angles": _angles(draw, geometry),
        "scalings": _scalings(draw, axes - geometry.first_axis),
        "noise_seeds": rng.integers(0, 2**63, batch_size, dtype=np.int64),
        "noise_sigmas": np.where(draw.samples(NOISE_PROBABILITY), rng.uniform(*NOISE_SIGMA_RANGE, batch_size), 0.0),
        "medians": np.where(draw.some_channels(MEDIAN_PROBABILITY), rng.choice(MEDIAN_WINDOWS, shape), 0),
        "blur_sigmas": np.where(
            draw.some_channels(BLUR_PROBABILITY)[:, :, None], rng.uniform(*BLUR_SIGMA_RANGE, (*shape, axes)), 0.0
        ),
        "additions": np.where(draw.some_channels(BRIGHTNESS_PROBABILITY), rng.normal(0, BRIGHTNESS_SIGMA, shape), 0.0),
        "contrasts": _contrasts(draw),
        "stretches": _contrasts(draw),
        "zooms": np.where(draw.some_channels(LOW_RESOLUTION_PROBABILITY), rng.uniform(*ZOOM_RANGE, shape), 1.0),
        "inverted_gammas": draw.factors_around_one(GAMMA_PROBABILITY, GAMMA_RANGE),
        "gammas": draw.factors_around_one(GAMMA_PROBABILITY, GAMMA_RANGE),
        "mirrored": (rng.random((batch_size, axes)) < MIRROR_PROBABILITY) & np.isin(np.arange(axes), mirror_axes),
        "sharpenings": np.where(draw.some_channels(SHARPENING_PROBABILITY), rng.uniform(*SHARPENING_RANGE, shape), 0.0),
    }
    corners, sizes = _blanks(draw, geometry.patch_size)
    common = {field.name: getattr(neutral, field.name) for field in fields(neutral)}
    return StrongParameters(**(common | drawn), blank_corners=corners, blank_sizes=sizes)


def _angles(draw: Draw, geometry: AugmentationGeometry) -> Floats:
    """Rotations about some of the axes, `(B, angles)`."""
    shape, limit = (draw.batch_size, geometry.angles_per_sample), geometry.rotation_limit
    about = draw.rng.random(shape) < (ROTATED_AXIS_PROBABILITY if shape[1] > 1 else 1)
    return np.where(draw.samples(ROTATION_PROBABILITY)[:, None] & about, draw.rng.uniform(-limit, limit, shape), 0.0)


def _scalings(draw: Draw, axes: int) -> Floats:
    """Factors below or above 1 with equal chance, one for each axis, `(B, axes)`."""
    shape = (draw.batch_size, axes)
    below, above = draw.rng.uniform(SCALING_RANGE[0], 1, shape), draw.rng.uniform(1, SCALING_RANGE[1], shape)
    factors = np.where(draw.rng.random(shape) < 0.5, below, above)
    return np.where(draw.samples(SCALING_PROBABILITY)[:, None], factors, 1.0)


def _contrasts(draw: Draw) -> Floats:
    """Factors around 1 for some of the channels, `(B, C)`."""
    chosen = draw.rng.random((draw.batch_size, draw.channels)) < CHANNEL_PROBABILITY
    return np.where(chosen, draw.factors_around_one(CONTRAST_PROBABILITY, CONTRAST_RANGE), 1.0)


def _blanks(draw: Draw, patch: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Corners and sizes of the blank boxes, `(B, C, boxes, D)`."""
    shape = (draw.batch_size, draw.channels, MOST_BLANKS, len(patch))
    lowest = np.maximum(1, np.array(patch) * BLANK_SHARES[0]).astype(int)
    highest = np.maximum(lowest, (np.array(patch) * BLANK_SHARES[1]).astype(int))
    sizes = draw.rng.integers(lowest, highest + 1, shape)
    corners = draw.rng.integers(0, np.array(patch) - sizes + 1)
    counts = draw.rng.integers(1, MOST_BLANKS + 1, shape[:2])
    there = draw.some_channels(BLANK_PROBABILITY)[:, :, None] & (np.arange(MOST_BLANKS) < counts[:, :, None])
    return corners, np.where(there[..., None], sizes, 0)
