"""Compares a folder of predictions with a folder of references."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from segforge.compute.executors import ExecutorFactory, Resources, Task, run_all
from segforge.dataset.labels import LabelScheme
from segforge.errors import CasesFailed, SegForgeError
from segforge.evaluation.overlap import overlap_of_case
from segforge.evaluation.summary import CaseMetrics, Summary, summarize
from segforge.images.files import ending_of, read_labels
from segforge.images.image import geometry_difference

log = logging.getLogger(__name__)


def evaluate_folders(
    references: Path, predictions: Path, labels: LabelScheme, factory: ExecutorFactory, resources: Resources
) -> Summary:
    """Metrics of every prediction that has a reference of the same name; their endings may differ.

    Raises:
        SegForgeError: If a folder is missing or a prediction has no reference.
        CasesFailed: If cases could not be compared; names each.
    """
    truth, predicted = _label_files(references), _label_files(predictions)
    if missing := sorted(set(predicted) - set(truth)):
        raise SegForgeError(f"{references} has no label map for {', '.join(missing[:10])} (predicted in {predictions}).")
    if missing := sorted(set(truth) - set(predicted)):
        log.warning(
            "%d of %d references have no prediction and do not count: %s.", len(missing), len(truth), ", ".join(missing[:10])
        )
    return evaluate_pairs([(truth[name], predicted[name]) for name in sorted(predicted)], labels, factory, resources)


def evaluate_pairs(
    pairs: Sequence[tuple[Path, Path]],
    labels: LabelScheme,
    factory: ExecutorFactory,
    resources: Resources,
    made_from: Mapping[str, str] | None = None,
) -> Summary:
    """Metrics of pairs of a reference and a prediction file."""
    tasks = [Task(str(pair[1]), evaluate_pair, (*pair, labels)) for pair in pairs]
    outcome = run_all(factory, tasks, resources=resources, description="evaluation")
    if outcome.failures:
        raise CasesFailed("\n".join(reason for _, reason in sorted(outcome.failures.items())))
    return summarize([outcome.results[task.name] for task in tasks], labels, made_from)


def evaluate_pair(reference: Path, prediction: Path, labels: LabelScheme) -> CaseMetrics:
    """Metrics of one case.

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
            classes.append(labels.to_classes(image.array))
        except SegForgeError as error:
            raise SegForgeError(f"{path} {error}.") from error
    metrics = overlap_of_case(classes[0], classes[1], labels)
    return CaseMetrics(prediction_file=str(prediction), reference_file=str(reference), metrics=metrics)


def _label_files(folder: Path) -> dict[str, Path]:
    """Label maps of a folder by case."""
    if not folder.is_dir():
        raise SegForgeError(f"{folder} is missing.")
    files = {}
    for path in sorted(folder.iterdir()):
        if (ending := ending_of(path)) and not path.name.startswith("."):
            files[path.name[: -len(ending)]] = path
    if not files:
        raise SegForgeError(f"{folder} has no label maps.")
    return files
