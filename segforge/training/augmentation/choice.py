"""The augmentations that a training may have, by name."""

from collections.abc import Sequence

from segforge import plugins
from segforge.errors import SegForgeError
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
        name: `default`, `strong`, `none`, a plug-in's, or `PACKAGE:CLASS`.
        patch_size: `(y, x)` or `(z, y, x)`.
        mirror_axes: Spatial axes, from 0, that may be flipped.
        masked_channels: For every image channel whether it is 0 outside the mask it was normalized in.

    Raises:
        SegForgeError: If there is none of that name, or one from elsewhere cannot be made as ours are.
    """
    kind = plugins.find("augmentations", name, AUGMENTATIONS, allow_path=True)
    try:
        transform: BatchTransform = kind(patch_size, mirror_axes=mirror_axes, masked_channels=masked_channels)
    except TypeError as error:
        raise SegForgeError(
            f"The augmentation {name} cannot be made: {error}. It is called with the patch size and, by name, mirror_axes "
            "and masked_channels, as segforge.training.augmentation:Augmentation is."
        ) from error
    return transform


def no_augmentation(
    patch_size: Sequence[int], *, mirror_axes: Sequence[int], masked_channels: Sequence[bool]
) -> NoAugmentation:
    """Patches as they are; takes what the others take."""
    del mirror_axes, masked_channels
    return NoAugmentation(patch_size)
