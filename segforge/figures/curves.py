"""Curves over a common axis, one panel below the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segforge.figures.canvas import new_figure, save


@dataclass(frozen=True)
class Curve:
    """A named line; None leaves a gap."""

    name: str
    values: Sequence[float | None]
    bold: bool = False


@dataclass(frozen=True)
class Panel:
    """Lines with one title, and the limits of the vertical axis if they are fixed."""

    title: str
    curves: Sequence[Curve]
    limits: tuple[float, float] | None = None


def draw_panels(path: Path, x: Sequence[float], x_label: str, panels: Sequence[Panel]) -> None:
    """Draw panels into a PNG file."""
    figure = new_figure(width=10, height=2.6 * len(panels))
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, panel in zip(axes, panels, strict=True):
        for curve in panel.curves:
            values = [float("nan") if value is None else value for value in curve.values]
            style = {"linewidth": 2.5, "color": "black"} if curve.bold else {"linewidth": 1.2}
            axis.plot(x, values, label=curve.name, marker="." if len(x) < 30 else None, **style)
        axis.set_title(panel.title, loc="left", fontsize=10)
        axis.grid(alpha=0.3)
        if panel.limits:
            axis.set_ylim(*panel.limits)
        if any(curve.name for curve in panel.curves):
            axis.legend(loc="best", fontsize=8)
    axes[-1].set_xlabel(x_label)
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    save(figure, path)
