"""From the raw cases of a data set to its fingerprint."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from segforge.compute.documents import Document
from segforge.compute.executors import ExecutorFactory, Resources, Task, run_all
from segforge.compute.files import file_hash
from segforge.compute.sources import Source, are_unchanged
from segforge.dataset.cases import Case, RawDataset
from segforge.dataset.decoded import CaseReader
from segforge.errors import CasesFailed, SegForgeError
from segforge.images.crop import bounding_box, nonzero_mask
from segforge.images.image import Array
from segforge.planning.fingerprint import FILE_NAME, Fingerprint, IntensityProperties

_DRAWS = 10**8  # foreground voxels drawn from the whole data set, per channel
_SEED = 1234
_FEW_VALUES = 1 << 20  # more distinct whole numbers are not looked up
_DRAWN_TOGETHER = 1 << 18  # few enough to stay near the processor


@dataclass(frozen=True)
class _CaseFacts:
    """What one case adds to the fingerprint; per channel the distinct foreground values drawn, and how often each."""

    sources: tuple[Source, ...]
    spacing: tuple[float, float, float]
    shape_after_crop: tuple[int, int, int]
    relative_size: float
    class_voxels: tuple[int, ...]
    intensities: list[tuple[Array, Array]]


class CaseSize(Document):
    """What a case will need, beside its shape after cropping.

    Attributes:
        voxels: Of the whole image.
        class_voxels: Of each class, the ignore label last.
    """

    voxels: int
    class_voxels: tuple[int, ...]


@dataclass(frozen=True)
class Measured:
    """A data set's fingerprint, and the sizes of its cases, both in the order of the cases."""

    fingerprint: Fingerprint
    sizes: tuple[CaseSize, ...]


class FingerprintRecord(Document):
    """What a fingerprint was taken from, beside it as `dataset_fingerprint.sources.json`.

    Attributes:
        version: Version of this schema.
        description: Hash of `dataset.json`.
        fingerprint: Hash of the fingerprint.
        sources: The raw files.
        cases: What the fingerprint does not say of each case.
    """

    version: Literal[1] = 1
    description: str
    fingerprint: str
    sources: tuple[Source, ...]
    cases: dict[str, CaseSize]


def current_fingerprint(
    dataset: RawDataset,
    folder: Path,
    factory: ExecutorFactory,
    resources: Resources,
    reader: CaseReader | None = None,
    *,
    verify: bool = False,
) -> Measured:
    """The fingerprint in a data set's preprocessed folder, taken anew if raw files or `dataset.json` have changed.

    Args:
        dataset: The raw data set.
        folder: Its preprocessed folder.
        factory: Opens an executor.
        resources: Its workers.
        reader: Reads the cases, and may keep them.
        verify: Whether to read all files and compare their hashes, though their sizes and times are the same.

    Raises:
        CasesFailed: If cases could not be read; names each with its reason.
    """
    path, record_path = folder / FILE_NAME, folder / "dataset_fingerprint.sources.json"
    files = [file for case in dataset.cases for file in case.files]
    description = hashlib.sha256(dataset.description.to_json().encode()).hexdigest()
    if (record := _read_record(path, record_path)) and record.description == description:
        names_agree = list(record.cases) == [case.id for case in dataset.cases]
        if names_agree and are_unchanged(record.sources, files, verify=verify):
            return Measured(Fingerprint.read(path), tuple(record.cases.values()))
    facts = _gather(dataset, factory, resources, reader)
    measured = _measured(dataset, facts)
    measured.fingerprint.write(path)
    FingerprintRecord(
        description=description,
        fingerprint=file_hash(path),
        sources=tuple(source for case in facts for source in case.sources),
        cases={case.id: size for case, size in zip(dataset.cases, measured.sizes, strict=True)},
    ).write(record_path)
    return measured


def measure(dataset: RawDataset, factory: ExecutorFactory, resources: Resources, reader: CaseReader | None = None) -> Measured:
    """Read every case and gather shapes, spacings and foreground intensities, as METHOD says for nnU-Net's fingerprint.

    Raises:
        CasesFailed: If cases could not be read; names each with its reason.
    """
    return _measured(dataset, _gather(dataset, factory, resources, reader))


def _gather(dataset: RawDataset, factory: ExecutorFactory, resources: Resources, reader: CaseReader | None) -> list[_CaseFacts]:
    draws = _DRAWS // len(dataset.cases)
    reader = reader or CaseReader(dataset.description)
    tasks = [Task(case.id, _case_facts, (case, reader, draws)) for case in dataset.cases]
    outcome = run_all(factory, tasks, resources=resources, description="fingerprint")
    if outcome.failures:
        raise CasesFailed(outcome.reasons)
    return [outcome.results[case.id] for case in dataset.cases]


def _measured(dataset: RawDataset, facts: Sequence[_CaseFacts]) -> Measured:
    channels = range(len(dataset.description.channels))
    properties = {str(channel): _properties([case.intensities[channel] for case in facts]) for channel in channels}
    content = {
        "spacings": [case.spacing for case in facts],
        "shapes_after_crop": [case.shape_after_crop for case in facts],
        "foreground_intensity_properties_per_channel": properties,
        "median_relative_size_after_cropping": float(np.median([case.relative_size for case in facts])),
    }
    fingerprint = Fingerprint.parse(content, f"The fingerprint of {dataset.folder}")
    sizes = tuple(CaseSize(voxels=sum(case.class_voxels), class_voxels=case.class_voxels) for case in facts)
    return Measured(fingerprint, sizes)


def _read_record(path: Path, record_path: Path) -> FingerprintRecord | None:
    """What a fingerprint was taken from; None if there is none, or it belongs to another or an older one."""
    if not (path.is_file() and record_path.is_file()):
        return None
    try:
        record = FingerprintRecord.read(record_path)
    except SegForgeError:
        return None
    return record if record.fingerprint == file_hash(path) else None


def _case_facts(case: Case, reader: CaseReader, draws: int) -> _CaseFacts:
    decoded = reader.read(case)
    image, classes = decoded.image, decoded.classes[0]
    box = bounding_box(nonzero_mask(image.array))
    foreground = classes[box.slices] > 0
    random = np.random.RandomState(_SEED)  # the same for every case, running on from channel to channel
    z, y, x = box.shape
    return _CaseFacts(
        sources=tuple(Source.of(file) for file in case.files),
        spacing=image.geometry.spacing,
        shape_after_crop=(z, y, x),
        relative_size=foreground.size / classes.size,
        class_voxels=tuple(_counts(classes)),
        intensities=[_drawn_values(channel[box.slices][foreground], draws, random) for channel in image.array],
    )


def _counts(classes: Array) -> list[int]:
    """Voxels of each class, slice by slice: counting all at once would take eight bytes for each."""
    length = int(classes.max()) + 1
    counts = np.sum([np.bincount(plane.reshape(-1), minlength=length) for plane in classes], axis=0)
    return [int(count) for count in counts]


def _drawn_values(values: Array, draws: int, random: np.random.RandomState) -> tuple[Array, Array]:
    """Distinct values and counts of `draws` draws with replacement: far fewer numbers than the draws themselves."""
    if not len(values):
        return values, np.zeros(0, np.int64)
    found, places = _distinct(values)
    counts, together = np.zeros(len(found), np.int64), max(_DRAWN_TOGETHER, len(found))
    for begin in range(0, draws, together):
        drawn = random.randint(0, len(values), min(together, draws - begin))  # the same numbers as all at once
        counts += np.bincount(places[drawn], minlength=len(found))
    return found[counts > 0], counts[counts > 0]


def _distinct(values: Array) -> tuple[Array, Array]:
    """Distinct values in their order, perhaps with some between that do not occur, and for each value its place there."""
    low, width = values.min(), np.ptp(values)
    if width < _FEW_VALUES and np.array_equal(values, np.rint(values)):  # looked up much faster than sorted
        found: Array = low + np.arange(int(width) + 1, dtype=values.dtype)
        return found, (values - low).astype(np.int32)
    found, places = np.unique(values, return_inverse=True)
    return found, places


def _properties(drawn: Sequence[tuple[Array, Array]]) -> IntensityProperties:
    values = np.concatenate([values for values, _ in drawn])
    counts = np.concatenate([counts for _, counts in drawn])
    values, counts = values[counts > 0], counts[counts > 0]
    if not len(values):
        names = IntensityProperties.model_fields
        return IntensityProperties.model_validate(dict.fromkeys(names, float("nan")))
    values, places = _distinct(values)
    counts = np.bincount(places, weights=counts, minlength=len(values)).astype(np.int64)
    values, counts = values[counts > 0], counts[counts > 0]
    exact = values.astype(np.float64)
    total = counts.sum()
    mean = float((exact * counts).sum() / total)
    return IntensityProperties(
        max=float(values[-1]),
        mean=mean,
        median=_quantile(exact, counts, 0.5),
        min=float(values[0]),
        percentile_00_5=_quantile(exact, counts, 0.005),
        percentile_99_5=_quantile(exact, counts, 0.995),
        std=float(np.sqrt((counts * (exact - mean) ** 2).sum() / total)),
    )


def _quantile(values: Array, counts: Array, share: float) -> float:
    """Linearly interpolated quantile of sorted values that occur `counts` times each."""
    ends = np.cumsum(counts)
    position = share * (ends[-1] - 1)
    below, above = (
        float(values[np.searchsorted(ends, index, side="right")]) for index in (np.floor(position), np.ceil(position))
    )
    return below + (above - below) * float(position - np.floor(position))
