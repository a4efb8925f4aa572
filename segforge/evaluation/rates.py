"""What follows from the counts of voxels: sensitivity, precision and volumes."""

import math

from segforge.evaluation.overlap import Overlap


def rates(overlap: Overlap, voxel: float) -> dict[str, float]:
    """Scores by name.

    Args:
        overlap: The counts of one structure.
        voxel: Volume of a voxel in mm³.
    """
    error = overlap.n_pred - overlap.n_ref
    return {
        "Sensitivity": _ratio(overlap.TP, overlap.n_ref),
        "Precision": _ratio(overlap.TP, overlap.n_pred),
        "Volume of reference": overlap.n_ref * voxel,
        "Volume of prediction": overlap.n_pred * voxel,
        "Volume error": error * voxel,
        "Relative volume error": _ratio(error, overlap.n_ref),
    }


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
