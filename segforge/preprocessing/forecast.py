"""What a preprocessing will need, before it begins: bytes on disk, and bytes of memory for each case at work."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segforge.dataset.labels import LabelScheme
from segforge.images.grid import new_shape
from segforge.planning.extraction import CaseSize, Measured
from segforge.planning.plans import Configuration, Plans
from segforge.preprocessing.locations import location_count
from segforge.preprocessing.resampling import SLAB_BYTES

_RECORD_BYTES = 1700  # CASE.json
_ARRAY_BYTES = 128  # a .npy header
_LIST_BYTES = 350  # an entry of an .npz file
_MASK_BYTES = 2  # per voxel
_SLABS = 4  # that are held at once

PROCESS_BYTES = 100_000_000
"""What SegForge takes before it has read anything."""


@dataclass(frozen=True)
class CaseForecast:
    """What one case will need for all its configurations.

    Attributes:
        disk: Bytes of its files.
        memory: Bytes at work.
        work: Voxels that are read and written, a measure of time.
    """

    disk: int
    memory: int
    work: int


def forecast_cases(
    measured: Measured, plans: Plans, configurations: Sequence[Configuration], labels: LabelScheme
) -> list[CaseForecast]:
    """The forecast of each case, in the order of the fingerprint."""
    facts = measured.fingerprint
    return [
        _forecast(size, tuple(shape), tuple(spacing), plans, configurations, labels)
        for size, shape, spacing in zip(measured.sizes, facts.shapes_after_crop, facts.spacings, strict=True)
    ]


def _forecast(
    size: CaseSize,
    shape: tuple[float, ...],
    spacing: tuple[float, ...],
    plans: Plans,
    configurations: Sequence[Configuration],
    labels: LabelScheme,
) -> CaseForecast:
    slabs = _SLABS * min(SLAB_BYTES, 8 * size.voxels)
    channels, label_bytes = len(plans.intensities), 1 if labels.classes + (labels.ignore_value is not None) <= 128 else 2
    cropped, disk, largest, work = int(np.prod(shape)), 0, 0, size.voxels * channels
    for configuration in configurations:
        voxels = int(np.prod(shape_in_network(shape, spacing, plans, configuration)))
        image_bytes = voxels * channels * np.dtype(configuration.dtype).itemsize
        disk += image_bytes + voxels * label_bytes + 2 * _ARRAY_BYTES + _RECORD_BYTES
        disk += _location_bytes(size, voxels / cropped, voxels, labels)
        resampling = cropped * (4 * channels + _MASK_BYTES) + voxels * 4 * channels
        labelling = cropped * _MASK_BYTES + voxels * (4 * channels + label_bytes + 1)
        largest, work = max(largest, resampling, labelling), work + voxels * channels
    decoded = size.voxels * (4 * channels + label_bytes)
    return CaseForecast(disk, decoded + largest + slabs, work)


def shape_in_network(
    shape: Sequence[float], spacing: Sequence[float], plans: Plans, configuration: Configuration
) -> tuple[int, ...]:
    """Voxels per transposed axis of a case before the network, from its cropped shape and its spacing (stored axes)."""
    order = plans.transpose_forward
    before, old = tuple(int(shape[axis]) for axis in order), tuple(spacing[axis] for axis in order)
    if not configuration.resampling.enabled:
        return before
    target = configuration.spacing if configuration.dimensions == 3 else (old[0], *configuration.spacing)
    return new_shape(before, old, target)


def _location_bytes(size: CaseSize, growth: float, voxels: int, labels: LabelScheme) -> int:
    counts = dict(enumerate(size.class_voxels))
    structures = [sum(counts.get(number, 0) for number in target.classes) * growth for target in labels.targets]
    if labels.ignore_class is not None:
        structures.append(voxels - counts.get(labels.ignore_class, 0) * growth)
    return sum(12 * location_count(round(count)) + _LIST_BYTES for count in structures if count)
