"""From logits on the network's grid to label maps and probabilities on the grid of the original file.

Works slab by slab: above the logits and the result it holds a constant amount of memory, whatever the size of the image and
the number of classes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.compute.arrays import namespace, on_host
from segforge.dataset.labels import LabelScheme
from segforge.images.crop import Box
from segforge.planning.plans import Configuration, Plans
from segforge.preprocessing.preprocessor import CaseProperties
from segforge.preprocessing.resampling import Resampling, find_resampling

Array = npt.NDArray[Any]

_SINGLE = np.dtype(np.float32).itemsize
_AT_ONCE = 8 * _SINGLE  # bytes per voxel that are worked on at once for one model: best if they stay near the processor


@dataclass(frozen=True)
class CaseLogits:
    """What one model says of a case, and the way back to the case's own grid.

    Attributes:
        values: `(heads, Z, Y, X)`, float32 or float16, on the preprocessed grid; may be a tensor on a device.
        properties: The way back.
        order: For each axis of the values the stored axis that it is.
        resampling: From the preprocessed grid to the crop's own.
        spline: Order of the spline.
    """

    values: Array
    properties: CaseProperties
    order: tuple[int, int, int]
    resampling: Resampling
    spline: int

    @classmethod
    def of(cls, values: Array, properties: CaseProperties, plans: Plans, configuration: Configuration) -> "CaseLogits":
        """Logits `(heads, Z, Y, X)` that a configuration of some plans gave for a case."""
        spacing = properties.spacing
        network = configuration.spacing if configuration.dimensions == 3 else (spacing[0], *configuration.spacing)
        resampling = find_resampling(configuration.resampling.method).between(
            values.shape[1:], properties.box.shape, network, spacing
        )
        return cls(values, properties, plans.transpose_forward, resampling, configuration.resampling.logits_order)

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels of the whole case, stored axes."""
        return _stored(self.properties.shape, self.order)

    @property
    def box(self) -> Box:
        """Where the crop lies in the case, stored axes."""
        box = self.properties.box
        return Box(_stored(box.begin, self.order), _stored(box.end, self.order))

    def slabs(self, bytes_per_voxel: int) -> Iterator[slice]:
        """Rows of the crop's `slab_axis`, as many together as keep what is made of them small."""
        return self.resampling.slabs(bytes_per_voxel)

    @property
    def slab_axis(self) -> int:
        """The stored axis that the slabs of this model's logits are cheapest along."""
        return self.order[0]

    def heads(self, axis: int, slab: slice) -> Iterator[Array]:
        """Of each head in turn some rows of a stored axis of the crop, resampled, stored axes."""
        for head in self.values:
            rows = self.resampling.rows(head, self.spline, slab, self.order.index(axis))
            yield namespace(rows).moveaxis(rows, (0, 1, 2), self.order)


def labels_of(members: Sequence[CaseLogits], labels: LabelScheme) -> Array:
    """The label map `(Z, Y, X)` of a case in stored axes and stored values.

    Args:
        members: What each model says of the case; of several the probabilities are averaged.
        labels: From heads to classes to stored values.
    """
    first = members[0]
    axis, alone = first.slab_axis, len(members) == 1
    result = np.zeros(first.shape, labels.stored_type)
    crop = result[first.box.slices]
    for slab in first.slabs(_AT_ONCE if alone else _SINGLE * labels.heads * len(members)):
        if alone:
            classes = labels.classes_from_logits(first.heads(axis, slab))
        else:
            classes = labels.classes_from_logits(_mean_probabilities(members, labels, axis, slab), threshold=0.5)
        crop[(*[slice(None)] * axis, slab)] = labels.to_stored(on_host(classes))
    return result


def probabilities_of(members: Sequence[CaseLogits], labels: LabelScheme) -> Iterator[Array]:
    """The probabilities `(Z, Y, X)` float32 of each head in turn, stored axes; beyond the crop all is background.

    Args:
        members: What each model says of the case; their probabilities are averaged.
        labels: Says whether heads exclude each other.
    """
    whole = [slice(0, member.box.shape[member.slab_axis]) for member in members]
    norms = [None if labels.has_regions else _log_sums(member, rows) for member, rows in zip(members, whole, strict=True)]
    each = [member.heads(member.slab_axis, rows) for member, rows in zip(members, whole, strict=True)]
    for number, heads in enumerate(zip(*each, strict=True)):
        outside = 1 if number == 0 and not labels.has_regions else 0
        full = np.full(members[0].shape, outside, np.float32)
        probabilities = [_probability(head, norm) for head, norm in zip(heads, norms, strict=True)]
        full[members[0].box.slices] = sum(map(on_host, probabilities)) / len(members)
        yield full


def _mean_probabilities(members: Sequence[CaseLogits], labels: LabelScheme, axis: int, slab: slice) -> Array:
    """`(heads, ...)` of some rows of a stored axis."""
    total: Array | None = None
    for member in members:
        heads = list(member.heads(axis, slab))
        module = namespace(heads[0])
        logits = module.stack(heads)
        if labels.has_regions:
            probabilities = _sigmoid(logits)
        else:
            powers = module.exp(logits - module.amax(logits, axis=0))
            probabilities = powers / powers.sum(0)
        total = on_host(probabilities) if total is None else total + on_host(probabilities)
    assert total is not None
    return total / len(members)


def _log_sums(member: CaseLogits, rows: slice) -> Array:
    """The logarithm of the sum over the heads' exponentials, which turns logits into probabilities one by one."""
    heads = member.heads(member.slab_axis, rows)
    total = next(heads)
    for head in heads:
        total = namespace(head).logaddexp(total, head)
    return total


def _probability(head: Array, norm: Array | None) -> Array:
    if norm is None:
        return _sigmoid(head)
    probability: Array = namespace(head).exp(head - norm)
    return probability


def _sigmoid(logits: Array) -> Array:
    """1 / (1 + exp(-x)), by the hyperbolic tangent, which overflows nowhere."""
    probability: Array = (namespace(logits).tanh(logits / 2) + 1) / 2
    return probability


def _stored(numbers: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """Numbers of the transposed axes, put in the order of the stored ones."""
    return tuple(number for _, number in sorted(zip(order, numbers, strict=True)))
