"""Slices of a case with its label maps over the image, true to scale: what a person looks at to judge them."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.figures.canvas import new_figure, plain, save
from segforge.figures.colours import structure_colours
from segforge.figures.errors import ERRORS
from segforge.figures.planes import Plane, View, view_of

Array = npt.NDArray[Any]

_WIDTH, _HEIGHT = 12.5, 12.0  # inches
_SMALLEST_PANEL, _LARGEST_PANEL = 2.8, 6.0  # inches
_VOXELS_PER_INCH = 14
_LINE = 0.22  # inches of a line of the legend
_LINE_VOXELS = 300
_FILLED, _ERRORS = 0.45, 0.8  # how opaque


@dataclass(frozen=True)
class Scene:
    """A volume to look at.

    Attributes:
        image: `(1, Z, Y, X)`, shown in grey, or three channels as colours; None where only the labels are known.
        window: The values that are shown as black and as white.
        spacing: Voxel size along (z, y, x).
        toward: Where these axes run to in the patient, `SPL` for example; None where they are no patient's.
        name: What the image is called, with its channel for example.
    """

    image: Array | None
    window: tuple[float, float]
    spacing: tuple[float, float, float]
    toward: str | None = None
    name: str = "image"


@dataclass(frozen=True)
class Structures:
    """What class maps mean, and how it is drawn.

    Attributes:
        classes: The classes of each structure, by its name.
        ignored: The class of voxels that do not count.
        is_filled: Whether structures are filled, not only outlined.
    """

    classes: Mapping[str, tuple[int, ...]]
    ignored: int | None = None
    is_filled: bool = False

    @property
    def groups(self) -> list[tuple[int, ...]]:
        """The classes of each structure."""
        return list(self.classes.values())


@dataclass(frozen=True)
class Panel:
    """What is drawn over the image: a class map `(Z, Y, X)`, or kinds of errors (`errors.error_map`), or nothing."""

    title: str
    labels: Array | None = None
    errors: Array | None = None


@dataclass
class _Drawn:
    """What there is to explain in the legend."""

    structures: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    has_ignored: bool = False


def draw_case(
    path: Path, scene: Scene, panels: Sequence[Panel], planes: Sequence[Plane], structures: Structures, *, title: str
) -> None:
    """Draw every panel in every plane.

    Args:
        path: The PNG file.
        scene: The image.
        panels: What to draw over it.
        planes: The slices.
        structures: What the classes are.
        title: Above the picture.
    """
    shape = next(array.shape[-3:] for array in (scene.image, *(_content(panel) for panel in panels)) if array is not None)
    views = [view_of(plane, shape, scene.toward) for plane in planes]
    panels_run_down = len(views) > len(panels)  # the longer list runs to the right: screens are wide
    cells = [(view, panel) for panel in panels for view in views] if panels_run_down else list(product(views, panels))
    columns = len(views) if panels_run_down else len(panels)
    widths, heights = _lengths([_millimetres(view, shape, scene.spacing) for view, _ in cells], columns)
    figure, axes = _grid(widths, heights, longest=max(shape))
    drawn = _Drawn()
    for number, (axis, (view, panel)) in enumerate(zip(axes, cells, strict=True)):
        row, column = divmod(number, columns)
        _draw_panel(axis, view, panel, scene, structures, drawn)
        across, down = (view.name, panel.title) if panels_run_down else (panel.title, view.name)
        if row == 0:
            axis.set_title(plain(across), fontsize=10)
        if column == 0:
            axis.set_ylabel(plain(down), fontsize=10)
        if panel is panels[0]:
            _name_sides(axis, view)
    _finish(figure, title, drawn)
    save(figure, path)


def _content(panel: Panel) -> Array | None:
    return panel.errors if panel.labels is None else panel.labels


def _lengths(sizes: Sequence[tuple[float, float]], columns: int) -> tuple[list[float], list[float]]:
    """Width of each column and height of each row that have room for cells of these widths and heights."""
    widths = [max(width for width, _ in sizes[column::columns]) for column in range(columns)]
    heights = [max(height for _, height in sizes[row : row + columns]) for row in range(0, len(sizes), columns)]
    return widths, heights


def _millimetres(view: View, shape: Sequence[int], spacing: Sequence[float]) -> tuple[float, float]:
    """Width and height of a view."""
    return shape[view.columns] * spacing[view.columns], shape[view.rows] * spacing[view.rows]


def _grid(widths: Sequence[float], heights: Sequence[float], longest: int) -> tuple[Any, list[Any]]:
    """A figure with axes of these sizes in mm to one another, row by row; few voxels need no large ones."""
    largest = min(max(longest / _VOXELS_PER_INCH, _SMALLEST_PANEL), _LARGEST_PANEL)
    scale = min(_WIDTH / sum(widths), _HEIGHT / sum(heights), largest / max(*widths, *heights))
    figure = new_figure(width=scale * sum(widths) + 0.4 * len(widths), height=scale * sum(heights) + 0.4 * len(heights))
    axes = figure.subplots(len(heights), len(widths), squeeze=False, width_ratios=widths, height_ratios=heights)
    return figure, list(axes.ravel())


def _draw_panel(axis: Any, view: View, panel: Panel, scene: Scene, structures: Structures, drawn: _Drawn) -> None:
    overlay = _content(panel)
    aspect = scene.spacing[view.rows] / scene.spacing[view.columns]
    if scene.image is not None:
        axis.imshow(_in_grey_or_colour(view.of(scene.image), scene.window), cmap="gray", vmin=0, vmax=1, aspect=aspect)
    elif overlay is not None:
        axis.imshow(np.zeros(view.of(overlay).shape), cmap="gray", vmin=0, vmax=1, aspect=aspect)
    if panel.labels is not None:
        _draw_labels(axis, view.of(panel.labels), structures, drawn, opacity=1.0 if scene.image is None else _FILLED)
    if panel.errors is not None:
        _draw_errors(axis, view.of(panel.errors), drawn)
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


def _in_grey_or_colour(plane: Array, window: tuple[float, float]) -> Array:
    """Channels `(C, rows, columns)` from 0 to 1, the colours last."""
    low, high = window
    shown: Array = np.clip((plane.astype(np.float32) - low) / (high - low), 0, 1)
    return shown[0] if len(shown) == 1 else np.moveaxis(shown, 0, -1)


def _draw_labels(axis: Any, labels: Array, structures: Structures, drawn: _Drawn, *, opacity: float) -> None:
    fill = np.zeros((*labels.shape, 4))
    is_filled = structures.is_filled or opacity == 1
    width = min(max(_LINE_VOXELS / max(labels.shape), 0.6), 1.4)  # thin structures of large images stay visible
    for (name, classes), colour in zip(structures.classes.items(), structure_colours(len(structures.classes)), strict=True):
        member = np.isin(labels, classes)
        if member.any():
            drawn.structures[name] = colour
            fill[member] = _rgba(colour, opacity)
            if opacity < 1:
                _draw_outline(axis, member, colour, width / 2 if is_filled else width)
    if is_filled:
        axis.imshow(fill, aspect=axis.get_aspect())
    if structures.ignored is not None and (ignored := labels == structures.ignored).any():
        drawn.has_ignored = True
        _hatch(axis, ignored)


def _draw_errors(axis: Any, errors: Array, drawn: _Drawn) -> None:
    fill = np.zeros((*errors.shape, 4))
    for kind, (name, colour) in enumerate(ERRORS.items(), start=1):
        if (wrong := errors == kind).any():
            drawn.errors[name] = colour
            fill[wrong] = _rgba(colour, _ERRORS)
    axis.imshow(fill, aspect=axis.get_aspect())


def _rgba(colour: str, opacity: float) -> tuple[float, float, float, float]:
    from matplotlib.colors import to_rgba

    red, green, blue, _ = to_rgba(colour)
    return red, green, blue, opacity


def _draw_outline(axis: Any, mask: Array, colour: str, width: float) -> None:
    """The line half-way between the voxels inside and outside; along the border of the image too."""
    rows, columns = (np.arange(-1, size + 1) for size in mask.shape)
    axis.contour(columns, rows, np.pad(mask, 1), levels=[0.5], colors=[colour], linewidths=width)
    axis.set(xlim=(-0.5, mask.shape[1] - 0.5), ylim=(mask.shape[0] - 0.5, -0.5))


def _hatch(axis: Any, mask: Array) -> None:
    rows, columns = (np.arange(-1, size + 1) for size in mask.shape)
    area = axis.contourf(columns, rows, np.pad(mask, 1), levels=[0.5, 1.5], colors="none", hatches=["////"])
    area.set_edgecolor("white")
    axis.set(xlim=(-0.5, mask.shape[1] - 0.5), ylim=(mask.shape[0] - 0.5, -0.5))


def _name_sides(axis: Any, view: View) -> None:
    from matplotlib.patheffects import withStroke

    style = {"color": "white", "fontsize": 9, "path_effects": [withStroke(linewidth=2, foreground="black")]}
    axis.text(0.01, 0.5, view.sides[0], transform=axis.transAxes, ha="left", va="center", **style)
    axis.text(0.5, 0.99, view.sides[1], transform=axis.transAxes, ha="center", va="top", **style)


def _finish(figure: Any, title: str, drawn: _Drawn) -> None:
    """Title above, legend below, each in as many lines as it needs."""
    from matplotlib.patches import Patch

    handles = [
        *(Patch(color=colour, label=plain(name)) for name, colour in (drawn.structures | drawn.errors).items()),
        *([Patch(facecolor="#444444", edgecolor="white", hatch="////", label="ignored")] if drawn.has_ignored else []),
    ]
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(title, max(20, int(11 * width)))
    rows = 0
    if handles:
        columns = _columns([str(handle.get_label()) for handle in handles], width)
        rows = -(-len(handles) // columns)
        figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=9, frameon=False)
    figure.set_size_inches(width, height + _LINE * (rows + len(lines) + 1))
    figure.suptitle(plain("\n".join(lines)), fontsize=11)


def _columns(names: Iterable[str], width: float) -> int:
    """Entries of a legend that fit beside each other."""
    longest = max(len(name) for name in names)
    return max(1, int(width / (0.085 * longest + 0.6)))
