"""Positions in volumes -> linearly interpolated values, and elected labels, there.

Reads the corners of the cell around each position by plain indexing: on CPU several times faster than `grid_sample`,
and an election costs the same among 2 labels as among 200.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod

import torch
from torch import Tensor

SCORE_SCALE = 1000.0
"""nnU-Net's scores run from 0 to this, which fixes what float16 makes a tie of."""

SCORE_ROUNDING = 1024.0
"""Adding and subtracting it leaves multiples of 2^-13, of which float32 adds up 1024 exactly, in any order."""

BEYOND_LABELS = 65536.0
"""More than any difference of two int16 labels."""


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells around V positions in each of T volumes whose voxels are numbered in array order.

    Attributes:
        lowest: Number of the voxel at each cell's lowest corner, `(T, 1, V)` int64.
        offsets: What to add to it for each of the K corners (4 in a plane, 8 in space).
        weights: The corners' shares in linear interpolation, `(K, T, 1, V)`, which sum to 1.
        nearest: Which corner is nearest to the position, `(T, 1, V)` int64.
    """

    lowest: Tensor
    offsets: tuple[int, ...]
    weights: Tensor
    nearest: Tensor

    def corners(self, volumes: Tensor) -> Tensor:
        """Values at the corners: of volumes `(T, L, voxels)`, `(K, T, L, V)`."""
        index = self.lowest.expand(-1, volumes.shape[1], -1)
        values = volumes.new_empty((len(self.offsets), *index.shape))
        for offset, corner in zip(self.offsets, values, strict=True):
            torch.gather(volumes[:, :, offset:], 2, index, out=corner)
        return values


def locate(positions: Sequence[Tensor], size: Sequence[int]) -> Cells:
    """Find the cells around positions in volumes of the given size that wear a frame of one voxel on every side.

    Positions outside the frame are moved onto it.

    Args:
        positions: Per axis `(T, V)` float32, in voxels, 0 being the centre of the first voxel inside the frame.
        size: Size of the volumes without the frame.
    """
    lowest = torch.zeros_like(positions[0], dtype=torch.int64)
    nearest = torch.zeros_like(positions[0])
    offsets, weights = [0], torch.ones_like(positions[0])[None]
    for axis, (coordinate, length) in enumerate(zip(positions, size, strict=True)):
        stride = prod(other + 2 for other in size[axis + 1 :])
        inside = coordinate.clamp(-1, length)
        lower = inside.floor().clamp_(max=length - 1)
        fraction = inside - lower
        nearest.mul_(2).add_(inside.round_().sub_(lower))
        lowest.add_(lower.add_(1).long(), alpha=stride)
        offsets = [offset + step for offset in offsets for step in (0, stride)]
        weights = (weights[:, None] * torch.stack([1 - fraction, fraction])).flatten(0, 1)
    return Cells(lowest[:, None], tuple(offsets), weights[:, :, None], nearest[:, None].long())


def weighted_mean(corners: Tensor, cells: Cells) -> Tensor:
    """Linear interpolation of values at the corners: `(K, T, L, V)` float32 -> `(T, L, V)`."""
    result = corners[0] * cells.weights[0]
    for values, weight in zip(corners[1:], cells.weights[1:], strict=True):
        result.addcmul_(values, weight)
    return result


def elected_label(corners: Tensor, cells: Cells) -> Tensor:
    """The label with the largest linearly interpolated 0/1 volume.

    A tie goes to the label of the nearest voxel if it is one of the tied ones, else to the smallest.

    Args:
        corners: Labels at the corners, `(K, T, L, V)`: whole numbers within int16, held as float32, in which CPUs
            compare several times faster than by way of bool.
        cells: The cells that they are corners of.

    Returns:
        Labels `(T, L, V)`, float32.
    """
    scores = _corner_scores(corners, cells.weights)
    best = scores.amax(0)
    nearest = cells.nearest.expand(-1, best.shape[1], -1)[None]
    nearest_score, nearest_label = scores.gather(0, nearest)[0], corners.gather(0, nearest)[0]
    lost = torch.ne(scores, best, out=scores)
    smallest = corners.add(lost, alpha=BEYOND_LABELS).amin(0)
    return torch.where(nearest_score == best, nearest_label, smallest)


def _corner_scores(labels: Tensor, weights: Tensor) -> Tensor:
    """Score of each corner's label, the sum of the weights of the corners that bear it: `(K, T, L, V)`."""
    shares = (weights * SCORE_SCALE).add_(SCORE_ROUNDING).sub_(SCORE_ROUNDING)
    scores = shares.expand(labels.shape).clone()
    equal = torch.empty_like(labels[0])
    label_of, share_of, score_of = labels.unbind(), shares.unbind(), scores.unbind()
    for first, second in combinations(range(len(labels)), 2):
        torch.eq(label_of[first], label_of[second], out=equal)
        score_of[first].addcmul_(equal, share_of[second])
        score_of[second].addcmul_(equal, share_of[first])
    return scores.half().float()
