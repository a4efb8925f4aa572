"""Dice plus cross-entropy, over classes or over regions, with the ignored voxels left out, at every resolution."""

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from segforge.dataset.labels import LabelScheme
from segforge.training import group
from segforge.training.entropy import annotated_mean, class_entropies, smoothed
from segforge.training.schedule import deep_supervision_weights

_SMALLEST_DIVISOR = 1e-8


class SegmentationLoss(nn.Module):
    """The loss of METHOD, section 5: -Dice + cross-entropy, weighted over the resolutions.

    Subclasses leave out a part, take another cross-entropy, or decide everything in `at_one_resolution`.

    Attributes:
        has_dice: Whether Dice is a part of it.
        has_entropy: Whether cross-entropy is.
    """

    has_dice: ClassVar[bool] = True
    has_entropy: ClassVar[bool] = True

    def __init__(
        self, labels: LabelScheme, *, batch_dice: bool, label_smoothing: float = 0.0, dice_smoothing: float = 1e-5
    ) -> None:
        """Choose the form.

        Args:
            labels: Gives the heads, the regions and the ignore label.
            batch_dice: Whether Dice sums run over the batch instead of each sample.
            label_smoothing: Share of the truth that the cross-entropy spreads evenly over the classes.
            dice_smoothing: Added to numerator and denominator of soft Dice.
        """
        super().__init__()
        self.labels = labels
        self.label_smoothing = label_smoothing
        self._batch_dice = batch_dice
        self._dice_smoothing = dice_smoothing

    def forward(self, outputs: Tensor | Sequence[Tensor], target: Tensor) -> Tensor:
        """The loss, a scalar float32.

        Args:
            outputs: Logits `(B, heads, ...)`, or a list of them, the highest resolution first.
            target: Class map `(B, ...)` at the highest resolution, values 0 to the ignore class.
        """
        if isinstance(outputs, Tensor):
            outputs = [outputs]
        weights = deep_supervision_weights(len(outputs))
        total = outputs[0].new_zeros((), dtype=torch.float32)
        for logits, weight in zip(outputs, weights, strict=True):
            if weight:
                total = total + weight * self.at_one_resolution(logits.float(), resized_target(target, logits.shape[2:]))
        return total

    def at_one_resolution(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of logits `(B, heads, ...)` float32 against a class map `(B, ...)`."""
        annotated = None if self.labels.ignore_class is None else target != self.labels.ignore_class
        if self.labels.has_regions:
            return self._over_regions(logits, target, annotated)
        return self._over_classes(logits, target, annotated)

    def class_entropy(self, log_probabilities: Tensor, classes: Tensor, annotated: Tensor | None) -> Tensor:
        """The cross-entropy of `(B, classes, ...)` against a class map `(B, ...)` int64, a scalar."""
        if self.label_smoothing:
            return annotated_mean(class_entropies(log_probabilities, classes, self.label_smoothing), annotated)
        if annotated is None:
            return group.weighted(functional.nll_loss(log_probabilities, classes), len(classes))
        summed = functional.nll_loss(log_probabilities, classes, ignore_index=self.labels.classes, reduction="sum")
        return group.ratio(summed, annotated.sum())

    def region_entropy(self, logits: Tensor, regions: Tensor, annotated: Tensor | None) -> Tensor:
        """The binary cross-entropy of logits `(B, heads, ...)` against boolean maps of that shape, a scalar."""
        reduction = "mean" if annotated is None else "none"
        truths = smoothed(regions, self.label_smoothing, logits)
        entropy = functional.binary_cross_entropy_with_logits(logits, truths, reduction=reduction)
        return group.weighted(entropy, len(logits)) if annotated is None else annotated_mean(entropy, annotated)

    def _over_classes(self, logits: Tensor, target: Tensor, annotated: Tensor | None) -> Tensor:
        log_probabilities = functional.log_softmax(logits, 1)
        loss = logits.new_zeros(())
        if self.has_entropy:
            loss = self.class_entropy(log_probabilities, target.long(), annotated)
        if self.has_dice:
            probabilities = log_probabilities.exp()
            members = ((probabilities[:, k], target == k) for k in range(1, self.labels.classes))
            loss = loss - self.overlap(members, annotated)
        return loss

    def _over_regions(self, logits: Tensor, target: Tensor, annotated: Tensor | None) -> Tensor:
        regions = region_maps(target, self.labels)
        loss = logits.new_zeros(())
        if self.has_entropy:
            loss = self.region_entropy(logits, regions, annotated)
        if self.has_dice:
            members = zip(logits.sigmoid().unbind(1), regions.unbind(1), strict=True)
            loss = loss - self.overlap(members, annotated)
        return loss

    def overlap(self, members: Iterable[tuple[Tensor, Tensor]], annotated: Tensor | None) -> Tensor:
        """Mean soft Dice over (samples and) structures; each member is a probability and a truth `(B, ...)`."""
        sums = []
        for probability, truth in members:
            if annotated is not None:
                probability, truth = probability * annotated, truth & annotated
            total = self.summed(probability) + self.summed(truth.float())
            sums.append(torch.stack((self.summed(probability * truth), total)))
        return self.mean_of(torch.stack(sums), self._dice)

    def mean_of(self, sums: Tensor, score: Callable[[Tensor], Tensor]) -> Tensor:
        """Mean over (samples and) structures of a score of sums, over the batch of all processes or of each sample.

        Args:
            sums: `(structures, sums)`, or `(structures, sums, B)` if each sample counts by itself.
            score: From sums to one number for each structure (and sample).
        """
        if self._batch_dice:
            return score(group.summed(sums)).mean()
        scores = score(sums)
        return group.weighted(scores.mean(), scores.shape[1])

    def summed(self, values: Tensor) -> Tensor:
        """Sum of `(B, ...)` over everything, or over each sample, as the Dice wants it."""
        return values.sum() if self._batch_dice else values.flatten(1).sum(1)

    def _dice(self, sums: Tensor) -> Tensor:
        """Soft Dice from sums `(structures, 2, ...)` of the overlap, and of both."""
        overlap, total = sums.unbind(1)
        return (2 * overlap + self._dice_smoothing) / (total + self._dice_smoothing).clamp(min=_SMALLEST_DIVISOR)


def resized_target(target: Tensor, size: Sequence[int]) -> Tensor:
    """A class map `(B, ...)` at another size: each voxel takes the value at floor((i + 0.5) * in / out)."""
    if tuple(target.shape[1:]) == tuple(size):
        return target
    for axis, (old, new) in enumerate(zip(target.shape[1:], size, strict=True), start=1):
        index = ((torch.arange(new, device=target.device) * 2 + 1) * old) // (2 * new)
        target = target.index_select(axis, index)
    return target


def region_maps(target: Tensor, labels: LabelScheme) -> Tensor:
    """One boolean map per region, `(B, heads, ...)`, from a class map `(B, ...)`."""
    maps = []
    for region in labels.targets:
        member = target == region.classes[0]
        for other in region.classes[1:]:
            member = member | (target == other)
        maps.append(member)
    return torch.stack(maps, 1)
