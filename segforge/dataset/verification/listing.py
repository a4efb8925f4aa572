"""What the names of the files already tell about a raw data set; reads no image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from segforge.dataset.cases import CHANNEL, IMAGES, LABELS, Case, Listing, image_files, is_there, list_cases, named_files
from segforge.dataset.description import FILE_NAME, CaseFiles, DatasetDescription
from segforge.dataset.verification.names import check_names, is_lossy
from segforge.dataset.verification.problem import Kind, Problem, name_in
from segforge.errors import SegForgeError
from segforge.images.files import ending_of


@dataclass(frozen=True)
class CheckedListing:
    """The files of a data set.

    Attributes:
        complete: The cases that have all their files.
        partial: The others, with the files that are there.
        problems: What is wrong with the list.
    """

    complete: tuple[Case, ...]
    partial: tuple[Case, ...]
    problems: tuple[Problem, ...]


def check_listing(folder: Path, description: DatasetDescription) -> list[Problem]:
    """The problems of a raw data set that can be seen without reading an image."""
    return list(list_files(folder, description).problems)


def list_files(folder: Path, description: DatasetDescription) -> CheckedListing:
    """The cases of a raw data set, complete or not, and the problems that can be seen without reading an image."""
    try:
        listing = list_cases(folder, description)
    except SegForgeError as error:
        return CheckedListing((), (), (Problem(Kind.NO_CASES, "", IMAGES, str(error)),))
    partial = _partial_cases(folder, description, listing)
    cases = sorted((*listing.cases, *partial), key=lambda case: case.id)
    problems = [
        *_missing_files(folder, description, listing),
        *_doubled_files(folder, listing),
        *_unused_files(folder, description),
        *_wrong_count(description, listing),
        *check_names(folder, cases),
        *_lossy_labels(folder, cases),
    ]
    return CheckedListing(listing.cases, partial, tuple(problems))


def _partial_cases(folder: Path, description: DatasetDescription, listing: Listing) -> tuple[Case, ...]:
    """What is there of the cases that lack a file, or have one twice, so that it is checked too."""
    if description.dataset:
        there = [_existing(folder, name, description.dataset[name]) for name in listing.missing]
        return tuple(case for case in there if case.images)
    images: dict[str, list[Path]] = {}
    for stem, path in image_files(folder / IMAGES):
        if parts := CHANNEL.fullmatch(stem):
            images.setdefault(parts[1], []).append(path)
    labels = dict(image_files(folder / LABELS))
    names = sorted({*listing.missing, *listing.doubled})
    return tuple(Case(name, tuple(images[name]), labels.get(name)) for name in names if name in images)


def _existing(folder: Path, name: str, files: CaseFiles) -> Case:
    images, label = named_files(folder, files)
    return Case(name, tuple(path for path in images if is_there(path)), label if is_there(label) else None)


def _missing_files(folder: Path, description: DatasetDescription, listing: Listing) -> Iterator[Problem]:
    labels = {named_files(folder, files)[1] for files in (description.dataset or {}).values()}
    for case, paths in listing.missing.items():
        for path in paths:
            is_label = path in labels or (not labels and path.parent == folder / LABELS)
            kind = Kind.MISSING_LABEL if is_label else Kind.MISSING_CHANNEL
            yield Problem(kind, case, name_in(folder, path), "is missing")
    for path in listing.without_image:
        yield Problem(
            Kind.MISSING_IMAGE, path.name[: -len(ending_of(path) or "")], name_in(folder, path), f"has no image in {IMAGES}"
        )


def _doubled_files(folder: Path, listing: Listing) -> Iterator[Problem]:
    for case, paths in listing.doubled.items():
        for path in paths:
            yield Problem(Kind.DOUBLED, case, name_in(folder, path), "is there under another ending too")


def _unused_files(folder: Path, description: DatasetDescription) -> Iterator[Problem]:
    for stem, path in () if description.dataset else image_files(folder / IMAGES):
        if not CHANNEL.fullmatch(stem):
            yield Problem(Kind.UNUSED_FILE, "", name_in(folder, path), "has no channel number at the end of its name")


def _wrong_count(description: DatasetDescription, listing: Listing) -> Iterator[Problem]:
    count = len({*(case.id for case in listing.cases), *listing.missing, *listing.doubled})
    if description.num_training != count:
        found = f"numTraining is {description.num_training}, there are {count} cases"
        yield Problem(Kind.CASE_COUNT, "", FILE_NAME, found)


def _lossy_labels(folder: Path, cases: Sequence[Case]) -> Iterator[Problem]:
    for case in cases:
        if case.label and is_lossy(case.label):
            yield Problem(Kind.LOSSY_LABELS, case.id, name_in(folder, case.label), "is a JPEG, which changes label values")
