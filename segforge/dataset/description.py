"""`dataset.json`: what the channels show and what the label values mean."""

import difflib
import logging
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from segforge.compute.documents import Document, read_json, to_json
from segforge.dataset.labels import LabelScheme, values_by_name
from segforge.dataset.regions import warn_of_changed_labels
from segforge.dataset.spellings import modernised
from segforge.errors import SegForgeError
from segforge.images.files import LOSSY_ENDINGS

log = logging.getLogger(__name__)

FILE_NAME = "dataset.json"

Reader = Literal[
    "stored", "SimpleITKIO", "NibabelIO", "NaturalImage2DIO", "Tiff3DIO",
    "canonical", "SimpleITKIOWithReorient", "NibabelIOWithReorient",
]  # fmt: skip
"""How images are read, in our word or nnU-Net's; the format itself is seen from the files."""

_CANONICAL = ("canonical", "SimpleITKIOWithReorient", "NibabelIOWithReorient")

CaseId = Annotated[str, Field(pattern=r"^[^/\\.][^/\\]*$")]
"""The name of a case, which names files too."""


class CaseFiles(BaseModel):
    """Paths of a case, absolute or from the data set's folder on; environment variables in them are expanded.

    Attributes:
        images: One or more files, with the channels in order.
        label: The label map.
    """

    model_config = ConfigDict(frozen=True)

    images: tuple[str, ...] = Field(min_length=1)
    label: str


class DatasetDescription(Document):
    """The description of a data set, nnU-Net's keys; keys that it does not know are kept.

    Attributes:
        channel_names: Channel number to name; the name chooses the normalization.
        labels: Label name to stored value, or to a list of values (a region).
        num_training: Training cases (`numTraining` in the file).
        file_ending: Ending of label maps and predictions, with the dot; images may have another.
        regions_class_order: For regions: the value written for each region, later ones over earlier ones.
        reader: How images are read (`overwrite_image_reader_writer` in the file); None is `stored`.
        dataset: Files of each training case, instead of those in `imagesTr` and `labelsTr`.
    """

    model_config = ConfigDict(frozen=True, extra="allow", validate_by_name=True, serialize_by_alias=True)

    channel_names: dict[str, str] = Field(min_length=1)
    labels: dict[str, int | tuple[int, ...]]
    num_training: int = Field(alias="numTraining", ge=0)
    file_ending: str = Field(pattern=r"^\.\w+(\.\w+)?$")
    regions_class_order: tuple[int, ...] | None = None
    reader: Reader | None = Field(default=None, alias="overwrite_image_reader_writer")
    dataset: dict[CaseId, CaseFiles] | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """Channel names in the order of their numbers."""
        return tuple(self.channel_names[str(index)] for index in range(len(self.channel_names)))

    @property
    def output_ending(self) -> str:
        """Ending of predicted label maps: that of the data set's, or PNG where it would change their values."""
        return ".png" if self.file_ending in LOSSY_ENDINGS else self.file_ending

    @property
    def is_canonical(self) -> bool:
        """Whether the axes of its images are turned towards right, anterior and superior when they are read."""
        return self.reader in _CANONICAL

    @property
    def label_scheme(self) -> LabelScheme:
        """What the label values mean."""
        return LabelScheme.from_description(self.labels, self.regions_class_order)

    def to_json(self) -> str:
        """The file's content, without what was not said."""
        unsaid = {name for name in type(self).model_fields if getattr(self, name) is None}
        return to_json(self.model_dump(mode="json", exclude=unsaid))


def read_description(path: Path) -> DatasetDescription:
    """Read a `dataset.json` and warn of keys that look like misspellings.

    Raises:
        SegForgeError: If it is missing, no JSON, or says something that cannot be; names the field and the remedy.
    """
    if not path.is_file() and (path.parent / "imagesTr").is_dir():
        raise SegForgeError(f"{path} is missing. Have it written with: segforge describe {path.parent}")
    content = read_json(path)
    if not isinstance(content, dict):
        raise SegForgeError(f"{path} must hold a JSON object with channel_names, labels, numTraining and file_ending.")
    content, notes = modernised(content)
    for note in notes:
        log.warning("%s: %s.", path, note)
    _warn_of_misspellings(content, path)
    description = checked_description(content, path)
    labels = description.label_scheme
    if labels.has_regions:
        warn_of_changed_labels(values_by_name(description.labels), description.regions_class_order or (), path)
    return description


def checked_description(content: dict[str, Any], path: Path) -> DatasetDescription:
    """The description that a `dataset.json` holds.

    Raises:
        SegForgeError: If it says something that cannot be; names the file and the field.
    """
    description = DatasetDescription.parse(content, str(path))
    expected = [str(index) for index in range(len(description.channel_names))]
    if sorted(description.channel_names) != sorted(expected):
        found = ", ".join(description.channel_names)
        raise SegForgeError(f"{path}: channel_names must be numbered {', '.join(expected)}; found {found}.")
    try:
        _ = description.label_scheme
    except SegForgeError as error:
        raise SegForgeError(f"{path}: {error}") from error
    return description


def _warn_of_misspellings(content: dict[str, object], path: Path) -> None:
    known = [field.alias or name for name, field in DatasetDescription.model_fields.items()]
    for key in content.keys() - set(known):
        if near := difflib.get_close_matches(key, known, n=1, cutoff=0.8):
            log.warning("%s: the key %s is not known; did you mean %s?", path, key, near[0])
