"""The DICOM series below a folder as cases, each with the segmentations that refer to it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segforge.compute.executors import ExecutorFactory, Resources, Task, run_all
from segforge.dataset.conversion.source import SourceCase, portable_name, with_ids
from segforge.errors import SegForgeError, did_you_mean
from segforge.images.dicom_headers import require_dicom
from segforge.images.dicom_objects import DicomObject, Kind, list_objects

_LEFT: Mapping[Kind, str] = {
    "localizer": "localizers",
    "contours": "contours (RTSTRUCT), which are not read",
    "other": "DICOM files without an image",
}


@dataclass(frozen=True)
class Studies:
    """What lies below a folder.

    Attributes:
        cases: The series; images are the slices, labels the segmentations.
        modality: How all of them were taken: `CT`, `MR`, ...
        damaged: Why a series cannot be read, by the name that it would have as a case.
        left: Files that no case uses, by the reason.
    """

    cases: tuple[SourceCase, ...]
    modality: str
    damaged: Mapping[str, str]
    left: Mapping[str, tuple[Path, ...]]


@dataclass(frozen=True)
class _Series:
    name: str
    slices: tuple[DicomObject, ...]
    segmentations: tuple[Path, ...]

    @property
    def modality(self) -> str:
        return self.slices[0].modality

    @property
    def folder(self) -> Path:
        return self.slices[0].path.parent


def find_series(
    source: Path, factory: ExecutorFactory, resources: Resources, *, modality: str | None = None, test: bool = True
) -> Studies:
    """Find the series in a folder and in all folders below it.

    A case is called after the series' folder; of several in one folder each has its number added, or else its UID.

    Args:
        source: The folder.
        factory: Opens an executor.
        resources: Its workers.
        modality: Of which modality they must be; None takes all, if they are of one.
        test: Whether series without a segmentation are cases too.

    Raises:
        SegForgeError: If there is no series, or their modalities differ; names one of each.
    """
    folders = _listed(source, factory, resources)
    objects = [item for items in folders.values() for item in items]
    segmentations = [item for item in objects if item.kind == "segmentation"]
    found = [series for folder, items in folders.items() for series in _series(_name(source, folder), items, segmentations)]
    damaged = {name: reason for folder, items in folders.items() for name, reason in _damaged(_name(source, folder), items)}
    if not found and not damaged:
        raise SegForgeError(f"{source} holds no DICOM image at any depth. Name the folder that the series lie in.")
    wanted = [series for series in found if series.segmentations or test]
    if not wanted and not damaged:
        raise SegForgeError(f"No segmentation (SEG) refers to a series in {source}. Without --no-test they become test cases.")
    chosen = _of_one_modality(wanted, modality.upper() if modality else None, source)
    left = {
        "series without a segmentation": [series.folder for series in found if series not in wanted],
        "series of other modalities": [series.folder for series in wanted if series not in chosen],
        "segmentations that refer to no series here": _without_series(segmentations, found),
        **{reason: [item.path for item in objects if item.kind == kind] for kind, reason in _LEFT.items()},
        "other files": _other_files(source, objects),
    }
    return Studies(
        cases=_cases(series for series in chosen if portable_name(series.name) not in damaged),
        modality=chosen[0].modality if chosen else "",
        damaged=damaged,
        left={reason: tuple(paths) for reason, paths in left.items() if paths},
    )


def _listed(source: Path, factory: ExecutorFactory, resources: Resources) -> dict[Path, list[DicomObject]]:
    """The DICOM files of each folder."""
    require_dicom()
    if not source.is_dir():
        raise SegForgeError(f"{source} is no folder. Name the folder that the series lie in.")
    folders = sorted(path for path in (source, *source.rglob("*")) if path.is_dir() and not _is_hidden(source, path))
    tasks = [Task(str(folder), list_objects, (folder,)) for folder in folders]
    outcome = run_all(factory, tasks, resources=resources, description="looking")
    if outcome.failures:
        raise SegForgeError(f"Folders cannot be read. Check their permissions, and type the command again.\n{outcome.reasons}")
    return {folder: outcome.results[str(folder)] for folder in folders}


def _series(name: str, items: Sequence[DicomObject], segmentations: Sequence[DicomObject]) -> Iterator[_Series]:
    """The series in one folder; segmentations may lie elsewhere."""
    slices = defaultdict[str, list[DicomObject]](list)
    for item in items:
        if item.kind == "image":
            slices[item.series].append(item)
    numbers = {uid: members[0].number for uid, members in slices.items()}
    have_numbers = None not in numbers.values() and len(set(numbers.values())) == len(numbers)
    for uid, members in slices.items():
        full_name = name if len(slices) == 1 else f"{name}_{numbers[uid] if have_numbers else uid}"
        known_as = {uid, *(item.instance for item in members)}
        yield _Series(full_name, tuple(members), tuple(item.path for item in segmentations if known_as & item.refers_to))


def _cases(series: Iterable[_Series]) -> tuple[SourceCase, ...]:
    return with_ids(
        (SourceCase(item.name, tuple(part.path for part in item.slices), item.segmentations) for item in series),
        other_way=" of their folders",
    )


def _damaged(name: str, items: Sequence[DicomObject]) -> Iterator[tuple[str, str]]:
    """A damaged file may belong to any series in its folder."""
    if reasons := [item.damage for item in items if item.kind == "damaged"]:
        for series in {series.name for series in _series(name, items, ())} or {name}:
            yield portable_name(series), reasons[0]


def _of_one_modality(series: Sequence[_Series], wanted: str | None, source: Path) -> list[_Series]:
    examples = {item.modality: item.folder for item in series}
    if wanted is not None and wanted not in examples:
        hint = did_you_mean(wanted, examples)
        raise SegForgeError(f"{source} has no series of the modality {wanted}; it has {', '.join(sorted(examples))}.{hint}")
    if wanted is None and len(examples) > 1:
        found = ", ".join(f"{modality} ({folder})" for modality, folder in sorted(examples.items()))
        raise SegForgeError(f"The series have several modalities: {found}. Choose one, --modality {min(examples)} for example.")
    return [item for item in series if wanted in (None, item.modality)]


def _without_series(segmentations: Sequence[DicomObject], series: Sequence[_Series]) -> list[Path]:
    used = {path for item in series for path in item.segmentations}
    return [item.path for item in segmentations if item.path not in used]


def _other_files(source: Path, objects: Sequence[DicomObject]) -> list[Path]:
    known = {item.path for item in objects}
    files = (path for path in sorted(source.rglob("*")) if path.is_file() and not _is_hidden(source, path))
    return [path for path in files if path not in known and path.name != "DICOMDIR"]


def _name(source: Path, folder: Path) -> str:
    return "_".join(folder.relative_to(source).parts) or source.resolve().name


def _is_hidden(source: Path, path: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(source).parts)
