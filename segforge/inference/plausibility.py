"""Whether an image looks like those that a model was trained on: grids and intensities, compared in numbers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.images.image import Image
from segforge.inference.loaded_model import LoadedModel

Array = npt.NDArray[Any]

_SPACING, _SIZE = 1.5, 3.0  # factors beyond the range of the training that are nothing special
_OF_MEDIAN = 3.0  # where only the median of the training is known
_SAMPLES = 100_000
_PATTERN = 0.5  # mean difference of logarithms from which on channels look different
_ABSOLUTE = ("ct", "none", "rgb_to_0_1")  # normalizations that take intensities for what they are

_AXES = ("z", "y", "x")


def doubts(image: Image, model: LoadedModel) -> list[str]:
    """What is unlike the training, in words with both numbers; the image is predicted all the same."""
    return [*_grid_doubts(image, model), *_intensity_doubts(image, model), *_order_doubts(image, model)]


def _grid_doubts(image: Image, model: LoadedModel) -> Iterator[str]:
    spacings, sizes = _ranges(model)
    for axis, name in enumerate(_AXES):
        if image.geometry.is_2d and name == "z":
            continue
        (low, high), value = spacings[axis], image.geometry.spacing[axis]
        if not low <= value <= high:
            yield f"a voxel size of {value:.3g} mm along {name}; the model was trained on {low:.3g} to {high:.3g}, or near it."
        (low, high), voxels = sizes[axis], image.geometry.shape[axis]
        if not low <= voxels <= high:
            yield f"{voxels} voxels along {name}; the model was trained on {low:.0f} to {high:.0f}, or near it."


def _ranges(model: LoadedModel) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """For each stored axis what is still like the training: voxel sizes, and numbers of voxels."""
    facts = model.fingerprint
    if facts is None:
        back = model.plans.transpose_backward
        medians = model.plans.original_median_spacing, model.plans.original_median_shape
        spacings, sizes = (np.array([values])[:, back] for values in medians)
        widths = _OF_MEDIAN, _OF_MEDIAN * _SIZE
    else:
        spacings, sizes = np.array(facts.spacings), np.array(facts.shapes_after_crop)
        widths = _SPACING, _SIZE
    spacing, size = (
        list(zip((values.min(0) / width).tolist(), (values.max(0) * width).tolist(), strict=True))
        for values, width in zip((spacings, sizes), widths, strict=True)
    )
    return spacing, size


def _intensity_doubts(image: Image, model: LoadedModel) -> Iterator[str]:
    """Channels in which nothing is as bright or dark as what was labelled in the training."""
    specs = model.configuration.normalization
    for name, channel, spec, known in zip(model.description.channels, image.array, specs, model.plans.intensities, strict=True):
        low, high = np.percentile(_samples(channel), (0.5, 99.5))
        if spec.name in _ABSOLUTE and (high < known.percentile_00_5 or low > known.percentile_99_5):
            yield (
                f"channel {name} goes from {low:.4g} to {high:.4g}; "
                f"what was labelled in the training from {known.percentile_00_5:.4g} to {known.percentile_99_5:.4g}."
            )


def _order_doubts(image: Image, model: LoadedModel) -> Iterator[str]:
    """Channels whose brightness relative to each other fits another order much better."""
    bright = np.array([np.percentile(np.abs(_samples(channel)), 99.5) for channel in image.array])
    known = np.abs([facts.percentile_99_5 for facts in model.plans.intensities])
    if len(bright) < 2 or not (np.minimum(bright, known) > 0).all():
        return
    from scipy.optimize import linear_sum_assignment

    found, expected = (np.log(values) - np.log(values).mean() for values in (bright, known))
    distances = np.abs(found[:, None] - expected[None])
    _, order = linear_sum_assignment(distances)
    as_given, best = np.trace(distances), distances[np.arange(len(order)), order].sum()
    if as_given > _PATTERN * len(order) and best < as_given / 2:
        names = model.description.channels
        yield f"the channels look as if they were {', '.join(names[number] for number in order)}, not {', '.join(names)}."


def _samples(channel: Array) -> Array:
    """Voxels from all over a channel, without those that are 0 if there are others."""
    flat = channel.reshape(-1)
    chosen = flat[:: max(1, flat.size // _SAMPLES)]
    inside = chosen[chosen != 0]
    return inside if len(inside) else chosen
