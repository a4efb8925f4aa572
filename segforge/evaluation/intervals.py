"""How sure a mean over cases is: its bootstrap 95 % interval."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

RESAMPLES = 2000
SEED = 12345
SHARE = 0.95


def resampled_means(scores: Array) -> Array:
    """Means over as many cases, drawn with replacement from all, as there are; the draws are always the same.

    Args:
        scores: `(cases, ...)`; NaN where a case has no score, and then it does not count.

    Returns:
        `(RESAMPLES, ...)`; NaN where none of the drawn cases has a score, infinite where one is.
    """
    cases, columns = len(scores), scores.reshape(len(scores), -1)
    drawn = np.random.default_rng(SEED).multinomial(cases, np.full(cases, 1 / cases), RESAMPLES).astype(float)
    known, infinite = ~np.isnan(columns), np.isinf(columns)
    with np.errstate(invalid="ignore"):
        means = drawn @ np.where(known & ~infinite, columns, 0.0) / (drawn @ known)
    for sign in (-1, 1):
        means[drawn @ (infinite & (np.sign(columns) == sign)) > 0] = sign * np.inf
    resampled: Array = means.reshape(RESAMPLES, *scores.shape[1:])
    return resampled


def percentile_interval(means: Array) -> tuple[Array, Array]:
    """The limits that 95 % of the resampled means `(RESAMPLES, ...)` lie between, each a mean that occurs; NaN do not count."""
    ordered = np.sort(means, axis=0)  # NaN come last
    last = np.maximum(np.count_nonzero(~np.isnan(ordered), axis=0) - 1, 0)
    low, high = (np.rint(last * share).astype(int)[None] for share in ((1 - SHARE) / 2, (1 + SHARE) / 2))
    return np.take_along_axis(ordered, low, 0)[0], np.take_along_axis(ordered, high, 0)[0]
