"""The strong augmentation: the default's steps with wider ranges, and some that it has not (docs/reference/training.md)."""

import numpy as np
from torch import Tensor

from segforge.training.augmentation.intensity import (
    add_brightness,
    apply_gamma,
    apply_inverted_gamma,
    scale_contrast,
    sharpen,
    stretch_contrast,
)
from segforge.training.augmentation.parameters import AugmentationParameters
from segforge.training.augmentation.pipeline import Augmentation, add_some_noise, blur_some, change_some
from segforge.training.augmentation.resolution import median_filter
from segforge.training.augmentation.strong_parameters import StrongParameters, draw_strong_parameters


class StrongAugmentation(Augmentation):
    """For few cases or images from many scanners: stronger intensities, blank boxes, median filter, sharpening."""

    def draw(self, rng: np.random.Generator, batch_size: int) -> StrongParameters:
        """Draw everything random in one batch."""
        return draw_strong_parameters(
            rng, self.geometry, batch_size=batch_size, channels=self.channels, mirror_axes=self.mirror_axes
        )

    def change_intensities(self, batch: Tensor, parameters: AugmentationParameters) -> None:
        """Apply the median filter to gamma, in order, to images `(B, C, *patch)` in place."""
        assert isinstance(parameters, StrongParameters)
        channels = batch.flatten(0, 1)
        for number in np.flatnonzero(parameters.medians).tolist():
            channels[number] = median_filter(channels[number], int(parameters.medians.flat[number]))
        blur_some(channels, parameters.blur_sigmas.reshape(len(channels), -1))
        add_some_noise(batch, parameters)
        change_some(channels, parameters.additions, add_brightness, neutral=0)
        change_some(channels, parameters.contrasts, scale_contrast)
        change_some(channels, parameters.stretches, stretch_contrast)
        self.lower_some_resolutions(channels, parameters.zooms.ravel())
        change_some(channels, parameters.inverted_gammas, apply_inverted_gamma)
        change_some(channels, parameters.gammas, apply_gamma)

    def change_mirrored(self, batch: Tensor, parameters: AugmentationParameters) -> None:
        """Blank boxes out and sharpen, in images `(B, C, *patch)` in place."""
        assert isinstance(parameters, StrongParameters)
        for index in np.argwhere(parameters.blank_sizes.all(-1)).tolist():
            sample, channel, number = index
            corner, size = (values[sample, channel, number] for values in (parameters.blank_corners, parameters.blank_sizes))
            box = tuple(slice(int(low), int(low + length)) for low, length in zip(corner, size, strict=True))
            voxels = batch[sample, channel][box]
            voxels.copy_(voxels.mean().expand_as(voxels))
        change_some(batch.flatten(0, 1), parameters.sharpenings, sharpen, neutral=0)
