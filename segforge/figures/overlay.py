"""A slice of an image with label contours: reference beside prediction, true to scale."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.figures.canvas import new_figure, save

Array = npt.NDArray[Any]


def draw_comparison(
    path: Path,
    image: Array,
    reference: Array,
    prediction: Array,
    spacing: Sequence[float],
    *,
    names: Mapping[int, str],
    title: str,
) -> None:
    """Draw the slice with most of the reference's foreground: image, reference and prediction side by side.

    Args:
        path: The PNG file.
        image: `(Z, Y, X)`.
        reference: Label map of the same shape.
        prediction: Label map of the same shape.
        spacing: Voxel size along (z, y, x).
        names: Names of the label values to draw.
        title: Above the picture.
    """
    from matplotlib.lines import Line2D

    chosen = int(np.argmax(np.count_nonzero(reference, axis=(1, 2))))
    low, high = np.percentile(image, (0.5, 99.5))
    figure = new_figure(width=12, height=4.6)
    panels = (("image", None), ("reference", reference), ("prediction", prediction))
    for axis, (name, labels) in zip(figure.subplots(1, 3), panels, strict=True):
        axis.imshow(image[chosen], cmap="gray", vmin=low, vmax=high, aspect=spacing[1] / spacing[2], interpolation="nearest")
        axis.set_title(name, fontsize=10)
        axis.set_axis_off()
        if labels is not None:
            _draw_contours(axis, labels[chosen], names)
    figure.suptitle(f"{title}, slice {chosen}", fontsize=11)
    handles = [Line2D([], [], color=_colour(index), label=name) for index, name in enumerate(names.values())]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(names), fontsize=9)
    save(figure, path)


def _draw_contours(axis: Any, labels: Array, names: Mapping[int, str]) -> None:
    for index, value in enumerate(names):
        member = labels == value
        if member.any() and not member.all():
            axis.contour(member, levels=[0.5], colors=[_colour(index)], linewidths=1.8)


def _colour(index: int) -> str:
    return f"C{index % 10}"
