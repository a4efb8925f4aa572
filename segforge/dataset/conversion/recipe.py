"""What a converter does to the files of every case: decided once, from all of them."""

import numpy as np

from segforge.compute.documents import Document
from segforge.dataset.conversion.decoding import packed_colours
from segforge.dataset.conversion.shades import as_colour
from segforge.images.image import Array

_LUMA = (19595, 38470, 7471)  # of 65536: red, green, blue as Pillow weighs them (ITU-R 601-2)


class Recipe(Document):
    """What is done to the files of every case.

    Attributes:
        ending: Ending of all files of the data set.
        is_stack: Whether the slices of a case become a volume.
        splits_channels: Whether a file with several channels becomes one file for each.
        drops_alpha: Whether the last of two or four channels is left out.
        makes_grey: Whether colours become one channel.
        threshold: Label values above it become 1, the others 0.
        colours: For true-colour label maps: the colour `#rrggbb` of each label value, 0 first.
        spacing: Voxel size (z, y, x) of TIFF volumes; None keeps what the files say.
        segments: For DICOM series: the label of the segment of each label value, for 0 an empty one.
    """

    ending: str
    is_stack: bool = False
    splits_channels: bool = False
    drops_alpha: bool = False
    makes_grey: bool = False
    threshold: float | None = None
    colours: tuple[str, ...] = ()
    spacing: tuple[float, float, float] | None = None
    segments: tuple[str, ...] | None = None

    @property
    def is_dicom(self) -> bool:
        """Whether each case is a series of DICOM slices."""
        return self.segments is not None

    @property
    def meanings(self) -> tuple[str, ...]:
        """What each label value, from 0 on, is in the source: a colour, or the label of a segment; else none."""
        return self.segments or self.colours

    @property
    def maps_labels(self) -> bool:
        """Whether label values in the data set are others than in the source."""
        return self.threshold is not None or bool(self.colours)

    def channels(self, stored: int) -> int:
        """How many channels come of an image with so many."""
        if self.drops_alpha and stored in (2, 4):
            stored -= 1
        return 1 if self.makes_grey else stored

    def pixels(self, array: Array) -> Array:
        """The channels of an image `(C, Z, Y, X)` as the data set holds them."""
        if self.drops_alpha and len(array) in (2, 4):
            array = array[:-1]
        return luma(array) if self.makes_grey else array

    def labels(self, array: Array) -> Array:
        """The label map `(Z, Y, X)` of values `(1, Z, Y, X)` or colours `(3, Z, Y, X)`, in the smallest type."""
        if self.colours:
            wide = np.broadcast_to(array, (3, *array.shape[1:]))
            numbers = np.array([int(colour[1:], 16) for colour in self.colours], np.uint32)
            values = np.searchsorted(numbers, packed_colours(wide))
        else:
            values = array[0] if self.threshold is None else array[0] > self.threshold
        return in_smallest_type(values)

    def value(self, found: str) -> int:
        """The value in the data set of a value, colour or segment that was counted in the source."""
        if self.segments:
            return self.segments.index(found)
        return self.colours.index(as_colour(found)) if self.colours else int(found)


def luma(array: Array) -> Array:
    """The brightness `(1, Z, Y, X)` of colours `(3 or 4, Z, Y, X)`; one or two channels give the first."""
    if len(array) < 3:
        return array[:1]
    if array.dtype.kind == "f":
        weighted = np.tensordot(np.array(_LUMA) / 65536, array[:3], 1)
        return np.asarray(weighted[None], array.dtype)
    weighted = np.tensordot(np.array(_LUMA), array[:3].astype(np.int64), 1)
    return np.asarray((weighted[None] + 0x8000) >> 16, array.dtype)


def in_smallest_type(values: Array) -> Array:
    """The same whole numbers in the smallest integer type; unsigned if none is negative."""
    low, high = int(values.min()), int(values.max())
    kind = np.min_scalar_type(high) if low >= 0 else np.result_type(np.min_scalar_type(low), np.min_scalar_type(-high - 1))
    return values.astype(kind)
