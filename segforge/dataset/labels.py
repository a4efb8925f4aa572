"""The only place that knows what label values mean: stored values, classes, regions and the ignore label."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from segforge.compute.arrays import namespace
from segforge.dataset.regions import written_values
from segforge.errors import SegForgeError

IGNORE = "ignore"
BACKGROUND = "background"

Array = npt.NDArray[Any]

_TOGETHER = 1 << 20  # voxels that are looked up at once: their indices take eight bytes each
_LOWEST, _HIGHEST = -(2**15), 2**31


@dataclass(frozen=True)
class Target:
    """One structure that is scored: a label, or a region of several.

    Attributes:
        name: Its name in `dataset.json`.
        key: Its name in a summary, in stored values: `1`, or for a label that is given as a list `(1, 2)`, `(2,)`.
        classes: The classes that belong to it.
    """

    name: str
    key: str
    classes: tuple[int, ...]


@dataclass(frozen=True)
class LabelScheme:
    """Maps the values in label files to consecutive classes and back.

    Classes are numbered in the order of the stored values: background is 0, and the ignore label, if there is one,
    comes after the last class.

    Attributes:
        stored_values: The stored value of each class.
        targets: What is scored, without background; one head each, for plain labels after a head for the background.
        has_regions: Whether heads may overlap.
        write_order: For regions: the class that each head writes.
        ignore_value: The stored value of the ignore label.
    """

    stored_values: tuple[int, ...]
    targets: tuple[Target, ...]
    has_regions: bool = False
    write_order: tuple[int, ...] = ()
    ignore_value: int | None = None

    @classmethod
    def from_description(
        cls, labels: Mapping[str, int | tuple[int, ...]], regions_class_order: tuple[int, ...] | None = None
    ) -> "LabelScheme":
        """The scheme of the `labels` and `regions_class_order` of a `dataset.json`.

        Raises:
            SegForgeError: If they contradict themselves; names the label.
        """
        if labels.get(BACKGROUND) not in (0, (0,)):
            raise SegForgeError(f'labels must hold "background": 0; found {labels.get(BACKGROUND, "no background")}.')
        entries = values_by_name(labels)
        if not entries:
            raise SegForgeError("labels must hold at least one label besides background; found none.")
        _check_range(labels)
        has_regions = any(len(values) > 1 for values in entries.values())
        stored = (0, *sorted({value for values in entries.values() for value in values}))
        if not has_regions and len(stored) != len(entries) + 1:
            raise SegForgeError(f"labels must have different values; found {sorted(v[0] for v in entries.values())}.")
        if stored.count(0) > 1:
            taken = ", ".join(name for name, values in entries.items() if 0 in values)
            raise SegForgeError(f"the value 0 is the background and cannot belong to another label; found {taken}.")
        targets = tuple(
            Target(name, str(labels[name]), tuple(stored.index(value) for value in values)) for name, values in entries.items()
        )
        return cls(
            stored_values=stored,
            targets=targets if has_regions else tuple(sorted(targets, key=lambda target: target.classes)),
            has_regions=has_regions,
            write_order=tuple(stored.index(value) for value in written_values(entries, regions_class_order))
            if has_regions
            else (),
            ignore_value=_ignore_value(labels, stored),
        )

    @property
    def classes(self) -> int:
        """Number of classes, background included, the ignore label not."""
        return len(self.stored_values)

    @property
    def ignore_class(self) -> int | None:
        """The class number of the ignore label."""
        return None if self.ignore_value is None else self.classes

    @property
    def heads(self) -> int:
        """Number of segmentation heads."""
        return len(self.targets) if self.has_regions else self.classes

    @property
    def structures(self) -> dict[str, tuple[int, ...]]:
        """Name of each target, and the stored values that belong to it."""
        return {target.name: tuple(self.stored_values[number] for number in target.classes) for target in self.targets}

    def to_classes(self, stored: Array) -> Array:
        """Class numbers of an array of stored values, int8, or int16 for more than 127 classes.

        Raises:
            SegForgeError: If a value is not among the labels; names such values.
        """
        values = np.array([*self.stored_values, *([] if self.ignore_value is None else [self.ignore_value])])
        order = np.argsort(values)
        classes = np.empty(stored.shape, np.int8 if len(values) <= 128 else np.int16)
        flat, result, wrong = stored.reshape(-1), classes.reshape(-1), set[int]()
        for begin in range(0, flat.size, _TOGETHER):
            part = slice(begin, begin + _TOGETHER)
            result[part], unknown = _looked_up(flat[part], values, order)
            wrong.update(unknown)
        if wrong:
            shown = ", ".join(f"{value:g}" for value in sorted(wrong)[:8]) + (", ..." if len(wrong) > 8 else "")
            allowed = ", ".join(str(value) for value in values[:12]) + (", ..." if len(values) > 12 else "")
            raise SegForgeError(f"holds the label value {shown}, which is not in dataset.json (it has {allowed})")
        return classes

    @property
    def stored_type(self) -> type[np.integer[Any]]:
        """The smallest integer type that holds all stored values of predictions."""
        return _smallest_type(self.stored_values)

    def to_stored(self, classes: Array) -> Array:
        """Stored values of an array of class numbers, in the smallest integer type that holds all labels."""
        stored: Array = np.array(self.stored_values, self.stored_type)[classes]
        return stored

    def classes_from_logits(self, heads: Iterable[Array], threshold: float = 0) -> Array:
        """Class numbers from what each head says of the voxels: the largest, or each region above a threshold in order.

        Args:
            heads: An array per head, one after the other; logits, or probabilities with a threshold of 0.5. They may be
                tensors on a device.
            threshold: From where on a region is there.

        Returns:
            int16, of the shape and kind of the heads.
        """
        if self.has_regions:
            return self._from_regions(heads, threshold)
        each = iter(heads)
        best = next(each)
        module = namespace(best)
        best, classes = module.asarray(best, copy=True), module.zeros_like(best, dtype=module.int16)
        for number, head in enumerate(each, start=1):
            classes[head > best] = number
            module.maximum(best, head, out=best)
        return cast(Array, classes)

    def _from_regions(self, heads: Iterable[Array], threshold: float) -> Array:
        classes: Array | None = None
        for head, written in zip(heads, self.write_order, strict=True):
            module = namespace(head)
            classes = module.zeros_like(head, dtype=module.int16) if classes is None else classes
            classes[head > threshold] = written
        assert classes is not None
        return classes


def _looked_up(stored: Array, values: Array, order: Array) -> tuple[Array, list[int]]:
    """The class of each value, and the values that have none; `order` sorts `values`, of which class n has the n-th."""
    low, high = int(stored.min()), int(stored.max())
    is_dense = high - low < stored.size
    known = np.arange(low, high + 1) if is_dense else np.unique(stored)
    found = order[np.searchsorted(values, known, sorter=order).clip(0, len(values) - 1)]
    places = stored.astype(np.int64) - low if is_dense else np.searchsorted(known, stored)
    missing = known[values[found] != known]
    return found[places], np.intersect1d(stored, missing).tolist() if len(missing) else []


def values_by_name(labels: Mapping[str, int | tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The values of each label or region, without background and ignore label.

    Raises:
        SegForgeError: If a region is empty.
    """
    return {name: _as_values(name, value) for name, value in labels.items() if name not in (BACKGROUND, IGNORE)}


def _as_values(name: str, value: int | tuple[int, ...]) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    if not values:
        raise SegForgeError(f"the region {name} is empty; give it at least one label value.")
    return values


def _check_range(labels: Mapping[str, int | tuple[int, ...]]) -> None:
    for name, value in labels.items():
        for number in value if isinstance(value, tuple) else (value,):
            if not _LOWEST <= number <= _HIGHEST:
                raise SegForgeError(f"the label {name} has the value {number}; values go from {_LOWEST} to {_HIGHEST}.")


def _ignore_value(labels: Mapping[str, int | tuple[int, ...]], stored: tuple[int, ...]) -> int | None:
    value = labels.get(IGNORE)
    if value is None:
        return None
    if not isinstance(value, int) or value <= max(stored):
        raise SegForgeError(f"the ignore label must be one integer above all others ({max(stored)}); found {value}.")
    return value


def _smallest_type(values: tuple[int, ...]) -> type[np.integer[Any]]:
    for kind in (np.uint8, np.int8, np.uint16, np.int16, np.int32, np.uint32):
        if np.iinfo(kind).min <= min(values) and max(values) <= np.iinfo(kind).max:
            return kind
    return np.int64
