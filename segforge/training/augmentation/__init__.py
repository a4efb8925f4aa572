"""Read patches -> augmented batches, as tensor operations on the device that trains."""

from segforge.training.augmentation.cascade import CascadeTransform
from segforge.training.augmentation.choice import build_augmentation
from segforge.training.augmentation.geometry import centre_offset
from segforge.training.augmentation.parameters import AugmentationParameters
from segforge.training.augmentation.pipeline import Augmentation, BatchTransform, NoAugmentation

__all__ = [
    "Augmentation",
    "AugmentationParameters",
    "BatchTransform",
    "CascadeTransform",
    "NoAugmentation",
    "build_augmentation",
    "centre_offset",
]
