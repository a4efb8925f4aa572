"""Constructed predictions for which each postprocessing rule must help, or must not.

What is expected was compared with nnU-Net 2.8.1 (`nnUNetv2_determine_postprocessing` on the same files).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from segforge.dataset.labels import LabelScheme
from segforge.images.files import write_volume
from segforge.images.image import Geometry

LabelMap = npt.NDArray[np.uint8]

SHAPE = (4, 8, 16)

Box = tuple[int, int, int, int, int]
"""Label, first and last row, first and last column; it fills slices 1 and 2."""


@dataclass(frozen=True)
class ConstructedSet:
    """Label maps with the structures whose largest component is to be kept, in order."""

    labels: Mapping[str, int | tuple[int, ...]]
    cases: Sequence[tuple[LabelMap, LabelMap]]
    expected: tuple[str, ...]
    order: tuple[int, ...] | None = None

    @property
    def scheme(self) -> LabelScheme:
        return LabelScheme.from_description(self.labels, self.order)

    def write(self, folder: Path) -> list[tuple[Path, Path]]:
        """Write the label maps; reference and prediction of each case."""
        pairs = []
        for number, pair in enumerate(self.cases):
            paths = (folder / "ref" / f"case_{number}.nii.gz", folder / "pred" / f"case_{number}.nii.gz")
            for path, array in zip(paths, pair, strict=True):
                write_volume(path, array, Geometry(array.shape, (1.0, 1.0, 1.0)))
            pairs.append(paths)
        return pairs


def drawn(*boxes: Box) -> LabelMap:
    """A label map of boxes, later ones over earlier ones."""
    labels = np.zeros(SHAPE, np.uint8)
    for label, top, bottom, left, right in boxes:
        labels[1:3, top : bottom + 1, left : right + 1] = label
    return labels


ONE = {"background": 0, "a": 1}
TWO = {"background": 0, "a": 1, "b": 2}
REGIONS = {"background": 0, "whole": (1, 2), "core": (2,)}

ORGAN: Box = (1, 1, 4, 1, 4)
PART: Box = (2, 2, 3, 2, 3)
CORNER: Box = (2, 1, 2, 1, 2)
ISLAND: Box = (1, 6, 7, 13, 14)
SPECK: Box = (2, 6, 6, 9, 9)

SETS = {
    "an island outside the foreground goes": ConstructedSet(
        TWO, [(drawn(ORGAN, PART), drawn(ORGAN, PART, ISLAND))], ("foreground",)
    ),
    "with one label only the foreground is tried": ConstructedSet(
        ONE, [(drawn(ORGAN), drawn(ORGAN, ISLAND)), (drawn(ORGAN), drawn(ORGAN))], ("foreground",)
    ),
    "a second part that is right stays": ConstructedSet(ONE, [(drawn(ORGAN, ISLAND), drawn(ORGAN, ISLAND))], ()),
    "more is won than lost over the cases": ConstructedSet(
        ONE,
        [
            (drawn(ORGAN, (1, 6, 6, 13, 13)), drawn(ORGAN, (1, 6, 6, 13, 13))),
            (drawn(ORGAN), drawn(ORGAN, ISLAND)),
            (drawn(ORGAN), drawn(ORGAN, ISLAND)),
        ],
        ("foreground",),
    ),
    "nothing changes and nothing is kept": ConstructedSet(TWO, [(drawn(ORGAN, PART), drawn(ORGAN, PART))], ()),
    "the mean rises but one label falls": ConstructedSet(
        TWO,
        [
            (drawn(ORGAN, SPECK), drawn(ORGAN, SPECK)),
            *[(drawn(ORGAN, PART), drawn(ORGAN, PART, (1, 6, 7, 11, 15)))] * 4,
        ],
        ("a",),
    ),
    "the foreground is one piece and each label has an island": ConstructedSet(
        TWO, [(drawn(ORGAN, (2, 1, 4, 5, 6)), drawn(ORGAN, (2, 1, 4, 5, 6), (1, 1, 2, 7, 7), (2, 3, 3, 1, 1)))], ("a", "b")
    ),
    "equally large components stay": ConstructedSet(ONE, [(drawn(ORGAN), drawn(ORGAN, (1, 1, 4, 10, 13)))], ()),
    "a label that never occurs leaves the foreground alone": ConstructedSet(
        TWO, [(drawn(ORGAN), drawn(ORGAN, ISLAND))], ("a",)
    ),
    "a label that is only predicted goes with its island": ConstructedSet(
        TWO, [(drawn(ORGAN), drawn(ORGAN, SPECK)), (drawn(ORGAN, PART), drawn(ORGAN, PART))], ("foreground",)
    ),
    "pieces that touch by a corner are one": ConstructedSet(
        ONE, [(drawn(ORGAN, (1, 5, 5, 5, 5)), drawn(ORGAN, (1, 5, 5, 5, 5), ISLAND))], ("foreground",)
    ),
    "an island in ignored voxels costs nothing": ConstructedSet(
        {**ONE, "ignore": 2}, [(drawn(ORGAN, (2, 5, 7, 8, 15)), drawn(ORGAN, ISLAND))], ()
    ),
    "the largest component is ignored and what is right would go": ConstructedSet(
        {**ONE, "ignore": 2}, [(drawn(ORGAN, (2, 0, 7, 8, 15)), drawn(ORGAN, (1, 0, 7, 8, 15)))], ()
    ),
    "an island outside the ignored voxels goes": ConstructedSet(
        {**ONE, "ignore": 2}, [(drawn(ORGAN, (2, 5, 7, 8, 11)), drawn(ORGAN, ISLAND))], ("foreground",)
    ),
    "the foreground of regions": ConstructedSet(
        REGIONS, [(drawn(ORGAN, PART), drawn(ORGAN, PART, ISLAND, SPECK))], ("foreground",), (1, 2)
    ),
    "the core has an island within the whole": ConstructedSet(
        REGIONS, [(drawn(ORGAN, (2, 2, 3, 1, 2)), drawn(ORGAN, (2, 2, 3, 1, 2), (2, 4, 4, 4, 4)))], ("core",), (1, 2)
    ),
    "the whole region goes on though the core falls": ConstructedSet(
        # The core's true piece lies in an island of the whole: the foreground rule is refused, the whole's own is not.
        REGIONS,
        [(drawn(ORGAN, SPECK), drawn(ORGAN, SPECK, (1, 6, 7, 11, 15), (1, 7, 7, 1, 2)))],
        ("whole",),
        (1, 2),
    ),
    "what the whole loses decides about the core": ConstructedSet(
        # As long as the island is there it is the largest core; the rule for the core then keeps it instead of the part.
        REGIONS,
        [
            (drawn(ORGAN, CORNER, (2, 6, 7, 12, 14)), drawn(ORGAN, CORNER, (2, 6, 7, 12, 14), (2, 4, 4, 4, 4))),
            (drawn(ORGAN, CORNER), drawn(ORGAN, CORNER, (1, 6, 7, 8, 14))),
        ],
        ("whole", "core"),
        (1, 2),
    ),
}
