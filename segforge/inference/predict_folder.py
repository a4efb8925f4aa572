"""Predicts many cases into a folder: the next is read and the last is written while one is in the networks."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segforge.compute.files import write_bytes
from segforge.compute.progress import progress_bar
from segforge.dataset.cases import IMAGES, Case, Listing, image_files, read_case_image
from segforge.dataset.description import FILE_NAME, DatasetDescription
from segforge.dataset.labels import BACKGROUND
from segforge.errors import CasesFailed, SegForgeError
from segforge.images.dicom_segmentation import ENDING as SEGMENTATION_ENDING
from segforge.images.dicom_segmentation import write_segmentation
from segforge.images.files import files_of, read_labels, write_volume
from segforge.images.image import Geometry, Image
from segforge.images.orientation import as_stored
from segforge.inference.export import CaseLogits
from segforge.inference.finished_cases import FinishedCases
from segforge.inference.forecast import Forecast, forecast_cases
from segforge.inference.loaded_model import PreparedCase
from segforge.inference.pipeline import Work, run_pipeline
from segforge.inference.plausibility import doubts
from segforge.inference.probabilities import ProbabilityFacts, ProbabilityType, are_written, write_probabilities
from segforge.inference.spill import spilling

if TYPE_CHECKING:
    from segforge.inference.predictor import Predictor  # which has this as a method

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderSettings:
    """What is written, and how much is done at once.

    Attributes:
        output: Folder of the label maps.
        ending: Their ending, which says their format.
        probabilities: Type in which probabilities are written too; None for none.
        previous: For a cascade a folder of label maps of the previous stage; None predicts them.
        threads: Threads that read, and as many that write, beside the networks; 0 for none.
        budget: Bytes of memory that the cases may take together.
    """

    output: Path
    ending: str
    probabilities: ProbabilityType | None = None
    previous: Path | None = None
    threads: int = 1
    budget: int = 1 << 62


@dataclass
class _OnItsWay:
    """A case between two stages, and how long each took."""

    geometry: Geometry
    prepared: tuple[PreparedCase, ...] = ()
    logits: tuple[CaseLogits, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self.seconds[stage] = time.monotonic() - begin


def predict_folder(predictor: "Predictor", listing: Listing, finished: FinishedCases, settings: FolderSettings) -> int:
    """Predict the cases that are not finished.

    Args:
        predictor: The models.
        listing: The cases; those of which files are missing or doubled fail.
        finished: Those that are done.
        settings: What to write, and how much to do at once.

    Returns:
        Number of cases that had to be predicted.

    Raises:
        CasesFailed: If cases failed; names each with its reason. The others are written.
    """
    _write_description(predictor.description, settings.output)
    job = _Job(predictor, finished, settings)
    failures = _incomplete(listing)
    for name, reason in failures.items():
        finished.fail(name, reason)
    due = [case for case in listing.cases if not job.is_done(case)]
    if len(due) < len(listing.cases):
        log.info("%d of %d cases are predicted already.", len(listing.cases) - len(due), len(listing.cases))
    if due:
        forecast = forecast_cases(predictor, due)
        log.info("%s", forecast)
        failures |= job.run(due, forecast)
    if failures:
        reasons = "\n".join(f"{name}: {reason}{job.older_result(name)}" for name, reason in sorted(failures.items()))
        count = len(listing.cases) + len(listing.missing) + len(listing.doubled)
        raise CasesFailed(f"{len(failures)} of {count} cases failed, the others are in {settings.output}:\n{reasons}")
    return len(due)


def _write_description(description: DatasetDescription, folder: Path) -> None:
    """Say beside the label maps what their values mean, as nnU-Net does; a data set's own folder keeps what it says."""
    path, content = folder / FILE_NAME, description.to_json().encode()
    if (folder / IMAGES).is_dir() or _holds(path, content):
        return
    try:
        write_bytes(path, content)
    except SegForgeError:
        if not _holds(path, content):  # other machines, each with its part of the cases, may be writing the same
            raise


def _holds(path: Path, content: bytes) -> bool:
    with suppress(OSError):
        return path.read_bytes() == content
    return False


def _incomplete(listing: Listing) -> dict[str, str]:
    """The reason for each case that cannot be predicted, since files are missing or too many."""
    missing = {case: f"{', '.join(map(str, paths))} missing" for case, paths in listing.missing.items()}
    doubled = {case: f"only one of {', '.join(map(str, paths))} may be there" for case, paths in listing.doubled.items()}
    return missing | doubled


class _Job:
    """The stages of each case."""

    def __init__(self, predictor: "Predictor", finished: FinishedCases, settings: FolderSettings) -> None:
        self._predictor, self._finished, self._settings = predictor, finished, settings
        self._labels = predictor.members[0].labels
        self._allocate = spilling(settings.output, settings.budget // 2)

    def is_done(self, case: Case) -> bool:
        """Whether an earlier run did the case, the probabilities that are asked for included."""
        dtype = self._settings.probabilities
        if dtype and not are_written(self._settings.output / f"{case.id}.npz", dtype):
            return False
        return self._finished.has(case.id, self._inputs(case), self._path(case))

    def older_result(self, case: str) -> str:
        """For a case that failed, a word about the label map that an earlier run left."""
        path = self._settings.output / f"{case}{self._settings.ending}"
        return f" ({path.name} there is of an earlier run)" if path.is_file() else ""

    def run(self, cases: Sequence[Case], forecast: Forecast) -> dict[str, str]:
        """Take the cases through the stages; returns the reason for each that failed."""
        largest = max(forecast.memory_of.values(), default=1)  # what a case of unknown size is taken for
        with progress_bar(sum(forecast.tiles.values()), "tiles") as advance:
            work = [
                Work(
                    case.id,
                    forecast.memory_of.get(case.id, largest),
                    lambda case=case: self._prepare(case),  # type: ignore[misc]
                    lambda way: self._predict(way, advance),
                    lambda way, case=case: self._finish(case, way),  # type: ignore[misc]
                )
                for case in cases
            ]
            budget = min(self._settings.budget, 2 * largest)
            return run_pipeline(work, threads=self._settings.threads, budget=budget, finished=self._note)

    def _prepare(self, case: Case) -> _OnItsWay:
        begin = time.monotonic()
        image = read_case_image(case, self._predictor.description)
        previous = self._previous(case, image) if self._settings.previous else None
        way = _OnItsWay(image.geometry, seconds={"read": time.monotonic() - begin})
        for doubt in doubts(image, self._predictor.members[0]):
            log.warning("%s: %s", case.id, doubt)
        with way.timed("preprocess"):
            way.prepared = self._predictor.prepare(image, previous)
        return way

    def _predict(self, way: _OnItsWay, advance: Any) -> _OnItsWay:
        with way.timed("network"):
            way.logits = self._predictor.predict(way.prepared, advance, self._allocate)
        way.prepared = ()
        return way

    def _finish(self, case: Case, way: _OnItsWay) -> None:
        with way.timed("export"):
            labels = self._predictor.export(way.logits)
            if self._settings.ending == SEGMENTATION_ENDING:
                segments = as_stored(labels, way.geometry), self._labels.structures
                write_segmentation(self._path(case), case.images[0], *segments)
            else:
                write_volume(self._path(case), labels, way.geometry)
            if self._settings.probabilities:
                self._write_probabilities(case, way, self._settings.probabilities)
        self._finished.add(case.id, self._inputs(case), self._path(case), way.seconds)

    def _write_probabilities(self, case: Case, way: _OnItsWay, dtype: ProbabilityType) -> None:
        names = tuple(target.name for target in self._labels.targets)
        stored = way.geometry.stored or way.geometry
        facts = ProbabilityFacts(
            heads=names if self._labels.has_regions else (BACKGROUND, *names), dtype=dtype, geometry=stored
        )
        heads = (as_stored(head, way.geometry) for head in self._predictor.probabilities(way.logits))
        write_probabilities(self._settings.output / f"{case.id}.npz", heads, facts)

    def _previous(self, case: Case, image: Image) -> Any:
        found = self._maps_before(case)
        if len(found) != 1:
            raise SegForgeError(
                f"--previous-stage {self._settings.previous} must hold one label map {case.id}; found {len(found)}."
            )
        labels = read_labels(found[0], canonical=self._predictor.description.is_canonical)
        if labels.geometry.shape != image.geometry.shape:
            raise SegForgeError(
                f"{found[0]} has the shape {labels.geometry.shape}, its image {case.images[0]} has {image.geometry.shape}. "
                "Predict it again from this image."
            )
        return labels.array[0]

    def _maps_before(self, case: Case) -> list[Path]:
        """The label maps of the previous stage that are given for a case; there should be one."""
        folder = self._settings.previous
        return [] if folder is None else [path for name, path in image_files(folder) if name == case.id]

    def _inputs(self, case: Case) -> list[Path]:
        return [*case.files, *(file for path in self._maps_before(case) for file in files_of(path))]

    def _path(self, case: Case) -> Path:
        return self._settings.output / f"{case.id}{self._settings.ending}"

    def _note(self, name: str, reason: str | None) -> None:
        if reason is not None:
            self._finished.fail(name, reason)
