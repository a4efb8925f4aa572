"""The losses that a training may have, by name."""

from typing import ClassVar

from torch import Tensor, nn

from segforge import plugins
from segforge.dataset.labels import LabelScheme
from segforge.errors import SegForgeError
from segforge.training.entropy import (
    annotated_mean,
    class_entropies,
    class_focus,
    hardest_mean,
    region_entropies,
    region_focus,
)
from segforge.training.loss import SegmentationLoss
from segforge.training.settings import TrainingSettings

LOSSES = {
    "dice_ce": "segforge.training.loss:SegmentationLoss",
    "dice": "segforge.training.losses:DiceLoss",
    "ce": "segforge.training.losses:CrossEntropyLoss",
    "topk": "segforge.training.losses:HardestVoxelsLoss",
    "dice_topk": "segforge.training.losses:DiceHardestVoxelsLoss",
    "dice_focal": "segforge.training.losses:DiceFocalLoss",
    "dice_ce_cldice": "segforge.training.thin_structures:CentrelineDiceLoss",
    "dice_ce_skeleton": "segforge.training.thin_structures:SkeletonRecallLoss",
}

_HARDEST_PERCENT = 10


def build_loss(settings: TrainingSettings, labels: LabelScheme, *, batch_dice: bool) -> nn.Module:
    """The settings' loss.

    Raises:
        SegForgeError: If there is none of that name, or one from elsewhere cannot be made as ours are.
    """
    kind = plugins.find("losses", settings.loss, LOSSES, allow_path=True)
    try:
        loss: nn.Module = kind(
            labels,
            batch_dice=batch_dice,
            label_smoothing=settings.label_smoothing,
            dice_smoothing=settings.dice_smoothing,
        )
    except TypeError as error:
        raise SegForgeError(
            f"The loss {settings.loss} cannot be made: {error}. It is called with the labels and, by name, batch_dice, "
            "label_smoothing and dice_smoothing, as segforge.training.loss:SegmentationLoss is."
        ) from error
    return loss


class DiceLoss(SegmentationLoss):
    """-Dice alone."""

    has_entropy: ClassVar[bool] = False


class CrossEntropyLoss(SegmentationLoss):
    """Cross-entropy alone."""

    has_dice: ClassVar[bool] = False


class DiceHardestVoxelsLoss(SegmentationLoss):
    """-Dice + the cross-entropy of the tenth of the voxels that have the highest."""

    def class_entropy(self, log_probabilities: Tensor, classes: Tensor, annotated: Tensor | None) -> Tensor:
        """Mean over the hardest voxels."""
        entropies = class_entropies(log_probabilities, classes, self.label_smoothing)
        return hardest_mean(entropies, annotated, _HARDEST_PERCENT)

    def region_entropy(self, logits: Tensor, regions: Tensor, annotated: Tensor | None) -> Tensor:
        """Mean over the hardest pairs of voxel and region."""
        return hardest_mean(region_entropies(logits, regions, self.label_smoothing), annotated, _HARDEST_PERCENT)


class HardestVoxelsLoss(DiceHardestVoxelsLoss):
    """The cross-entropy of the hardest tenth of the voxels alone."""

    has_dice: ClassVar[bool] = False


class DiceFocalLoss(SegmentationLoss):
    """-Dice + cross-entropy with focal weights (1 - p) ** 2, by which voxels that are right already hardly count."""

    def class_entropy(self, log_probabilities: Tensor, classes: Tensor, annotated: Tensor | None) -> Tensor:
        """Mean of the weighted entropies."""
        entropies = class_entropies(log_probabilities, classes, self.label_smoothing)
        return annotated_mean(entropies * class_focus(log_probabilities, classes), annotated)

    def region_entropy(self, logits: Tensor, regions: Tensor, annotated: Tensor | None) -> Tensor:
        """Mean of the weighted entropies; with an ignore label not divided by the number of regions, as dice_ce."""
        entropies = region_entropies(logits, regions, self.label_smoothing)
        return annotated_mean(entropies * region_focus(logits, regions), annotated)
