"""Losses for vessels, nerves, membranes: besides Dice and cross-entropy, how much of the structures' centrelines is found."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from segforge.training.loss import SegmentationLoss

_STEPS = 5
"""Voxels that are peeled off: of structures up to about twice as thick the centrelines are left."""
_SMOOTHING = 1.0

Pick = Callable[[Tensor, Tensor], Tensor]


class SkeletonRecallLoss(SegmentationLoss):
    """-Dice + cross-entropy - skeleton recall (Kirchhoff et al. 2024): the share of the true centrelines that is found.

    The centrelines of the truth are thickened by a voxel within it; nothing is differentiated through their making.
    """

    def overlap(self, members: Iterable[tuple[Tensor, Tensor]], annotated: Tensor | None) -> Tensor:
        """Mean soft Dice plus mean recall."""
        pairs = _masked(members, annotated)
        sums = []
        for probability, truth in pairs:
            with torch.no_grad():
                line = _dilated(soft_skeleton(truth)) * truth
            sums.append(torch.stack((self.summed(line * probability), self.summed(line))))
        return super().overlap(pairs, None) + self.mean_of(torch.stack(sums), _share)


class CentrelineDiceLoss(SegmentationLoss):
    """-Dice + cross-entropy - clDice (Shit et al. 2021): besides, that found centrelines are true ones.

    The centrelines of the prediction are differentiated through, which takes several times the memory of the others.
    """

    def overlap(self, members: Iterable[tuple[Tensor, Tensor]], annotated: Tensor | None) -> Tensor:
        """Mean soft Dice plus mean clDice."""
        pairs = _masked(members, annotated)
        sums = []
        for probability, truth in pairs:
            with torch.no_grad():
                true_line = soft_skeleton(truth)
            line = soft_skeleton(probability)
            parts = line * truth, line, true_line * probability, true_line
            sums.append(torch.stack([self.summed(part) for part in parts]))
        return super().overlap(pairs, None) + self.mean_of(torch.stack(sums), _centreline_dice)


def soft_skeleton(values: Tensor) -> Tensor:
    """The centrelines of soft structures `(B, ...)`: what openings take away while voxels are peeled off step by step.

    As algorithm 1 of Shit et al. (2021), https://arxiv.org/abs/2003.07311.
    """
    skeleton = torch.relu(values - _opened(values))
    for _ in range(_STEPS):
        values = _eroded(values)
        ridge = torch.relu(values - _opened(values))
        skeleton = skeleton + torch.relu(ridge - skeleton * ridge)
    return skeleton


def _masked(members: Iterable[tuple[Tensor, Tensor]], annotated: Tensor | None) -> list[tuple[Tensor, Tensor]]:
    """Probabilities and truths as numbers, 0 where nothing is known."""
    pairs = [(probability, truth.to(probability.dtype)) for probability, truth in members]
    return pairs if annotated is None else [(probability * annotated, truth * annotated) for probability, truth in pairs]


def _share(sums: Tensor) -> Tensor:
    part, whole = sums.unbind(1)
    return (part + _SMOOTHING) / (whole + _SMOOTHING)


def _centreline_dice(sums: Tensor) -> Tensor:
    precision, sensitivity = _share(sums[:, :2]), _share(sums[:, 2:])
    return 2 * precision * sensitivity / (precision + sensitivity)


def _opened(values: Tensor) -> Tensor:
    return _dilated(_eroded(values))


def _eroded(values: Tensor) -> Tensor:
    """The lowest of each voxel and its neighbours along the axes."""
    lowest = _along(values, 1, torch.minimum)
    for axis in range(2, values.ndim):
        lowest = torch.minimum(lowest, _along(values, axis, torch.minimum))
    return lowest


def _dilated(values: Tensor) -> Tensor:
    """The highest of each voxel and all its neighbours, diagonal ones too."""
    for axis in range(1, values.ndim):
        values = _along(values, axis, torch.maximum)
    return values


def _along(values: Tensor, axis: int, pick: Pick) -> Tensor:
    """What is picked of each voxel and its two neighbours along an axis; at the border there is one."""
    count = values.shape[axis]
    padded = torch.cat((values.narrow(axis, 0, 1), values, values.narrow(axis, count - 1, 1)), axis)
    return pick(pick(padded.narrow(axis, 0, count), values), padded.narrow(axis, 2, count))
