"""From which value to which an image is shown in grey or colour."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_DARKEST, _BRIGHTEST = 0.5, 99.5  # percentiles
_ENOUGH = 1 << 20  # voxels that the percentiles are taken of


def window_of(values: Array) -> tuple[float, float]:
    """Limits that leave out the few darkest and brightest voxels; they differ, whatever the values."""
    flat = values.reshape(-1)
    low, high = np.percentile(flat[:: max(1, flat.size // _ENOUGH)], (_DARKEST, _BRIGHTEST)).tolist()
    if low == high:
        low, high = float(flat.min()), float(flat.max())
    return (low, high) if low < high else (low, low + 1)


def window_around(foreground: Array) -> tuple[float, float]:
    """Limits twice as far apart as those of the structures' own values: these and their surroundings, as in a CT viewer."""
    low, high = window_of(foreground)
    margin = (high - low) / 2
    return low - margin, high + margin
