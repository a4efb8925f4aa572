"""A slice of an image with label contours: reference beside prediction, true to scale."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.figures.canvas import new_figure, save

Array = npt.NDArray[Any]


def draw_comparison(
    path: Path, image: Array, reference: Array, prediction: Array, spacing: Sequence[float], *, title: str
) -> None:
    """Draw the slice with most of the reference's foreground: image, reference and prediction side by side.

    Args:
        path: The PNG file.
        image: `(Z, Y, X)`.
        reference: Label map of the same shape.
        prediction: Label map of the same shape.
        spacing: Voxel size along (z, y, x).
        title: Above the picture.
    """
    chosen = int(np.argmax(np.count_nonzero(reference, axis=(1, 2))))
    low, high = np.percentile(image, (0.5, 99.5))
    figure = new_figure(width=12, height=4.6)
    values = sorted((set(np.unique(reference).tolist()) | set(np.unique(prediction).tolist())) - {0})
    panels = (("image", None), ("reference", reference), ("prediction", prediction))
    for axis, (name, labels) in zip(figure.subplots(1, 3), panels, strict=True):
        axis.imshow(image[chosen], cmap="gray", vmin=low, vmax=high, aspect=spacing[1] / spacing[2], interpolation="nearest")
        axis.set_title(name, fontsize=10)
        axis.set_axis_off()
        if labels is not None:
            _draw_contours(axis, labels[chosen], values)
    figure.suptitle(f"{title}, slice {chosen}", fontsize=11)
    save(figure, path)


def _draw_contours(axis: Any, labels: Array, values: Sequence[int]) -> None:
    from matplotlib import colormaps

    for index, value in enumerate(values):
        member = labels == value
        if member.any() and not member.all():
            axis.contour(member, levels=[0.5], colors=[colormaps["tab10"](index % 10)], linewidths=1.8)
