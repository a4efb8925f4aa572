"""`segforge evaluate` as a function."""

import logging
from collections.abc import Sequence
from pathlib import Path

from segforge.api.labels import labels_to_score
from segforge.compute.executors import ExecutorFactory, Resources, executor_for
from segforge.compute.files import write_text
from segforge.errors import SegForgeError
from segforge.evaluation.case_table import CASES, case_table
from segforge.evaluation.evaluate import evaluate_pairs, median_spacing, pair_folders
from segforge.evaluation.measure import Measures
from segforge.evaluation.summary import SUMMARY, Summary

log = logging.getLogger(__name__)


def evaluate(
    references: Path,
    predictions: Path,
    *,
    dataset: int | str | None = None,
    description: Path | None = None,
    labels: Sequence[int] | None = None,
    ignore_label: int | None = None,
    surface: bool = False,
    tolerances: Sequence[float] | None = None,
    lesions: bool = False,
    metrics: Sequence[str] | None = None,
    output: Path | None = None,
    workers: int | None = None,
    workspace: Path | None = None,
) -> Summary:
    """Compare a folder of predictions with a folder of references; write `summary.json` and `cases.csv`.

    Args:
        references: Folder of the true label maps.
        predictions: Folder of the predicted ones.
        dataset: Number or name of the data set; None reads `dataset.json` beside the references.
        description: A `dataset.json`, instead.
        labels: Values in the files to score, instead; all others count as background.
        ignore_label: With `labels`: the value of voxels in the references that do not count.
        surface: Whether to measure distances of surfaces.
        tolerances: Distances in mm within which surfaces agree, for their Dice; None takes the median voxel size.
        lesions: Whether to count lesions, the connected components of each structure.
        metrics: Names of further metrics, of plug-ins or `PACKAGE:FUNCTION`.
        output: File to write; None writes `summary.json` beside the predictions. The other file lies beside it.
        workers: Worker processes; None works in threads, one per core, and 0 in this thread.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If a folder or `dataset.json` is missing, a prediction has no reference, or there is no such metric.
        CasesFailed: If cases could not be compared; names each.
    """
    path = _checked_output(output or predictions / SUMMARY)
    scheme = labels_to_score(
        references,
        dataset=dataset,
        description=description,
        values=labels,
        ignore=ignore_label,
        workspace=workspace,
    )
    asked = Measures(tuple(tolerances or ()), lesions, tuple(metrics or ()))
    asked.check()
    pairs, (factory, resources) = pair_folders(references, predictions), executor_for(workers)
    if surface and not asked.tolerances:
        asked = Measures((_default_tolerance(pairs, factory, resources),), asked.lesions, asked.own)
    summary = evaluate_pairs(pairs, scheme, factory, resources, measures=asked)
    _write(summary, path)
    return summary


def case_table_path(summary: Path) -> Path:
    """Where the table of all cases lies: `cases.csv` beside `summary.json`, `NAME_cases.csv` beside `NAME.json`."""
    return summary.with_name(CASES if summary.name == SUMMARY else f"{summary.stem}_{CASES}")


def _write(summary: Summary, path: Path) -> None:
    if _is_validation(path):
        log.info("%s is a training's validation and stays as it is. Write these numbers elsewhere with -o FILE.json.", path)
        return
    summary.write(path)
    write_text(case_table_path(path), case_table(summary))
    log.info("All numbers: %s; a row per case: %s", path, case_table_path(path))


def _checked_output(path: Path) -> Path:
    if path.suffix != ".json":
        raise SegForgeError(f"The results are JSON; found {path}. Name a file like {path.name}.json.")
    return path


def _is_validation(path: Path) -> bool:
    """Whether a summary was written by a training, which recognises it by what it was made from."""
    try:
        return path.is_file() and bool(Summary.read(path).made_from)
    except SegForgeError:  # nnU-Net's, for example
        return False


def _default_tolerance(pairs: Sequence[tuple[Path, Path]], factory: ExecutorFactory, resources: Resources) -> float:
    tolerance = median_spacing([reference for reference, _ in pairs], factory, resources)
    log.info("Surfaces agree within %g mm, the median voxel size; choose another distance with --tolerance.", tolerance)
    return tolerance
