"""Patches as they are read -> the batch that the network sees: draws the numbers and applies the steps in order."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from segforge.errors import SegForgeError
from segforge.training.augmentation.geometry import augmentation_geometry
from segforge.training.augmentation.intensity import (
    add_noise,
    apply_gamma,
    apply_inverted_gamma,
    scale_brightness,
    scale_contrast,
)
from segforge.training.augmentation.parameters import (
    AugmentationParameters,
    Floats,
    draw_parameters,
    neutral_parameters,
)
from segforge.training.augmentation.resolution import blur, lower_resolution, zoomed_size
from segforge.training.augmentation.spatial import mirror, place, spatial_matrices
from segforge.training.augmentation.transfer import on_device


class BatchTransform(Protocol):
    """What the trainer and its reader ask of an augmentation."""

    patch_size: tuple[int, ...]
    initial_patch_size: tuple[int, ...]

    def draw(self, rng: np.random.Generator, batch_size: int) -> Any:
        """Draw everything random in one batch; what it is, only the augmentation knows."""

    def source_sizes(self, parameters: Any) -> list[tuple[int, ...]]:
        """Size of the box, centred in the initial patch, that has to be read for each sample."""

    def __call__(self, images: Sequence[Tensor], labels: Sequence[Tensor], parameters: Any) -> tuple[Tensor, Tensor]:
        """Make a batch of samples.

        Args:
            images: Per sample `(C, *source_size)` float32; all tensors on one device.
            labels: Per sample `(*source_size)`, an integer type; -1 is outside.
            parameters: From `draw`.

        Returns:
            Images `(B, C, *patch)` float32 and labels `(B, *patch)` int16 without negative values.
        """


class Augmentation:
    """The augmentation of training patches: spatial transforms, noise, blur, intensities, mirroring.

    Attributes:
        geometry: What follows from the patch size.
        patch_size: Size of the augmented patch.
        initial_patch_size: Size of the patch that is read for it.
        mirror_axes: Spatial axes that may be flipped.
        channels: Image channels.
    """

    def __init__(self, patch_size: Sequence[int], *, mirror_axes: Sequence[int], masked_channels: Sequence[bool]) -> None:
        """Set up for a patch size.

        Args:
            patch_size: `(y, x)` or `(z, y, x)`.
            mirror_axes: Spatial axes, from 0, that may be flipped.
            masked_channels: For every image channel whether it is 0 outside the mask it was normalized in.

        Raises:
            SegForgeError: If the patch has neither two nor three axes or lacks one of the mirror axes.
        """
        self.geometry = augmentation_geometry(patch_size)
        self.patch_size = self.geometry.patch_size
        self.initial_patch_size = self.geometry.initial_patch_size
        self.mirror_axes = tuple(mirror_axes)
        self._masked_channels = tuple(masked_channels)
        self.channels = len(self._masked_channels)
        if not set(self.mirror_axes) <= set(range(len(self.patch_size))):
            raise SegForgeError(
                f"mirror_axes is {self.mirror_axes}, but patch_size {self.patch_size} has the axes "
                f"0 to {len(self.patch_size) - 1}. Name axes from these."
            )

    def draw(self, rng: np.random.Generator, batch_size: int) -> AugmentationParameters:
        """Draw everything random in one batch."""
        return draw_parameters(rng, self.geometry, batch_size=batch_size, channels=self.channels, mirror_axes=self.mirror_axes)

    def source_sizes(self, parameters: AugmentationParameters) -> list[tuple[int, ...]]:
        """The initial patch for samples that are rotated or scaled, the patch for the others."""
        return [self.initial_patch_size if transformed else self.patch_size for transformed in parameters.transformed]

    def __call__(
        self, images: Sequence[Tensor], labels: Sequence[Tensor], parameters: AugmentationParameters
    ) -> tuple[Tensor, Tensor]:
        """Apply drawn numbers to a batch, see `BatchTransform`."""
        matrices = spatial_matrices(parameters.angles, parameters.scalings)
        batch, targets = place(images, labels, matrices, parameters.transformed, self.geometry)
        self.change_intensities(batch, parameters)
        batch, targets = mirror(batch, targets, parameters.mirrored)
        self.change_mirrored(batch, parameters)
        for channel in np.flatnonzero(self._masked_channels).tolist():
            batch[:, channel].masked_fill_(targets < 0, 0)
        return batch, targets.clamp_(min=0)

    def move_labels(self, labels: Sequence[Tensor], parameters: AugmentationParameters) -> Tensor:
        """Labels alone, moved as a call moves them: `(B, *patch)` int16 without negative values."""
        matrices = spatial_matrices(parameters.angles, parameters.scalings)
        no_images = [label.new_empty((0, *label.shape), dtype=torch.float32) for label in labels]
        moved = place(no_images, labels, matrices, parameters.transformed, self.geometry)
        return mirror(*moved, parameters.mirrored)[1].clamp_(min=0)

    def change_intensities(self, batch: Tensor, parameters: AugmentationParameters) -> None:
        """Apply noise to gamma, in order, to images `(B, C, *patch)` in place."""
        add_some_noise(batch, parameters)
        channels = batch.flatten(0, 1)
        blur_some(channels, parameters.blur_sigmas.reshape(len(channels), -1))
        change_some(channels, parameters.brightnesses, scale_brightness)
        change_some(channels, parameters.contrasts, scale_contrast)
        self.lower_some_resolutions(channels, parameters.zooms.ravel())
        change_some(channels, parameters.inverted_gammas, apply_inverted_gamma)
        change_some(channels, parameters.gammas, apply_gamma)

    def change_mirrored(self, batch: Tensor, parameters: AugmentationParameters) -> None:
        """What happens to images `(B, C, *patch)` in place after mirroring: nothing."""

    def lower_some_resolutions(self, channels: Tensor, zooms: Floats) -> None:
        """Lower the resolution of volumes `(B * C, *patch)` in place, where a zoom is not 1."""
        for number in np.flatnonzero(zooms != 1).tolist():
            size = zoomed_size(self.patch_size, float(zooms[number]), self.geometry.first_axis)
            channels[number] = lower_resolution(channels[number], size)


class NoAugmentation:
    """Patches as they are, label -1 turned into 0: what validation sees."""

    def __init__(self, patch_size: Sequence[int]) -> None:
        """Set up for a patch size `(y, x)` or `(z, y, x)`."""
        self._geometry = augmentation_geometry(patch_size)
        self.patch_size = self._geometry.patch_size
        self.initial_patch_size = self.patch_size

    def draw(self, rng: np.random.Generator, batch_size: int) -> AugmentationParameters:
        """Parameters that change nothing; nothing is taken from `rng`."""
        return neutral_parameters(self._geometry, batch_size=batch_size, channels=0)

    def source_sizes(self, parameters: AugmentationParameters) -> list[tuple[int, ...]]:
        """The patch, for every sample."""
        return [self.patch_size] * len(parameters.scalings)

    def __call__(
        self,
        images: Sequence[Tensor],
        labels: Sequence[Tensor],
        parameters: AugmentationParameters,
    ) -> tuple[Tensor, Tensor]:
        """Stack the samples, see `BatchTransform`."""
        return torch.stack(list(images)), self.move_labels(labels, parameters)

    def move_labels(self, labels: Sequence[Tensor], parameters: AugmentationParameters) -> Tensor:
        """Stack labels alone: `(B, *patch)` int16 without negative values."""
        return torch.stack(list(labels)).to(torch.int16).clamp_(min=0)


def add_some_noise(batch: Tensor, parameters: AugmentationParameters) -> None:
    """Add noise to samples `(B, C, *patch)` in place, where their sigma is not 0."""
    for sample in np.flatnonzero(parameters.noise_sigmas).tolist():
        sigma, seed = float(parameters.noise_sigmas[sample]), int(parameters.noise_seeds[sample])
        batch[sample] = add_noise(batch[sample], sigma, seed)


def blur_some(channels: Tensor, sigmas: Floats) -> None:
    """Blur volumes `(N, *patch)` in place, where sigmas `(N, D)` are not 0."""
    chosen = np.flatnonzero(sigmas[:, :1])
    if len(chosen) == 0:
        return
    index = on_device(chosen, channels.device)
    channels.index_copy_(0, index, blur(channels.index_select(0, index), sigmas[chosen]))


def change_some(channels: Tensor, factors: Floats, change: Callable[[Tensor, Tensor], Tensor], *, neutral: float = 1) -> None:
    """Change volumes `(N, *patch)` in place, where their factors `(B, C)` are not the neutral one."""
    chosen = np.flatnonzero(factors != neutral)
    if len(chosen) == 0:
        return
    index = on_device(chosen, channels.device)
    chosen_factors = on_device(factors.ravel()[chosen].astype(np.float32), channels.device)
    channels.index_copy_(0, index, change(channels.index_select(0, index), chosen_factors))
