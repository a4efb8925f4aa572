"""Where a prediction is wrong, and how."""

from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.figures.colours import FALSE_NEGATIVE, FALSE_POSITIVE, OTHER_STRUCTURE

Array = npt.NDArray[Any]

ERRORS = {
    "only in the prediction": FALSE_POSITIVE,
    "only in the reference": FALSE_NEGATIVE,
    "another structure": OTHER_STRUCTURE,
}
"""Kinds of errors with their colours, in the order of their numbers from 1 on."""


def error_map(reference: Array, prediction: Array, ignored: int | None = None) -> npt.NDArray[np.uint8]:
    """The kind of error of each voxel of two class maps, 0 where there is none or the reference says that it does not count."""
    kinds = np.zeros(reference.shape, np.uint8)
    kinds[reference != prediction] = 3
    kinds[(reference <= 0) & (prediction > 0)] = 1
    kinds[(reference > 0) & (prediction <= 0)] = 2
    if ignored is not None:
        kinds[reference == ignored] = 0
    return kinds
