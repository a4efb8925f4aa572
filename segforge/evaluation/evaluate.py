"""Compares a folder of predictions with a folder of references."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segforge.compute.executors import ExecutorFactory, Resources, Task, run_all
from segforge.dataset.labels import LabelScheme
from segforge.errors import CasesFailed, SegForgeError
from segforge.evaluation.extent import real_axes
from segforge.evaluation.measure import OVERLAP_ONLY, Measures, scores_of_case
from segforge.evaluation.overlap import Array
from segforge.evaluation.summary import CaseMetrics, Summary, case_of, summarize
from segforge.images.files import ending_of, read_labels
from segforge.images.image import Geometry, geometry_difference

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pair:
    """A reference and its prediction as class maps `(Z, Y, X)` on one grid, that of the reference."""

    reference: Array
    prediction: Array
    geometry: Geometry


def evaluate_folders(
    references: Path,
    predictions: Path,
    labels: LabelScheme,
    factory: ExecutorFactory,
    resources: Resources,
    measures: Measures = OVERLAP_ONLY,
) -> Summary:
    """Metrics of every prediction that has a reference of the same name; their endings may differ.

    Raises:
        SegForgeError: If a folder is missing or a prediction has no reference.
        CasesFailed: If cases could not be compared; names each.
    """
    return evaluate_pairs(pair_folders(references, predictions), labels, factory, resources, measures=measures)


def pair_folders(references: Path, predictions: Path) -> list[tuple[Path, Path]]:
    """The reference and the prediction of each case that is predicted; warns of those that are not.

    Raises:
        SegForgeError: If a folder is missing or a prediction has no reference.
    """
    truth, predicted = label_files(references), label_files(predictions)
    if missing := sorted(set(predicted) - set(truth)):
        raise SegForgeError(
            f"{references} has no label map for {', '.join(missing[:10])} (predicted in {predictions}). Add the label maps, or "
            "take the predictions away."
        )
    if missing := sorted(set(truth) - set(predicted)):
        log.warning(
            "%d of %d references have no prediction and do not count: %s.", len(missing), len(truth), ", ".join(missing[:10])
        )
    return [(truth[name], predicted[name]) for name in sorted(predicted)]


def evaluate_pairs(
    pairs: Sequence[tuple[Path, Path]],
    labels: LabelScheme,
    factory: ExecutorFactory,
    resources: Resources,
    made_from: Mapping[str, str] | None = None,
    measures: Measures = OVERLAP_ONLY,
) -> Summary:
    """Metrics of pairs of a reference and a prediction file."""
    tasks = [Task(str(pair[1]), evaluate_pair, (*pair, labels, measures)) for pair in pairs]
    outcome = run_all(factory, tasks, resources=resources, description="evaluation")
    if outcome.failures:
        raise CasesFailed(failed_pairs(outcome.failures))
    return summarize([outcome.results[task.name] for task in tasks], labels, made_from)


def evaluate_pair(reference: Path, prediction: Path, labels: LabelScheme, measures: Measures = OVERLAP_ONLY) -> CaseMetrics:
    """Metrics of one case.

    Raises:
        SegForgeError: If a file is unreadable, holds unknown labels, the two are not on one grid, or a metric fails.
    """
    pair = read_pair(reference, prediction, labels)
    try:
        metrics = scores_of_case(pair.reference, pair.prediction, labels, pair.geometry.spacing, measures)
    except SegForgeError as error:
        raise SegForgeError(f"{prediction}: {error}") from error
    return CaseMetrics(prediction_file=str(prediction), reference_file=str(reference), metrics=metrics)


def read_pair(reference: Path, prediction: Path, labels: LabelScheme) -> Pair:
    """Read the two label maps of a case.

    Raises:
        SegForgeError: If a file is unreadable, holds unknown labels, or the two are not on one grid.
    """
    truth, predicted = read_labels(reference), read_labels(prediction)
    difference = geometry_difference(truth.geometry, predicted.geometry)
    if difference and difference.startswith("shape"):
        raise SegForgeError(f"{prediction} and {reference} differ in {difference}. Compare label maps of the same grid.")
    classes = []
    for path, image in ((reference, truth), (prediction, predicted)):
        try:
            classes.append(labels.to_classes(image.array[0]))
        except SegForgeError as error:
            raise SegForgeError(f"{path} {error}. Correct the file, or name the label in dataset.json.") from error
    return Pair(classes[0], classes[1], truth.geometry)


def median_spacing(paths: Sequence[Path], factory: ExecutorFactory, resources: Resources) -> float:
    """Median of the voxel sizes of label maps along all axes, in mm; of planes only along those of the plane.

    Raises:
        CasesFailed: If files could not be read; names each.
    """
    tasks = [Task(str(path), _voxel_sizes, (path,)) for path in paths]
    outcome = run_all(factory, tasks, resources=resources, description="voxel sizes")
    if outcome.failures:
        raise CasesFailed(failed_pairs(outcome.failures))
    return float(np.median(np.concatenate(list(outcome.results.values()))))


def failed_pairs(failures: Mapping[str, str]) -> str:
    """A line for each failed case: the reason, with the file where the reason does not name it."""
    return "\n".join(reason if file in reason else f"{file}: {reason}" for file, reason in sorted(failures.items()))


def label_files(folder: Path) -> dict[str, Path]:
    """Label maps of a folder by case.

    Raises:
        SegForgeError: If the folder is missing or has none.
    """
    if not folder.is_dir():
        raise SegForgeError(f"{folder} is missing, a folder of label maps.")
    files = {}
    for path in sorted(folder.iterdir()):
        if ending_of(path) and not path.name.startswith("."):
            files[case_of(path)] = path
    if not files:
        raise SegForgeError(f"{folder} has no label maps. Name the folder that they lie in.")
    return files


def _voxel_sizes(path: Path) -> list[float]:
    geometry = read_labels(path).geometry
    return [geometry.spacing[axis] for axis in real_axes(geometry.shape)]
