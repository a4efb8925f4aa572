"""Cross-entropy of each voxel, and the ways to take one number from them: the mean, the hardest voxels, focal weights.

Shapes: entropies over classes are `(B, ...)`, over regions `(B, heads, ...)`; `annotated` is `(B, ...)`, or None where
the data set has no ignore label.
"""

import torch
from torch import Tensor
from torch.nn import functional

from segforge.training import group

_FOCUS = 2.0


def class_entropies(log_probabilities: Tensor, classes: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy of each voxel, 0 where it is ignored.

    Args:
        log_probabilities: `(B, classes, ...)`.
        classes: Class map `(B, ...)` int64; the number of classes is the ignore label.
        smoothing: Share of the truth that is spread evenly over the classes.
    """
    ignored = log_probabilities.shape[1]
    entropies = functional.nll_loss(log_probabilities, classes, ignore_index=ignored, reduction="none")
    if not smoothing:
        return entropies
    return ((1 - smoothing) * entropies - smoothing * log_probabilities.mean(1)) * (classes != ignored)


def region_entropies(logits: Tensor, regions: Tensor, smoothing: float) -> Tensor:
    """Binary cross-entropy of each voxel and region, `(B, heads, ...)`; smoothing moves the truths towards a half."""
    return functional.binary_cross_entropy_with_logits(logits, smoothed(regions, smoothing, logits), reduction="none")


def smoothed(regions: Tensor, smoothing: float, like: Tensor) -> Tensor:
    """Truths as numbers, moved towards a half."""
    truths = regions.to(like.dtype)
    return truths * (1 - smoothing) + smoothing / 2 if smoothing else truths


def annotated_mean(entropies: Tensor, annotated: Tensor | None) -> Tensor:
    """Mean over everything, or sum over what is annotated, divided by the number of annotated voxels (0 if none is)."""
    if annotated is None:
        return group.weighted(entropies.mean(), len(entropies))
    return group.ratio((entropies * _like(annotated, entropies)).sum(), annotated.sum())


def hardest_mean(entropies: Tensor, annotated: Tensor | None, percent: int) -> Tensor:
    """Mean of the highest entropies, a share in percent of the annotated ones, at least one.

    How many voxels are annotated stays on the device: as many values are ranked as if all were. Each of several processes
    ranks those of its own samples.
    """
    most = max(1, entropies.numel() * percent // 100)
    if annotated is None:
        return group.weighted(entropies.flatten().topk(most, sorted=False).values.mean(), len(entropies))
    mask = _like(annotated, entropies).expand_as(entropies)
    hardest = (entropies * mask).flatten().topk(most).values
    kept = (mask.sum() * percent // 100).clamp(min=1)
    return group.ratio((hardest * (torch.arange(most, device=hardest.device) < kept)).sum(), kept)


def class_focus(log_probabilities: Tensor, classes: Tensor) -> Tensor:
    """Focal weights (1 - p) ** 2 of each voxel, p being the probability of its class (Lin et al. 2017)."""
    known = classes.clamp(max=log_probabilities.shape[1] - 1)
    return (1 - log_probabilities.gather(1, known[:, None])[:, 0].exp()) ** _FOCUS


def region_focus(logits: Tensor, regions: Tensor) -> Tensor:
    """Focal weights (1 - p) ** 2 of each voxel and region, p being the probability of the truth."""
    return torch.where(regions, -logits, logits).sigmoid() ** _FOCUS


def _like(annotated: Tensor, entropies: Tensor) -> Tensor:
    return annotated if annotated.ndim == entropies.ndim else annotated[:, None]
