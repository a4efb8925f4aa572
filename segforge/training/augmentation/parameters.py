"""Random generator -> the numbers of one augmented batch: everything that is random in it is decided here, on the host.

A transform that was not drawn for a sample or a channel has its neutral value there (angle 0, factor 1, sigma 0), by
which those who apply the numbers recognise what to leave out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segforge.training.augmentation.geometry import AugmentationGeometry

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

ROTATION_PROBABILITY = 0.2
SCALING_PROBABILITY = 0.2
SCALING_RANGE = (0.7, 1.4)
NOISE_PROBABILITY = 0.1
NOISE_SIGMA_RANGE = (0.0, 0.1)
BLUR_PROBABILITY = 0.2
BLUR_SIGMA_RANGE = (0.5, 1.0)
BRIGHTNESS_PROBABILITY = 0.15
BRIGHTNESS_RANGE = (0.75, 1.25)
CONTRAST_PROBABILITY = 0.15
CONTRAST_RANGE = (0.75, 1.25)
LOW_RESOLUTION_PROBABILITY = 0.25
ZOOM_RANGE = (0.5, 1.0)
INVERTED_GAMMA_PROBABILITY = 0.1
GAMMA_PROBABILITY = 0.3
GAMMA_RANGE = (0.7, 1.5)
MIRROR_PROBABILITY = 0.5
CHANNEL_PROBABILITY = 0.5
"""Share of the channels that blur and low resolution touch in a sample that they were drawn for."""


@dataclass(frozen=True, eq=False)
class AugmentationParameters:
    """Everything random in one batch of B samples with C channels and D spatial axes.

    Attributes:
        angles: Rotation in radians, `(B, 3)` about array axes 0, 1, 2, or `(B, 1)` in the plane; 0 where not drawn.
        scalings: Factor on the coordinates, `(B,)`, above 1 shrinks objects; 1 where not drawn.
        noise_seeds: Seeds of 63 bits, `(B,)`, one for the noise of each sample.
        noise_sigmas: Standard deviation of the noise, `(B,)`; 0 where not drawn.
        blur_sigmas: Blur per channel and axis in voxels, `(B, C, D)`; 0 where not drawn.
        brightnesses: Factors, `(B, C)`; 1 where not drawn.
        contrasts: Factors, `(B, C)`; 1 where not drawn.
        zooms: Share of the resolution that is kept, `(B, C)`; 1 where not drawn.
        inverted_gammas: Exponents on the negated image, `(B, C)`; 1 where not drawn.
        gammas: Exponents, `(B, C)`; 1 where not drawn.
        mirrored: Which axes are flipped, `(B, D)`.
    """

    angles: Floats
    scalings: Floats
    noise_seeds: NDArray[np.int64]
    noise_sigmas: Floats
    blur_sigmas: Floats
    brightnesses: Floats
    contrasts: Floats
    zooms: Floats
    inverted_gammas: Floats
    gammas: Floats
    mirrored: Bools

    @property
    def transformed(self) -> Bools:
        """Which samples are rotated or scaled, `(B,)`."""
        result: Bools = (self.angles != 0).any(axis=1) | (self.scalings != 1)
        return result


def neutral_parameters(geometry: AugmentationGeometry, *, batch_size: int, channels: int) -> AugmentationParameters:
    """Parameters that leave a batch as it is."""
    axes = len(geometry.patch_size)
    ones = np.ones((batch_size, channels))
    return AugmentationParameters(
        angles=np.zeros((batch_size, geometry.angles_per_sample)),
        scalings=np.ones(batch_size),
        noise_seeds=np.zeros(batch_size, dtype=np.int64),
        noise_sigmas=np.zeros(batch_size),
        blur_sigmas=np.zeros((batch_size, channels, axes)),
        brightnesses=ones,
        contrasts=ones,
        zooms=ones,
        inverted_gammas=ones,
        gammas=ones,
        mirrored=np.zeros((batch_size, axes), dtype=np.bool_),
    )


def draw_parameters(
    rng: np.random.Generator,
    geometry: AugmentationGeometry,
    *,
    batch_size: int,
    channels: int,
    mirror_axes: Sequence[int],
) -> AugmentationParameters:
    """Draw the numbers of one batch.

    Every call takes the same number of draws of each kind from `rng`, whatever comes out.
    """
    draw = Draw(rng, batch_size, channels)
    axes = len(geometry.patch_size)
    limit = geometry.rotation_limit
    return AugmentationParameters(
        angles=np.where(
            draw.samples(ROTATION_PROBABILITY)[:, None],
            rng.uniform(-limit, limit, (batch_size, geometry.angles_per_sample)),
            0.0,
        ),
        scalings=np.where(draw.samples(SCALING_PROBABILITY), rng.uniform(*SCALING_RANGE, batch_size), 1.0),
        noise_seeds=rng.integers(0, 2**63, batch_size, dtype=np.int64),
        noise_sigmas=np.where(draw.samples(NOISE_PROBABILITY), rng.uniform(*NOISE_SIGMA_RANGE, batch_size), 0.0),
        blur_sigmas=np.where(
            draw.some_channels(BLUR_PROBABILITY)[:, :, None],
            rng.uniform(*BLUR_SIGMA_RANGE, (batch_size, channels, axes)),
            0.0,
        ),
        brightnesses=draw.factors_around_one(BRIGHTNESS_PROBABILITY, BRIGHTNESS_RANGE),
        contrasts=draw.factors_around_one(CONTRAST_PROBABILITY, CONTRAST_RANGE),
        zooms=np.where(draw.some_channels(LOW_RESOLUTION_PROBABILITY), rng.uniform(*ZOOM_RANGE, (batch_size, channels)), 1.0),
        inverted_gammas=draw.factors_around_one(INVERTED_GAMMA_PROBABILITY, GAMMA_RANGE),
        gammas=draw.factors_around_one(GAMMA_PROBABILITY, GAMMA_RANGE),
        mirrored=(rng.random((batch_size, axes)) < MIRROR_PROBABILITY) & np.isin(np.arange(axes), mirror_axes),
    )


@dataclass(frozen=True)
class Draw:
    """The draws that several transforms have in common."""

    rng: np.random.Generator
    batch_size: int
    channels: int

    def samples(self, probability: float) -> Bools:
        """Which samples a transform is drawn for, `(B,)`."""
        return self.rng.random(self.batch_size) < probability

    def some_channels(self, probability: float) -> Bools:
        """Which channels of which samples a transform is drawn for that leaves out channels, `(B, C)`."""
        chosen = self.rng.random((self.batch_size, self.channels)) < CHANNEL_PROBABILITY
        return self.samples(probability)[:, None] & chosen

    def factors_around_one(self, probability: float, limits: tuple[float, float]) -> Floats:
        """Factors `(B, C)`, below or above 1 with equal chance; 1 in samples that the transform is not drawn for."""
        shape = (self.batch_size, self.channels)
        below, above = self.rng.uniform(limits[0], 1.0, shape), self.rng.uniform(1.0, limits[1], shape)
        factors = np.where(self.rng.random(shape) < 0.5, below, above)
        return np.where(self.samples(probability)[:, None], factors, 1.0)
