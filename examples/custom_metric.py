"""A metric of one's own: segforge evaluate REFERENCES PREDICTIONS --metrics custom_metric:centre_distance."""

import math

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


def centre_distance(reference: Mask, prediction: Mask, spacing: tuple[float, float, float]) -> float:
    """Distance of the centres of gravity in mm; no score where one of the masks is empty."""
    if not (reference.any() and prediction.any()):
        return math.nan
    centres = [np.argwhere(mask).mean(0) * spacing for mask in (reference, prediction)]
    return float(np.linalg.norm(centres[0] - centres[1]))
