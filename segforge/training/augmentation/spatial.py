"""Enlarged patches + rotations and scalings -> patches; and patches + axes -> mirrored patches."""

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

from segforge.training.augmentation.geometry import AugmentationGeometry
from segforge.training.augmentation.parameters import Bools, Floats
from segforge.training.augmentation.sampling import elected_label, locate, weighted_mean
from segforge.training.augmentation.transfer import on_device

OUTSIDE_LABEL = -1
VALUES_AT_ONCE = 2**20
"""Bounds the memory for interpolation; large enough that a GPU is busy with it."""


def spatial_matrices(angles: Floats, scalings: Floats) -> Floats:
    """Matrices that take a voxel of the result to the voxel to read, both from the centre.

    Args:
        angles: Radians, `(T, 3)` about array axes 0, 1, 2 or `(T, 1)` in the plane.
        scalings: Factors on the coordinates, `(T,)`, or one for each axis of the source, `(T, d)`.

    Returns:
        factor * R2 R1 R0, `(T, 3, 3)`, or factor * R, `(T, 2, 2)`; several factors are a diagonal matrix.
    """
    if angles.shape[1] == 1:
        rotations = _plane_rotations(angles[:, 0])
    else:
        about_0, about_1, about_2 = (_rotations_about(axis, angles[:, axis]) for axis in range(3))
        rotations = about_2 @ about_1 @ about_0
    return rotations * scalings.reshape(len(scalings), -1, 1)


def place(
    images: Sequence[Tensor],
    labels: Sequence[Tensor],
    matrices: Floats,
    transformed: Bools,
    geometry: AugmentationGeometry,
) -> tuple[Tensor, Tensor]:
    """Bring the samples of a batch onto the patch: transformed ones by interpolation, the others as they are.

    Args:
        images: Per sample `(C, *initial_patch)` float32 where transformed, else `(C, *patch)`.
        labels: Per sample `(*initial_patch)` or `(*patch)`, integer.
        matrices: From `spatial_matrices`, `(B, d, d)`.
        transformed: Which samples are to be interpolated, `(B,)`.
        geometry: Geometry of the patch.

    Returns:
        Images `(B, C, *patch)` and labels `(B, *patch)` int16, in memory of their own.
    """
    patch = geometry.patch_size
    placed_images = images[0].new_empty((len(images), images[0].shape[0], *patch))
    placed_labels = labels[0].new_empty((len(images), *patch), dtype=torch.int16)
    for sample in np.flatnonzero(~transformed).tolist():
        placed_images[sample].copy_(images[sample])
        placed_labels[sample].copy_(labels[sample])
    for group in _groups(np.flatnonzero(transformed).tolist(), max(1, VALUES_AT_ONCE // prod(patch))):
        group_images, group_labels = [images[sample] for sample in group], [labels[sample] for sample in group]
        results = transform(group_images, group_labels, matrices[group], patch[geometry.first_axis :])
        for sample, image, label in zip(group, *results, strict=True):
            placed_images[sample].copy_(image)
            placed_labels[sample].copy_(label)
    return placed_images, placed_labels


def transform(
    images: Sequence[Tensor], labels: Sequence[Tensor], matrices: Floats, size: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Read T samples where matrices point to; axes before the last d stay as they are.

    Args:
        images: T tensors `(C, ..., *source)` float32; 0 outside.
        labels: T tensors `(..., *source)` integer; -1 outside.
        matrices: From `spatial_matrices`, `(T, d, d)`.
        size: Size of the result on the last d axes, centred in the source.

    Returns:
        Images `(T, C, ..., *size)` and labels `(T, ..., *size)`, both float32.
    """
    axes = len(size)
    source = images[0].shape[-axes:]
    volumes = _framed(images, labels, axes)
    kept_axes = volumes.shape[:-axes]
    voxels = volumes.flatten(1, -axes - 1).flatten(2)
    image_rows = voxels.shape[1] // kept_axes[1] * (kept_axes[1] - 1)
    device_matrices = on_device(matrices.astype(np.float32), voxels.device)
    results = voxels.new_empty((*voxels.shape[:2], *size))
    for slab in _slabs(size, rows=prod(kept_axes)):
        cells = locate(_positions(device_matrices, slab, size, source), source)
        corners = cells.corners(voxels)
        image = weighted_mean(corners[:, :, :image_rows], cells)
        label = elected_label(corners[:, :, image_rows:], cells)
        sampled = torch.cat([image, label], dim=1)
        results[:, :, slab.start : slab.stop] = sampled.view(*sampled.shape[:2], len(slab), *size[1:])
    results = results.view(*kept_axes, *size)
    return results[:, :-1], results[:, -1] + OUTSIDE_LABEL


def mirror(images: Tensor, labels: Tensor, mirrored: Bools) -> tuple[Tensor, Tensor]:
    """Flip axes of samples.

    Args:
        images: `(B, C, *patch)`.
        labels: `(B, *patch)`.
        mirrored: Which axes of which samples, `(B, D)`.
    """
    axes = mirrored.shape[1]
    flips = [tuple(int(axis) - axes for axis in np.flatnonzero(flags)) for flags in mirrored]
    flipped_images = [image.flip(flip) for image, flip in zip(images, flips, strict=True)]
    flipped_labels = [label.flip(flip) for label, flip in zip(labels, flips, strict=True)]
    return torch.stack(flipped_images), torch.stack(flipped_labels)


def _groups(samples: list[int], size: int) -> list[list[int]]:
    """Samples in runs of at most `size`."""
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def _framed(images: Sequence[Tensor], labels: Sequence[Tensor], axes: int) -> Tensor:
    """Join images and labels as one more channel, with a frame of one voxel around the last axes: `(T, C + 1, ...)`.

    The frame is 0, so labels are counted from `OUTSIDE_LABEL`.
    """
    channels, *sizes = images[0].shape
    framed_sizes = [*sizes[:-axes], *(length + 2 for length in sizes[-axes:])]
    framed = images[0].new_zeros((len(images), channels + 1, *framed_sizes))
    inside = framed
    for axis in range(-axes, 0):
        inside = inside.narrow(axis, 1, inside.shape[axis] - 2)
    for volume, image, label in zip(inside, images, labels, strict=True):
        volume[:-1] = image
        volume[-1] = label
        volume[-1] -= OUTSIDE_LABEL
    return framed


def _slabs(size: Sequence[int], rows: int) -> list[range]:
    """Planes of the result that are sampled at a time, each voxel of it standing for some rows of values."""
    planes = max(1, VALUES_AT_ONCE // (rows * prod(size[1:])))
    return [range(start, min(start + planes, size[0])) for start in range(0, size[0], planes)]


def _positions(matrices: Tensor, slab: range, size: Sequence[int], source: Sequence[int]) -> list[Tensor]:
    """Where the voxels of a slab of the result read, per axis `(T, V)`, 0 being the first voxel of the source.

    Args:
        matrices: `(T, d, d)` float32.
        slab: The slab's planes on the first of the d axes of the result.
        size: Size of the whole result.
        source: Size of the source.
    """
    axes = len(size)
    from_centre = [torch.arange(length, device=matrices.device) - (length - 1) / 2 for length in size]
    from_centre[0] = from_centre[0][slab.start : slab.stop]
    coefficients = matrices.view(*matrices.shape, *[1] * axes)
    positions = []
    for row, length in enumerate(source):
        position = torch.full((), (length - 1) / 2, device=matrices.device)
        for column, distances in enumerate(from_centre):
            position = position + coefficients[:, row, column] * distances.view(_along(column, axes))
        positions.append(position.flatten(1))
    return positions


def _along(axis: int, axes: int) -> list[int]:
    """Shape that broadcasts a vector along one of several axes."""
    return [-1 if other == axis else 1 for other in range(axes)]


def _plane_rotations(angles: Floats) -> Floats:
    """Rotations in the plane of the first axis and the second: `(T,)` -> `(T, 2, 2)`."""
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)


def _rotations_about(axis: int, angles: Floats) -> Floats:
    """Rotations about one array axis in space, in the plane from the axis after it to the one before: `(T, 3, 3)`."""
    after, before = (axis + 1) % 3, (axis + 2) % 3
    rotations = np.tile(np.eye(3), (len(angles), 1, 1))
    plane = np.array([after, before])
    rotations[:, plane[:, None], plane] = _plane_rotations(angles)
    return rotations
