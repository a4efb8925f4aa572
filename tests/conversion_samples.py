"""Small pictures for the tests of conversion."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

Array = npt.NDArray[Any]
RANDOM = np.random.default_rng(0)


def save(path: Path, pixels: Array, **options: Any) -> Path:
    """Write a picture in the format of its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(pixels).save(path, **options)
    return path


def photo(*shape: int) -> Array:
    """Random 8-bit pixels of shape `(Y, X[, C])`."""
    return RANDOM.integers(0, 256, shape or (6, 7, 3)).astype(np.uint8)


def mask(high: int = 255, shape: tuple[int, int] = (6, 7)) -> Array:
    """A label map with 0 and one other value, both of which occur."""
    labels = (RANDOM.random(shape) < 0.4).astype(np.uint8) * high
    labels.flat[0], labels.flat[-1] = 0, high
    return labels


def empty_files(folder: Path, *names: str) -> Path:
    """Files whose content does not matter."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder
