"""The cases of a raw data set: which files belong together."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from segforge.dataset.description import FILE_NAME, DatasetDescription, read_description
from segforge.dataset.labels import LabelScheme
from segforge.errors import SegForgeError
from segforge.images.files import read_channels, read_labels
from segforge.images.image import Array, Image

_PARTS = ("_seg", "_locations")  # endings of preprocessed files
_CHANNEL = re.compile(r"(.+)_(\d{4})")


@dataclass(frozen=True)
class Case:
    """One case: its image files in the order of the channels, and its label map if it has one."""

    id: str
    images: tuple[Path, ...]
    label: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Images and label map."""
        return self.images if self.label is None else (*self.images, self.label)


@dataclass(frozen=True)
class RawDataset:
    """A raw data set; its training cases are sorted by id."""

    folder: Path
    description: DatasetDescription
    cases: tuple[Case, ...]


def open_dataset(folder: Path) -> RawDataset:
    """Read `dataset.json` and find the training cases.

    Raises:
        SegForgeError: If files are missing; names up to ten of them.
    """
    description = read_description(folder / FILE_NAME)
    cases = tuple(
        Case(case.id, case.images, folder / "labelsTr" / f"{case.id}{description.file_ending}")
        for case in find_cases(folder / "imagesTr", description)
    )
    ids = {case.id for case in cases}
    if clashing := sorted(case for case in ids if any(case.removesuffix(part) in ids - {case} for part in _PARTS)):
        raise SegForgeError(f"{folder}: the case {clashing[0]} is named like a part of another preprocessed case. Rename it.")
    missing = [str(case.label) for case in cases if case.label and not case.label.is_file()]
    if missing:
        raise SegForgeError(f"{_listed(missing)} missing. Add the label map, or take the case out of imagesTr.")
    return RawDataset(folder, description, cases)


def find_cases(folder: Path, description: DatasetDescription) -> tuple[Case, ...]:
    """The cases in a folder of images named `CASE_0000.ending`, one file per channel, sorted by id.

    A colour image may carry all its channels in one file.

    Raises:
        SegForgeError: If there is no case, or a channel of one is missing; names up to ten files.
    """
    if not folder.is_dir():
        raise SegForgeError(f"{folder} is missing.")
    ending = description.file_ending
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.iterdir()):
        parts = _CHANNEL.fullmatch(path.name.removesuffix(ending)) if path.name.endswith(ending) else None
        if parts and path.is_file() and not path.name.startswith("."):
            found.setdefault(parts[1], {})[int(parts[2])] = path
    if not found:
        raise SegForgeError(f"{folder} has no image named like CASE_0000{ending} (file_ending in {FILE_NAME} is {ending}).")
    if missing := list(_missing_channels(folder, found, description)):
        raise SegForgeError(
            f"{_listed(missing)} missing. Every case needs one file for each of {len(description.channels)} channels."
        )
    return tuple(Case(case, tuple(files[index] for index in sorted(files))) for case, files in sorted(found.items()))


def read_case_image(case: Case, description: DatasetDescription) -> Image:
    """The channels of a case, `(C, Z, Y, X)` float32.

    Raises:
        SegForgeError: If a file is unreadable or the number of channels is not the data set's.
    """
    image = read_channels(case.images)
    if image.array.shape[0] != len(description.channels):
        names = ", ".join(str(path) for path in case.images)
        raise SegForgeError(
            f"{names}: {image.array.shape[0]} channels, but {FILE_NAME} names {len(description.channels)} "
            f"({', '.join(description.channels)}). Correct channel_names or the files."
        )
    return image


def read_case_classes(case: Case, image: Image, labels: LabelScheme) -> Array:
    """The class map of a case, `(1, Z, Y, X)`.

    Raises:
        SegForgeError: If the label map is unreadable, not on the image's grid, or holds unknown values.
    """
    assert case.label is not None
    stored = read_labels(case.label)
    if stored.geometry.shape != image.geometry.shape:
        raise SegForgeError(
            f"{case.label} has shape {stored.geometry.shape}, its image {case.images[0]} has {image.geometry.shape}. "
            "Re-export the label on the image's grid."
        )
    try:
        return labels.to_classes(stored.array)
    except SegForgeError as error:
        raise SegForgeError(f"{case.label} {error}. Correct the file, or name the label in {FILE_NAME}.") from error


def _missing_channels(folder: Path, found: dict[str, dict[int, Path]], description: DatasetDescription) -> Iterable[str]:
    colour = all(len(files) == 1 for files in found.values())
    expected = range(1 if colour else len(description.channels))
    for case, files in found.items():
        for index in expected:
            if index not in files:
                yield str(folder / f"{case}_{index:04d}{description.file_ending}")


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return f"{shown} {'is' if len(names) == 1 else 'are'}"
