"""The user's settings against the data set: what cannot work is refused, with the reason and the nearest that works."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from segforge.compute.wording import numbers
from segforge.dataset.description import DatasetDescription
from segforge.errors import SegForgeError
from segforge.planning.architecture import Axes
from segforge.planning.drafts import Draft, Subject
from segforge.planning.fingerprint import Fingerprint
from segforge.planning.fitting import PatchFit
from segforge.planning.network import MOST_FEATURES
from segforge.planning.presets import SMALLEST_BATCH
from segforge.planning.settings import PlannerSettings
from segforge.planning.spacing import Vector, median_of_cases

_MORE_MEMORY = "None does: allow more with --gpu-memory."


def check_data(fingerprint: Fingerprint, description: DatasetDescription) -> None:
    """Fingerprint and description must be of one data set, and CT needs foreground to be normalized by."""
    channels, described = len(fingerprint.intensities), len(description.channel_names)
    if channels != described:
        raise SegForgeError(
            f"The fingerprint has {channels} channels, dataset.json names {described}. Give those of one data set."
        )
    for name, facts in zip(description.channels, fingerprint.intensities, strict=True):
        if name.casefold() == "ct" and math.isnan(facts.mean):
            raise SegForgeError(
                "The channel CT is normalized by the data set's foreground, but no case has any: every label map is "
                "background. Correct the labels, or name the channel zscore."
            )


def check_spacing(spacing: Vector | None, fingerprint: Fingerprint) -> None:
    """A target spacing must leave the median case at least a voxel per axis, and single slices as they are."""
    if spacing is None:
        return
    spacings, shapes = np.array(fingerprint.spacings), np.array(fingerprint.shapes_after_crop)
    extent = median_of_cases(spacings * shapes)
    single = (shapes == 1).all(axis=0).tolist()
    works = tuple(
        size if alone or round(size / value) < 1 else value for value, size, alone in zip(spacing, extent, single, strict=True)
    )
    if works != tuple(spacing):
        raise SegForgeError(
            f"--spacing {numbers(spacing)} mm must leave at least one voxel along each axis, and single slices as they are; "
            f"the median case is {numbers(extent)} mm long. The nearest that works is {numbers(works)}."
        )


def check_for_subject(settings: PlannerSettings, subject: Subject) -> None:
    """Patch size and features must suit the dimensions of the data set."""
    if settings.patch_size is not None and len(settings.patch_size) == 3 and not subject.has_volumes:
        in_plane = [size for axis, size in enumerate(settings.patch_size) if axis != subject.grid.transpose[0]]
        raise SegForgeError(
            f"--patch-size {numbers(settings.patch_size)} has three axes, but the images are 2D. Give two: {numbers(in_plane)}."
        )
    most = MOST_FEATURES[3 if subject.has_volumes else 2]
    if settings.features is not None and settings.features > most:
        raise SegForgeError(
            f"--features {settings.features} exceeds the {most} that a stage may have. The nearest that works is {most}."
        )


def given_patch(patch_size: Axes | None, order: Axes, dimensions: int) -> Axes | None:
    """The user's patch in transposed axis order, if it is meant for configurations of that many dimensions."""
    if patch_size is None or len(patch_size) != dimensions:
        return None
    return tuple(patch_size[axis] for axis in order) if dimensions == 3 else patch_size


def check_draft(
    name: str, draft: Draft, settings: PlannerSettings, subject: Subject, refit: Callable[[Sequence[float]], PatchFit]
) -> None:
    """The user's patch and batch must fit the network and the card.

    Args:
        name: Name of the configuration.
        draft: What became of them.
        settings: What the user asked for.
        subject: The data set.
        refit: Makes another patch fit, for the nearest that works.
    """
    fit, order = draft.fit, subject.grid.transpose if len(draft.spacing) == 3 else (0, 1)
    if settings.batch_size is not None and not fit.fits:
        largest = draft.batch.by_memory
        remedy = f"The largest that does is {largest}." if largest >= SMALLEST_BATCH else _MORE_MEMORY
        patch = numbers(_stored(fit.topology.patch_size, order))
        raise SegForgeError(
            f"{name}: --batch-size {settings.batch_size} does not fit even with patches of {patch} voxels. {remedy}"
        )
    wanted = given_patch(settings.patch_size, order, len(draft.spacing))
    if wanted is None or wanted == fit.topology.patch_size:
        return
    nearest = _nearest(wanted, fit.start.divisor, refit)
    remedy = f"The nearest that works is {numbers(_stored(nearest, order))}." if nearest else _MORE_MEMORY
    raise SegForgeError(f"{name}: --patch-size {numbers(_stored(wanted, order))} {_reason(draft, wanted, order)}. {remedy}")


def _reason(draft: Draft, wanted: Axes, order: Axes) -> str:
    start = draft.fit.start
    if any(size % step for size, step in zip(wanted, start.divisor, strict=True)):
        return f"is not divisible by {numbers(_stored(start.divisor, order))}, the strides of its network"
    if start.patch_size != wanted:
        return "is too small for its network"
    times = draft.fit.start_estimate * draft.fitted_batch / draft.budget.batch_size / draft.budget.estimate
    return f"does not fit on the card: a batch of {draft.fitted_batch} takes {times:.1f} times the memory asked for"


def _nearest(wanted: Axes, divisor: Axes, refit: Callable[[Sequence[float]], PatchFit]) -> Axes | None:
    """Of the patches around the wanted one, each made to fit, the one with the least change."""
    around = itertools.product(
        *((max(size // step, 1) * step, math.ceil(size / step) * step) for size, step in zip(wanted, divisor, strict=True))
    )
    fits = [fit for patch in around if (fit := refit(patch)).fits]
    return min((fit.topology.patch_size for fit in fits), key=lambda patch: _change(patch, wanted), default=None)


def _change(patch: Axes, wanted: Axes) -> float:
    return sum(abs(math.log(new / old)) for new, old in zip(patch, wanted, strict=True))


def _stored(values: Axes, order: Axes) -> Axes:
    """Values in transposed order, back in the order of the stored axes."""
    return tuple(values[order.index(axis)] for axis in range(len(values)))
