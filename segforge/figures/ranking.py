"""The ranking of trained models as a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segforge.figures.strips import Strip, draw_strips


@dataclass(frozen=True)
class Ranked:
    """One candidate.

    Attributes:
        name: Its name, several joined by ` + ` for an ensemble.
        mean: The score that it is ranked by.
        interval: The limits of that score, 95 % of its bootstrap; None if they are not known.
        cases: The score of each case; NaN where there is none.
    """

    name: str
    mean: float
    interval: tuple[float, float] | None = None
    cases: Sequence[float] = ()


def draw_ranking(
    path: Path,
    candidates: Sequence[Ranked],
    *,
    winner: int = 0,
    title: str = "Cross-validation",
    score: str = "mean foreground Dice",
) -> None:
    """Draw a row for each candidate: its score with its interval over the scores of the cases.

    Args:
        path: The PNG file.
        candidates: The best first.
        winner: Place of the selected one in that list.
        title: Above the picture.
        score: What the numbers are.
    """
    strips = [Strip(one.name, one.cases, one.mean, one.interval) for one in candidates]
    label = f"{score}: a point for each case, the mean with its 95 % interval"
    draw_strips(path, strips, title=title, label=label, winner=winner)
