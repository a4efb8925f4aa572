"""The augmentations that a training may have, by name."""

import inspect
from collections.abc import Sequence
from functools import partial
from typing import Any

from segforge import plugins
from segforge.errors import SegForgeError
from segforge.training.augmentation.batchgenerators import DictionaryAugmentation
from segforge.training.augmentation.pipeline import BatchTransform, NoAugmentation

AUGMENTATIONS = {
    "default": "segforge.training.augmentation.pipeline:Augmentation",
    "none": "segforge.training.augmentation.choice:no_augmentation",
    "strong": "segforge.training.augmentation.strong:StrongAugmentation",
}


def build_augmentation(
    name: str, patch_size: Sequence[int], *, mirror_axes: Sequence[int], masked_channels: Sequence[bool]
) -> BatchTransform:
    """The augmentation of that name.

    Args:
        name: `default`, `strong`, `none`, a plug-in's, or `PACKAGE:OBJECT`: a class or function that makes one, or a transform
            of batchgenerators.
        patch_size: `(y, x)` or `(z, y, x)`.
        mirror_axes: Spatial axes, from 0, that may be flipped.
        masked_channels: For every image channel whether it is 0 outside the mask it was normalized in.

    Raises:
        SegForgeError: If there is none of that name, or one from elsewhere cannot be made as ours are.
    """
    load = partial(_made, name, tuple(patch_size), tuple(mirror_axes), tuple(masked_channels))
    made = load()
    if all(hasattr(made, method) for method in ("draw", "source_sizes", "initial_patch_size")):
        transform: BatchTransform = made
        return transform
    if not callable(made):
        raise SegForgeError(f"--augmentation {name} is a {type(made).__name__}, which cannot be called. Name another.")
    return DictionaryAugmentation(load, patch_size, mirror_axes=mirror_axes, masked_channels=masked_channels)


def no_augmentation(
    patch_size: Sequence[int], *, mirror_axes: Sequence[int], masked_channels: Sequence[bool]
) -> NoAugmentation:
    """Patches as they are; takes what the others take."""
    del mirror_axes, masked_channels
    return NoAugmentation(patch_size)


def _made(name: str, patch_size: tuple[int, ...], mirror_axes: tuple[int, ...], masked_channels: tuple[bool, ...]) -> Any:
    """What a name stands for: an object as it is, or what a class or function makes for a patch size."""
    found = plugins.find("augmentations", name, AUGMENTATIONS, allow_path=True)
    is_maker = inspect.isclass(found) or inspect.isroutine(found)
    if not is_maker:
        return found
    try:
        return found(patch_size, mirror_axes=mirror_axes, masked_channels=masked_channels)
    except TypeError as error:
        raise SegForgeError(
            f"The augmentation {name} cannot be made: {error}. It is called with the patch size and, by name, mirror_axes "
            "and masked_channels, as segforge.training.augmentation:Augmentation is."
        ) from error
