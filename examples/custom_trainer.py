"""A trainer of your own: what is no number or choice (those are options of `segforge train`) is a short method to override.

Use it from the folder of this file, or any folder on PYTHONPATH:

    segforge train 4 3d_fullres 0 -tr custom_trainer:RareClassTrainer
    segforge train 4 3d_fullres 0 --loss custom_trainer:RareClassLoss --name rare
"""

import logging

from torch import Tensor, nn
from torch.nn import functional

from segforge.training.history import EpochRecord
from segforge.training.loss import SegmentationLoss
from segforge.training.trainer import Trainer

log = logging.getLogger("segforge.custom_trainer")


class RareClassLoss(SegmentationLoss):
    """Dice and cross-entropy, in which the last class counts ten times."""

    def class_entropy(self, log_probabilities: Tensor, classes: Tensor, annotated: Tensor | None) -> Tensor:
        weights = log_probabilities.new_ones(self.labels.classes)
        weights[-1] = 10
        entropies = functional.nll_loss(log_probabilities, classes, weights, ignore_index=self.labels.classes, reduction="none")
        return entropies.mean() if annotated is None else entropies.sum() / annotated.sum().clamp(min=1)


class RareClassTrainer(Trainer):
    def build_loss(self) -> nn.Module:
        return RareClassLoss(self.job.labels, batch_dice=self.job.configuration.batch_dice)

    def on_epoch_end(self, record: EpochRecord) -> None:
        name, dice = list(record.pseudo_dice.items())[-1]
        log.info("The rare class %s is at %s.", name, dice)
