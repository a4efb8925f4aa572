"""Metrics of one's own: a function of two masks, found by name among the plug-ins or as PACKAGE:FUNCTION."""

from collections.abc import Sequence
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from segforge.errors import SegForgeError
from segforge.plugins import find

Mask = npt.NDArray[np.bool_]


class Metric(Protocol):
    """What a metric of one's own looks like; installed packages register theirs as entry points `segforge.metrics`."""

    def __call__(self, reference: Mask, prediction: Mask, spacing: tuple[float, float, float], /) -> float:
        """Score a structure of a case; NaN where it has none.

        Args:
            reference: Mask `(Z, Y, X)` of the truth.
            prediction: Mask of the prediction; voxels of the ignore label are in neither.
            spacing: Voxel size along (z, y, x) in mm.
        """


def find_metric(name: str) -> Metric:
    """The metric of a name that a user typed.

    Raises:
        SegForgeError: If there is none, or it is no function.
    """
    found: Any = find("metrics", name, {}, allow_path=True)
    if not callable(found):
        raise SegForgeError(f"The metric {name} is no function. It must take reference mask, prediction mask and spacing.")
    return cast(Metric, found)


def own_scores(
    names: Sequence[str], reference: Mask, prediction: Mask, spacing: tuple[float, float, float]
) -> dict[str, float]:
    """Scores by the metrics' short names.

    Raises:
        SegForgeError: If a metric fails or returns no number; names it.
    """
    scores = {}
    for name in names:
        metric = find_metric(name)
        try:
            scores[short_name(name)] = float(metric(reference, prediction, spacing))
        except MemoryError:
            raise
        except Exception as error:
            raise SegForgeError(f"the metric {name} failed: {error or type(error).__name__}.") from error
    return scores


def short_name(name: str) -> str:
    """What a metric is called in the results: without the package."""
    return name.rpartition(":")[2]
