"""A matplotlib figure without a window or global state, written whole."""

from pathlib import Path
from typing import Any

from segforge.compute.files import whole_file


def new_figure(*, width: float, height: float) -> Any:
    """An empty figure, size in inches, that belongs to no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Any, path: Path) -> None:
    """Write a figure as PNG."""
    with whole_file(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def plain(text: str) -> str:
    """Text that is drawn as it is: a dollar sign begins no formula."""
    return text.replace("$", r"\$")
