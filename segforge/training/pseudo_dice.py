"""Pseudo-Dice: overlap counts over validation patches, a quick sign of progress and not a validation."""

import torch
from torch import Tensor

from segforge.dataset.labels import LabelScheme
from segforge.training.loss import region_maps


def overlap_counts(logits: Tensor, target: Tensor, labels: LabelScheme) -> Tensor:
    """True positives, false positives and false negatives of each structure over a batch.

    Args:
        logits: `(B, heads, ...)` at the highest resolution.
        target: Class map `(B, ...)`; ignored voxels do not count.
        labels: The structures.

    Returns:
        Counts `(3, structures)`, int64, on the same device.
    """
    truth = region_maps(target, labels)
    predicted = logits > 0 if labels.has_regions else region_maps(logits.argmax(1), labels)
    if labels.ignore_class is not None:
        annotated = (target != labels.ignore_class)[:, None]
        truth, predicted = truth & annotated, predicted & annotated
    axes = [0, *range(2, truth.ndim)]
    both = (truth & predicted).sum(axes)
    return torch.stack([both, predicted.sum(axes) - both, truth.sum(axes) - both])


def dice_from_counts(counts: Tensor) -> list[float]:
    """Dice of each structure from its counts `(3, structures)`; NaN where it neither occurs nor is predicted."""
    true, false_positive, false_negative = counts.cpu().double()
    return [float(value) for value in 2 * true / (2 * true + false_positive + false_negative)]
