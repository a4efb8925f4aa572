"""What may be wrong with a raw data set, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Kind(StrEnum):
    """The kinds of problems, in the order in which they are worth mending."""

    NO_CASES = "no cases"
    MISSING_CHANNEL = "missing channel"
    MISSING_LABEL = "missing label"
    DOUBLED = "doubled file"
    MISSING_IMAGE = "missing image"
    UNUSED_FILE = "unused file"
    CASE_COUNT = "wrong numTraining"
    NAME = "name not portable"
    SIMILAR_NAMES = "names alike"
    REFUSED = "refused"
    NOT_CHECKED = "not checked"
    UNREADABLE = "unreadable file"
    CHANNELS = "wrong number of channels"
    SHAPE = "shape mismatch"
    SPACING = "spacing mismatch"
    SHIFT = "shifted grid"
    HEADER = "header mismatch"
    NOT_FINITE = "NaN or infinity"
    FRACTION = "label not a whole number"
    UNKNOWN_LABEL = "label not in dataset.json"
    LOSSY_LABELS = "lossy label format"
    EMPTY_LABEL = "empty label"
    CONSTANT = "constant image"
    SAME_IMAGE = "same image twice"
    ORIENTATIONS = "mixed orientations"


FATAL = frozenset({Kind.NO_CASES, Kind.MISSING_CHANNEL, Kind.MISSING_LABEL, Kind.DOUBLED})
"""What leaves it open which files a case is made of, so that nothing can be planned."""

REMEDIES = {
    Kind.NO_CASES: "Put the images into imagesTr, named CASE_0000, CASE_0001, ... with file_ending of dataset.json.",
    Kind.MISSING_CHANNEL: "Add the file, or take the case out: every case needs all channels that dataset.json names.",
    Kind.MISSING_LABEL: "Add the label map, or take the case out of imagesTr.",
    Kind.DOUBLED: "Leave one file for each channel and for the label map.",
    Kind.MISSING_IMAGE: "Add the image to imagesTr, or take the label map out of labelsTr.",
    Kind.UNUSED_FILE: "Name it CASE_0000 (the channel in four digits) with file_ending of dataset.json, or take it out.",
    Kind.CASE_COUNT: "Correct numTraining, or find the cases that are missing or too many.",
    Kind.NAME: "Rename the case, so that the data set can be copied to every operating system.",
    Kind.SIMILAR_NAMES: "Rename one: on Windows and macOS the two are one file.",
    Kind.REFUSED: "Correct it as it says.",
    Kind.NOT_CHECKED: "Mend what the reason says and verify again; if memory ran out, with fewer workers (-np).",
    Kind.UNREADABLE: "Copy or export the file again.",
    Kind.CHANNELS: "Correct channel_names in dataset.json, or the files.",
    Kind.SHAPE: "Export the file again on the grid of the first channel.",
    Kind.SPACING: "Export the file again on the grid of the first channel, or correct the voxel size in its header.",
    Kind.SHIFT: "Resample the file onto the grid of the first channel.",
    Kind.HEADER: "Lay the two over each other in a viewer, voxel by voxel; if they match, copy the first channel's header.",
    Kind.NOT_FINITE: "Replace such voxels, for example by 0.",
    Kind.FRACTION: "Export the label map again without interpolation.",
    Kind.UNKNOWN_LABEL: "Name the value under labels in dataset.json, or correct the file.",
    Kind.LOSSY_LABELS: "Export the label map again without loss, as .nii.gz or .png: JPEG changes values at every edge.",
    Kind.EMPTY_LABEL: "Check that nothing was to be found in this case; if its annotation was forgotten, take it out.",
    Kind.CONSTANT: "Export the image again, or take the case out.",
    Kind.SAME_IMAGE: "Take one out, or keep both in one fold: segforge split --group-by.",
    Kind.ORIENTATIONS: 'Bring all to one order, or set "overwrite_image_reader_writer": "canonical" in dataset.json.',
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: What kind of problem; it has one remedy.
        case: Name of the case; empty if it is the data set's.
        file: The file, relative to the data set.
        found: What was found there.
    """

    kind: Kind
    case: str
    file: str
    found: str

    @property
    def remedy(self) -> str:
        """What to do."""
        return REMEDIES[self.kind]


def name_in(folder: Path, path: Path) -> str:
    """A path as it is shown: relative to the data set if it lies there."""
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()
