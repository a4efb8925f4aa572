"""Labels to score where no `dataset.json` says what the values mean: those that a user names."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segforge.dataset.labels import LabelScheme, Target
from segforge.errors import SegForgeError
from segforge.evaluation.overlap import Array


@dataclass(frozen=True)
class ChosenLabels(LabelScheme):
    """A scheme for some of the values in the files; all others count as background."""

    @classmethod
    def of(cls, values: Sequence[int], ignore: int | None = None) -> "ChosenLabels":
        """The scheme of values, each a structure, and of one that marks voxels that do not count.

        Raises:
            SegForgeError: If a value is 0, or is there twice.
        """
        named = [*values, *([] if ignore is None else [ignore])]
        if not values or 0 in named or len(set(named)) < len(named):
            raise SegForgeError(f"Labels to score are different values, none of them 0, the background; found {named}.")
        targets = tuple(Target(str(value), str(value), (number,)) for number, value in enumerate(values, start=1))
        return cls(stored_values=(0, *values), targets=targets, ignore_value=ignore)

    def to_classes(self, stored: Array) -> Array:
        """Class numbers of an array of stored values."""
        named = [*self.stored_values, *([] if self.ignore_value is None else [self.ignore_value])]
        return super().to_classes(np.where(np.isin(stored, named), stored, 0))
