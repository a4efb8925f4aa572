"""The cases of a raw data set: which files belong together."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from segforge.dataset.description import FILE_NAME, CaseFiles, DatasetDescription, read_description
from segforge.errors import SegForgeError
from segforge.images.dicom import series_folders
from segforge.images.files import ending_of, files_of, read_channels, read_labels
from segforge.images.image import Array, Image

IMAGES, LABELS = "imagesTr", "labelsTr"

_PARTS = ("_seg", "_locations")  # endings of preprocessed files
CHANNEL = re.compile(r"(.+)_(\d{4})", re.DOTALL)
"""A name with its channel: the case, and four digits."""

ImagesByCase = dict[str, dict[int, list[Path]]]
"""For each case the files of each channel."""


@dataclass(frozen=True)
class Case:
    """One case: its images in the order of the channels (files, or folders of DICOM slices), and its label map, if any."""

    id: str
    images: tuple[Path, ...]
    label: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that the case is read from."""
        images = self.images if self.label is None else (*self.images, self.label)
        return tuple(file for image in images for file in files_of(image))


@dataclass(frozen=True)
class Listing:
    """What lies in the folders of a data set, complete or not.

    Attributes:
        cases: The cases whose files are all there.
        missing: Files that are not there, by the case that needs them.
        doubled: Several files for one channel or label map, by case.
        without_image: Label maps that no image belongs to.
    """

    cases: tuple[Case, ...]
    missing: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    doubled: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    without_image: tuple[Path, ...] = ()

    def part(self, number: int, count: int) -> "Listing":
        """Every count-th case of all, complete or not, from the one of that number on; parts are numbered from 0.

        Raises:
            SegForgeError: If there is no such part.
        """
        if not 0 <= number < count:
            raise SegForgeError(f"The part {number} of {count} does not exist; parts are numbered from 0.")
        names = set(sorted([*(case.id for case in self.cases), *self.missing, *self.doubled])[number::count])
        missing, doubled = (
            {case: paths for case, paths in found.items() if case in names} for found in (self.missing, self.doubled)
        )
        return Listing(tuple(case for case in self.cases if case.id in names), missing, doubled, self.without_image)


@dataclass(frozen=True)
class RawDataset:
    """A raw data set; its training cases are sorted by id, or in the order of `dataset` in `dataset.json`."""

    folder: Path
    description: DatasetDescription
    cases: tuple[Case, ...]


def open_dataset(folder: Path) -> RawDataset:
    """Read `dataset.json` and find the training cases.

    Raises:
        SegForgeError: If files are missing or doubled; names up to ten of them.
    """
    return open_described(folder, read_description(folder / FILE_NAME))


def open_described(folder: Path, description: DatasetDescription) -> RawDataset:
    """Find the training cases of a data set whose description was read before; errors as of `open_dataset`."""
    listing = list_cases(folder, description)
    _refuse_doubled(listing)
    ids = {case.id for case in listing.cases}
    if clashing := sorted(case for case in ids if any(case.removesuffix(part) in ids - {case} for part in _PARTS)):
        raise SegForgeError(f"{folder}: the case {clashing[0]} has the name of a file that is made of another case. Rename it.")
    if missing := [str(path) for paths in listing.missing.values() for path in paths]:
        raise SegForgeError(
            f"{_listed(missing)} missing. Every case needs its label map and one file for each of "
            f"{len(description.channels)} channels. Add the files, or take the case out."
        )
    if not listing.cases:
        raise SegForgeError(f"{folder} has no training case. Put images into {IMAGES} and label maps into {LABELS}.")
    return RawDataset(folder, description, listing.cases)


def list_cases(folder: Path, description: DatasetDescription) -> Listing:
    """The training cases of a data set, and what is missing or too much.

    Raises:
        SegForgeError: If a folder is missing, or has no image at all.
    """
    if description.dataset is not None:
        return _listing_of_paths(folder, description.dataset)
    images, labels = folder / IMAGES, folder / LABELS
    labelled = _labels_by_case(labels, description.file_ending)
    return listing_of(_images_by_case(images, description), description, labelled, labels)


def list_images(folder: Path, description: DatasetDescription) -> Listing:
    """The cases without label maps in a folder, complete or not, see `find_cases`.

    Raises:
        SegForgeError: If there is none.
    """
    return listing_of(_images_by_case(folder, description), description)


def find_cases(folder: Path, description: DatasetDescription) -> tuple[Case, ...]:
    """The cases without label maps in a folder, sorted by id.

    Images are named `CASE_0000.ending`, one file per channel; a colour image may carry all its channels in one file. In
    their place may be folders of DICOM slices, `CASE` or `CASE_0000`, or the folder itself may be one.

    Raises:
        SegForgeError: If there is no case, or a channel of one is missing or doubled; names up to ten files.
    """
    listing = list_images(folder, description)
    _refuse_doubled(listing)
    if missing := [str(path) for paths in listing.missing.values() for path in paths]:
        raise SegForgeError(
            f"{_listed(missing)} missing. Every case needs one file for each of {len(description.channels)} channels. Add the "
            "files, or take the case out."
        )
    return listing.cases


def read_case_image(case: Case, description: DatasetDescription) -> Image:
    """The channels of a case, `(C, Z, Y, X)` float32.

    Raises:
        SegForgeError: If a file is unreadable or the number of channels is not the data set's.
    """
    image = read_channels(case.images, canonical=description.is_canonical)
    if image.array.shape[0] != len(description.channels):
        names = ", ".join(str(path) for path in case.images)
        raise SegForgeError(
            f"{names}: {image.array.shape[0]} channels, but {FILE_NAME} names {len(description.channels)} "
            f"({', '.join(description.channels)}). Correct channel_names or the files."
        )
    return image


def read_case_classes(case: Case, image: Image, description: DatasetDescription) -> Array:
    """The class map of a case, `(1, Z, Y, X)`.

    Raises:
        SegForgeError: If the label map is unreadable, not on the image's grid, or holds unknown values.
    """
    assert case.label is not None
    stored = read_labels(case.label, canonical=description.is_canonical)
    if stored.geometry.shape != image.geometry.shape:
        raise SegForgeError(
            f"{case.label} has shape {stored.geometry.shape}, its image {case.images[0]} has {image.geometry.shape}. "
            "Re-export the label on the image's grid."
        )
    try:
        return description.label_scheme.to_classes(stored.array)
    except SegForgeError as error:
        raise SegForgeError(f"{case.label} {error}. Correct the file, or name the label in {FILE_NAME}.") from error


def listing_of(
    found: ImagesByCase,
    description: DatasetDescription,
    labelled: Mapping[str, list[Path]] | None = None,
    labels: Path = Path(),
) -> Listing:
    """Which cases are complete.

    Args:
        found: For each case the files of each channel, of which there should be one.
        description: Names the channels.
        labelled: For each case its label maps, of which there should be one; None if there need be none.
        labels: The folder of the label maps.
    """
    is_colour = all(list(channels) == [0] for channels in found.values())
    expected = range(1 if is_colour else len(description.channels))
    cases, missing, doubled = list[Case](), dict[str, tuple[Path, ...]](), dict[str, tuple[Path, ...]]()
    for case, channels in sorted(found.items()):
        any_image = next(iter(channels.values()))[0]
        lacking = [_channel_of(any_image, case, index) for index in expected if index not in channels]
        if labelled is not None and case not in labelled:
            lacking.append(labels / f"{case}{description.file_ending}")
        groups = [*channels.values(), (labelled or {}).get(case, [])]
        if surplus := [path for paths in groups if len(paths) > 1 for path in paths]:
            doubled[case] = tuple(surplus)
        if lacking:
            missing[case] = tuple(lacking)
        if not lacking and not surplus:
            files = tuple(channels[index][0] for index in sorted(channels))
            cases.append(Case(case, files, labelled[case][0] if labelled is not None else None))
    orphans = tuple(path for case, paths in sorted((labelled or {}).items()) if case not in found for path in paths)
    return Listing(tuple(cases), missing, doubled, orphans)


def _channel_of(image: Path, case: str, channel: int) -> Path:
    """Where the file of a channel should lie, beside another image of its case."""
    return image.with_name(f"{case}_{channel:04d}{ending_of(image) or ''}")


def _listing_of_paths(folder: Path, dataset: Mapping[str, CaseFiles]) -> Listing:
    """The cases whose files `dataset.json` names."""
    cases, missing = list[Case](), dict[str, tuple[Path, ...]]()
    for name, files in dataset.items():
        images, label = named_files(folder, files)
        case = Case(name, images, label)
        if lacking := tuple(path for path in (*images, label) if not is_there(path)):
            missing[name] = lacking
        else:
            cases.append(case)
    return Listing(tuple(cases), missing)


def named_files(folder: Path, files: CaseFiles) -> tuple[tuple[Path, ...], Path]:
    """Images and label map of a case whose files `dataset.json` names."""
    return tuple(folder / os.path.expandvars(path) for path in files.images), folder / os.path.expandvars(files.label)


def is_there(path: Path) -> bool:
    """Whether a path that a user wrote down exists."""
    try:
        return path.exists()
    except OSError:  # a name that is too long, for example
        return False


def _images_by_case(folder: Path, description: DatasetDescription) -> ImagesByCase:
    if not folder.is_dir():
        raise SegForgeError(f"{folder} is missing, the folder of images named like CASE_0000{description.file_ending}.")
    found: dict[str, dict[int, list[Path]]] = {}
    for stem, path in image_files(folder):
        if parts := CHANNEL.fullmatch(stem):
            found.setdefault(parts[1], {}).setdefault(int(parts[2]), []).append(path)
    for name, path in () if found else series_folders(folder):
        case, channel = case_and_channel(name)
        found.setdefault(case, {}).setdefault(channel, []).append(path)
    if not found:
        ending = description.file_ending
        raise SegForgeError(
            f"{folder} has no image named like CASE_0000{ending} (file_ending in {FILE_NAME} is {ending}). Name them so; "
            f"segforge predict also takes the files themselves, where one is a whole case: -i {folder}/*"
        )
    preferred = description.file_ending
    return {
        case: {channel: _of_ending(paths, preferred) for channel, paths in channels.items()} for case, channels in found.items()
    }


def case_and_channel(name: str) -> tuple[str, int]:
    """The case and the channel that a name without ending stands for: `CASE_0000`, or `CASE` alone for the first."""
    parts = CHANNEL.fullmatch(name)
    return (parts[1], int(parts[2])) if parts else (name, 0)


def _labels_by_case(folder: Path, ending: str) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for stem, path in image_files(folder):
        found.setdefault(stem, []).append(path)
    return {case: _of_ending(paths, ending) for case, paths in found.items()}


def _of_ending(paths: list[Path], ending: str) -> list[Path]:
    """Of several files for one thing those with the data set's ending, if there are any."""
    return [path for path in paths if path.name.endswith(ending)] or paths


def image_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The image files of a folder, if it is there, sorted: name without ending, and path."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not path.name.startswith(".") and (ending := ending_of(path)) and path.is_file():
            yield path.name[: -len(ending)], path


def _refuse_doubled(listing: Listing) -> None:
    if doubled := [str(path) for paths in listing.doubled.values() for path in paths]:
        raise SegForgeError(f"{_listed(doubled)} there for one channel or label map. Take all but one away.")


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return f"{shown} {'is' if len(names) == 1 else 'are'}"
