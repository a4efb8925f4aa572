"""Made-up raw files for the tutorials: photographs with masks, and volumes with masks, not yet a data set."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

from segforge.compute.files import whole_file
from segforge.dataset.phantom import phantom_case
from segforge.images.files import write_volume

Array = npt.NDArray[Any]

SIZE = 128  # pixels along either side of a photograph
_GROUND = np.array([170.0, 140.0, 110.0])
_CELL = np.array([120.0, 60.0, 110.0])
_STAIN = np.array([75.0, 105.0, 110.0])


def write_photographs(folder: Path, *, training: int, testing: int, seed: int = 0) -> None:
    """Write `photographs/` with a JPEG and a mask of 0 and 255 for each case, and `new_photographs/` without masks.

    Purple cells lie among stains that are as dark as they are, so that only their colour tells them apart.
    """
    for index in range(training + testing):
        picture, mask = _photograph(np.random.default_rng((seed, index)))
        kind = "photographs" if index < training else "new_photographs"
        _write(folder / kind / f"slide_{index:02d}.jpg", picture, "JPEG")
        if index < training:
            _write(folder / kind / f"slide_{index:02d}_mask.png", mask, "PNG")


def write_volumes(folder: Path, *, training: int, testing: int, seed: int = 0) -> None:
    """Write `scans/` and `masks/` with a NIfTI file for each case, and `new_scans/` without masks."""
    for index in range(training + testing):
        case = phantom_case(np.random.default_rng((seed, index)))
        name = f"patient_{index:02d}.nii.gz"
        write_volume(folder / ("scans" if index < training else "new_scans") / name, case.image, case.geometry)
        if index < training:
            write_volume(folder / "masks" / name, case.labels, case.geometry)


def _photograph(random: np.random.Generator) -> tuple[Array, Array]:
    """A photograph `(Y, X, 3)` and its mask `(Y, X)`, 255 where a cell is."""
    y, x = np.mgrid[:SIZE, :SIZE]
    picture = _GROUND + 15 * np.sin((y[..., None] + random.uniform(0, 99)) / random.uniform(15, 30))
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for number in range(12):
        centre, radius = random.uniform(10, SIZE - 10, 2), random.uniform(6, 12)
        disc = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2
        is_cell = number % 2 == 1
        picture[disc] = _CELL if is_cell else _STAIN
        mask[disc] = 255 if is_cell else 0
    return np.clip(picture + random.normal(0, 20, picture.shape), 0, 255).astype(np.uint8), mask


def _write(path: Path, pixels: Array, kind: str) -> None:
    with whole_file(path) as file:
        Picture.fromarray(pixels).save(file, kind)
