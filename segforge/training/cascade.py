"""Trains a network that sees, besides the image, what the network of a lower resolution predicted."""

from segforge.training.augmentation import BatchTransform, CascadeTransform
from segforge.training.trainer import Trainer


class CascadeTrainer(Trainer):
    """The method's training of a cascade: one further input channel for each foreground label of the previous stage."""

    def build_augmentation(self) -> BatchTransform:
        """The settings' augmentation, and mistakes in the previous stage's map."""
        return self._with_previous_stage(super().build_augmentation(), corrupts=True)

    def build_validation_transform(self) -> BatchTransform:
        """The previous stage's map as it is."""
        return self._with_previous_stage(super().build_validation_transform(), corrupts=False)

    def _with_previous_stage(self, inner: BatchTransform, *, corrupts: bool) -> BatchTransform:
        return CascadeTransform(inner, labels=self.job.labels.classes - 1, corrupts=corrupts)
