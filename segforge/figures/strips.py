"""Scores of cases as points on a line for each row, with the mean and how sure it is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segforge.figures.canvas import new_figure, plain, save

_ROW = 0.68  # inches
_SPREAD = 0.26  # how far points go from the middle of their row
_LONGEST_NAME = 45
_POINT, _MEAN, _WINNER = "#8a9aa8", "#1f4e79", "#d55e00"


@dataclass(frozen=True)
class Strip:
    """A row of scores.

    Attributes:
        name: What it is called.
        scores: One for each case; NaN is not drawn.
        mean: Their mean; NaN if there is none.
        interval: Limits of the mean, or None.
        note: A word beside the lowest score, the name of its case for example.
    """

    name: str
    scores: Sequence[float]
    mean: float
    interval: tuple[float, float] | None = None
    note: str = ""


def draw_strips(
    path: Path, strips: Sequence[Strip], *, title: str, label: str, boxes: bool = False, winner: int | None = None
) -> None:
    """Draw a row for each strip, the first on top.

    Args:
        path: The PNG file.
        strips: The rows.
        title: Above the picture.
        label: Below the axis: what the scores are.
        boxes: Whether a box shows median and quartiles, with whiskers to the last point within 1.5 times its length.
        winner: The row that is marked.
    """
    figure = new_figure(width=9, height=_ROW * len(strips) + 1.5)
    axis = figure.subplots()
    for row, strip in enumerate(strips):
        _draw_strip(axis, row, strip, boxes=boxes, is_winner=row == winner)
    axis.set_yticks(range(len(strips)), [plain(_described(strip)) for strip in strips], fontsize=9)
    if winner is not None:
        axis.get_yticklabels()[winner].set(color=_WINNER, fontweight="bold")
    axis.set_ylim(len(strips) - 0.4, -0.6)
    axis.set_xlabel(label, fontsize=9)
    axis.set_title(plain(title), fontsize=11, loc="left")
    axis.grid(axis="x", alpha=0.3)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.margins(x=0.02)
    save(figure, path)


def _draw_strip(axis: Any, row: int, strip: Strip, *, boxes: bool, is_winner: bool) -> None:
    scores = np.array([score for score in strip.scores if not math.isnan(score)])
    if not len(scores):
        axis.text(0.01, row, "no score", transform=axis.get_yaxis_transform(), va="center", color="grey", fontsize=9)
        return
    spread = np.random.default_rng(0).uniform(-_SPREAD, _SPREAD, len(scores)) if len(scores) > 1 else np.zeros(1)
    axis.scatter(scores, row + spread, s=14, color=_POINT, alpha=0.7, linewidths=0)
    if boxes and len(scores) > 1:
        style = {"color": "black", "linewidth": 0.9}
        axis.boxplot(
            [scores], positions=[row], orientation="horizontal", widths=0.62, showfliers=False, manage_ticks=False,
            boxprops=style, whiskerprops=style, capprops=style, medianprops=style | {"linewidth": 1.6},
        )  # fmt: skip
    colour = _WINNER if is_winner else _MEAN
    if strip.interval is not None:
        axis.plot(strip.interval, [row, row], color=colour, linewidth=2.5, solid_capstyle="butt", zorder=4)
    axis.plot([strip.mean], [row], marker="D", markersize=7, color=colour, markeredgecolor="white", zorder=5)
    if strip.note:
        axis.text(scores.min(), row + 0.34, plain(_shortened(strip.note)), fontsize=7, va="top", color="#444444")


def _described(strip: Strip) -> str:
    """Name of a row, and below it the mean with its interval."""
    if math.isnan(strip.mean):
        return _shortened(strip.name)
    limits = "" if strip.interval is None else f"  ({strip.interval[0]:.3f} - {strip.interval[1]:.3f})"
    return f"{_shortened(strip.name)}\n{strip.mean:.3f}{limits}"


def _shortened(name: str) -> str:
    """A name with its middle left out if it is long."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[: half - 1]}...{name[-half:]}"
