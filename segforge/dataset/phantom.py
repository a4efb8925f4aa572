"""A made-up data set for the demo and the tests: two structures that no single threshold finds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.dataset.description import FILE_NAME, DatasetDescription
from segforge.images.files import write_volume
from segforge.images.image import Geometry

Array = npt.NDArray[Any]

LABELS = {"background": 0, "organ": 1, "lesion": 2}

_EXTENT = 70.0  # mm per axis
_SPACINGS = np.array([[2.4, 2.0, 2.0], [3.2, 2.4, 2.4]])  # lowest and highest, mm


@dataclass(frozen=True)
class PhantomCase:
    """An image and its label map, both `(Z, Y, X)`, on a grid."""

    image: npt.NDArray[np.int16]
    labels: npt.NDArray[np.uint8]
    geometry: Geometry


def write_phantom(folder: Path, *, training: int, testing: int, seed: int = 0) -> None:
    """Write a raw data set with images and labels for training and for testing."""
    for index in range(training + testing):
        case = phantom_case(np.random.default_rng((seed, index)))
        kind, name = ("Tr", f"phantom_{index:03d}") if index < training else ("Ts", f"phantom_{index:03d}")
        write_volume(folder / f"images{kind}" / f"{name}_0000.nii.gz", case.image, case.geometry)
        write_volume(folder / f"labels{kind}" / f"{name}.nii.gz", case.labels, case.geometry)
    DatasetDescription(channel_names={"0": "MRI"}, labels={**LABELS}, num_training=training, file_ending=".nii.gz").write(
        folder / FILE_NAME
    )


def phantom_case(random: np.random.Generator) -> PhantomCase:
    """Draw a case: an organ with a lesion in it, among bodies that look like either, in noise and a bias field.

    The lesion is as dark as bodies outside the organ, the organ as bright as others, so that only place and
    surroundings tell them apart.
    """
    spacing = random.uniform(*_SPACINGS)
    shape = tuple(int(size) for size in np.round(_EXTENT * random.uniform(0.85, 1.15, 3) / spacing))
    grid = np.stack(np.meshgrid(*(np.arange(n) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij"), -1)
    middle = np.array(shape) * spacing / 2
    centre = middle + random.uniform(-6, 6, 3)
    radii = random.uniform(17, 23, 3)
    organ = _ellipsoid(grid, centre, radii)
    lesion = _ellipsoid(grid, centre + random.uniform(-0.3, 0.3, 3) * radii, random.uniform(8, 12, 3))
    image = np.full(shape, 100.0)
    for _ in range(6):
        away = _direction(random) * random.uniform(32, 45)
        image[_ellipsoid(grid, centre + away, random.uniform(5, 10, 3))] = random.choice([60.0, 150.0])
    image[organ] = 150
    image[lesion] = 60
    bias = 1 + 0.25 * np.tanh((grid - middle) @ _direction(random) / 20)
    noisy = _smoothed(image) * bias + random.normal(0, 14, shape)
    labels = organ.astype(np.uint8)
    labels[lesion] = 2
    z, y, x = shape
    origin = random.uniform(-50, 50, 3)
    geometry = Geometry((z, y, x), tuple(spacing.tolist()), tuple(origin.tolist()), _turned(random))
    return PhantomCase(np.round(noisy).astype(np.int16), labels, geometry)


def best_threshold_dice(cases: list[PhantomCase], label: int) -> float:
    """The highest Dice over all cases together that one threshold, above or below, reaches for a label."""
    values = np.concatenate([case.image.ravel() for case in cases])
    truth = np.concatenate([case.labels.ravel() == label for case in cases])
    best = 0.0
    for order in (np.argsort(values, kind="stable"), np.argsort(-values, kind="stable")):
        hits = np.cumsum(truth[order])
        best = max(best, float((2 * hits / (np.arange(1, len(hits) + 1) + truth.sum())).max()))
    return best


def _ellipsoid(grid: Array, centre: Array, radii: Array) -> npt.NDArray[np.bool_]:
    return np.asarray((((grid - centre) / radii) ** 2).sum(-1) <= 1)


def _direction(random: np.random.Generator) -> Array:
    vector = random.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector))


def _smoothed(image: Array) -> Array:
    """A mean over three voxels along each axis: scanners have no sharp edges."""
    for axis in range(3):
        padded = np.pad(image, [(1, 1) if other == axis else (0, 0) for other in range(3)], mode="edge")
        size = image.shape[axis]
        image = np.mean([padded.take(range(shift, shift + size), axis) for shift in range(3)], axis=0)
    return image


def _turned(random: np.random.Generator) -> tuple[float, ...]:
    """A small rotation about the axis of the slices."""
    angle = random.uniform(-0.2, 0.2)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    return (cos, -sin, 0.0, sin, cos, 0.0, 0.0, 0.0, 1.0)
