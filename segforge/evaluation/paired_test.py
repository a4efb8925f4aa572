"""Whether one set of scores is really better than another of the same cases, or by chance."""

import math
from collections.abc import Sequence

from scipy.stats import wilcoxon

from segforge.compute.documents import Document, NanFloat

FEWEST = 6
"""Of fewer differing cases not even all in one direction give a p value below 0.05."""


class PairedTest(Document):
    """Wilcoxon's signed-rank test, two-sided.

    Attributes:
        cases: Cases that both have a score of.
        differing: Those whose scores differ.
        p: How likely differences as clear as these are if neither is better; NaN for too few cases.
    """

    cases: int
    differing: int
    p: NanFloat


def paired_test(first: Sequence[float], second: Sequence[float]) -> PairedTest:
    """Compare two scores of each case; NaN where a case has none, and then it does not count."""
    pairs = zip(first, second, strict=True)
    differences = [one - other for one, other in pairs if not (math.isnan(one) or math.isnan(other))]
    differing = [difference for difference in differences if difference]
    p = float(wilcoxon(differing).pvalue) if len(differing) >= FEWEST else math.nan
    return PairedTest(cases=len(differences), differing=len(differing), p=p)
