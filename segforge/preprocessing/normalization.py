"""Intensity normalizations, chosen by the plan for each image channel."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from segforge import plugins
from segforge.errors import SegForgeError
from segforge.planning.fingerprint import IntensityProperties

Array = npt.NDArray[Any]

_SMALLEST = 1e-8

NORMALIZATIONS = {
    "ct": "segforge.preprocessing.normalization:ct",
    "none": "segforge.preprocessing.normalization:none",
    "zscore": "segforge.preprocessing.normalization:zscore",
    "rescale_to_0_1": "segforge.preprocessing.normalization:rescale_to_0_1",
    "rgb_to_0_1": "segforge.preprocessing.normalization:rgb_to_0_1",
}


class Normalization(Protocol):
    """Normalizes one channel `(Z, Y, X)` float32; `mask` (same shape) limits it to the voxels inside, None means all."""

    def __call__(self, channel: Array, mask: npt.NDArray[np.bool_] | None, intensities: IntensityProperties) -> Array:
        """The normalized channel, float32."""


def find_normalization(name: str) -> Normalization:
    """The normalization of that name.

    Raises:
        SegForgeError: If there is none; gives the nearest.
    """
    found: Normalization = plugins.find("normalizations", name, NORMALIZATIONS)
    return found


def zscore(channel: Array, mask: npt.NDArray[np.bool_] | None, intensities: IntensityProperties) -> Array:
    """Mean 0 and standard deviation 1 over the case; with a mask over its inside, the outside untouched."""
    values = channel if mask is None else channel[mask]
    normalized = (values - values.mean()) / max(values.std(), np.float32(_SMALLEST))
    if mask is None:
        return np.asarray(normalized)
    result = channel.copy()
    result[mask] = normalized
    return result


def ct(channel: Array, mask: npt.NDArray[np.bool_] | None, intensities: IntensityProperties) -> Array:
    """Clip to the data set's foreground percentiles 0.5 and 99.5, then its foreground's mean and standard deviation."""
    clipped = np.clip(channel, np.float32(intensities.percentile_00_5), np.float32(intensities.percentile_99_5))
    return np.asarray((clipped - np.float32(intensities.mean)) / np.float32(max(intensities.std, _SMALLEST)))


def none(channel: Array, mask: npt.NDArray[np.bool_] | None, intensities: IntensityProperties) -> Array:
    """The channel as it is."""
    return channel


def rescale_to_0_1(channel: Array, mask: npt.NDArray[np.bool_] | None, intensities: IntensityProperties) -> Array:
    """The case's range to 0 to 1."""
    shifted = channel - channel.min()
    return np.asarray(shifted / max(shifted.max(), np.float32(_SMALLEST)))


def rgb_to_0_1(channel: Array, mask: npt.NDArray[np.bool_] | None, intensities: IntensityProperties) -> Array:
    """0-255 to 0-1.

    Raises:
        SegForgeError: If a value lies outside 0-255.
    """
    if channel.min() < 0 or channel.max() > 255:
        raise SegForgeError(
            f"holds values from {channel.min():g} to {channel.max():g}, but its channel name rgb_to_0_1 needs 0 to 255. "
            "Rename the channel in dataset.json."
        )
    return np.asarray(channel / np.float32(255))
