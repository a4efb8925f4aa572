"""Postprocessing as data: `postprocessing.json` holds steps that change a label map, and what each was worth."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from segforge.compute.documents import Document, NanFloat
from segforge.errors import SegForgeError
from segforge.images.components import largest_component

Array = npt.NDArray[Any]


class KeepLargestComponent(Document):
    """Keep the largest connected component of a structure, or all that are equally large; the rest becomes background.

    Attributes:
        step: Says which step it is.
        structure: Name of the label or region, or `foreground` for all of them together.
        values: Its label values, as they stand in the files.
    """

    step: Literal["keep_largest_component"] = "keep_largest_component"
    structure: str
    values: tuple[int, ...] = Field(min_length=1)

    def apply(self, labels: Array) -> Array:
        """The label map `(Z, Y, X)` of stored values after the step; the one that is given stays as it is."""
        return keep_largest(labels, self.values)


class Trial(Document):
    """A step that was tried on cross-validated predictions.

    Attributes:
        structure: Name of the structure.
        before: Its mean Dice before the step; of the foreground the mean over all structures.
        after: The same after it.
        helped: Whether the step is kept.
    """

    structure: str
    before: NanFloat
    after: NanFloat
    helped: bool


class Postprocessing(Document):
    """Steps for predicted label maps, in this order.

    Attributes:
        version: Version of this schema.
        steps: The steps.
        trials: All steps that were tried, with the Dice that decided.
    """

    version: Literal[1] = 1
    steps: tuple[KeepLargestComponent, ...]
    trials: tuple[Trial, ...] = ()

    def apply(self, labels: Array) -> Array:
        """The label map `(Z, Y, X)` of stored values after all steps; the one that is given stays as it is."""
        for step in self.steps:
            labels = step.apply(labels)
        return labels


def read_postprocessing(path: Path) -> Postprocessing:
    """Read a `postprocessing.json`.

    Raises:
        SegForgeError: If it is missing or not valid, or nnU-Net's pickle, which could run code.
    """
    if path.suffix == ".pkl":
        raise SegForgeError(
            f"{path} is a pickle, which can run code, and is never read. "
            "Determine the steps anew: segforge postprocess determine"
        )
    return Postprocessing.read(path)


def keep_largest(labels: Array, values: Sequence[int]) -> Array:
    """Set voxels with these values to 0 outside their largest component, found for all of the values as one mask."""
    mask = np.isin(labels, values)
    return np.where(mask & ~largest_component(mask), labels.dtype.type(0), labels)
