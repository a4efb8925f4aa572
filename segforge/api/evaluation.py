"""`segforge evaluate` as a function."""

import logging
from pathlib import Path

from segforge.compute.executors import executor_for
from segforge.dataset.description import FILE_NAME as DESCRIPTION
from segforge.dataset.description import read_description
from segforge.errors import SegForgeError
from segforge.evaluation.evaluate import evaluate_folders
from segforge.evaluation.summary import SUMMARY, Summary
from segforge.workspace import find_workspace

log = logging.getLogger(__name__)


def evaluate(
    references: Path,
    predictions: Path,
    *,
    dataset: int | str | None = None,
    workers: int | None = None,
    workspace: Path | None = None,
) -> Summary:
    """Compare a folder of predictions with a folder of references, and write `summary.json` beside the predictions.

    Args:
        references: Folder of the true label maps.
        predictions: Folder of the predicted ones.
        dataset: Number or name of the data set; None reads `dataset.json` beside the references.
        workers: Worker processes; None works in threads, one per core, and 0 in this thread.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If a folder or `dataset.json` is missing, or a prediction has no reference.
        CasesFailed: If cases could not be compared; names each.
    """
    beside = references.resolve().parent / DESCRIPTION
    if dataset is None and beside.is_file():
        description = read_description(beside)
    elif dataset is None:
        raise SegForgeError(f"{beside} is missing, which says what the label values mean. Name the data set with -d.")
    else:
        place = find_workspace(workspace)
        description = read_description(place.raw_folder(place.dataset_name(str(dataset))) / DESCRIPTION)
    summary = evaluate_folders(references, predictions, description.label_scheme, *executor_for(workers))
    path = predictions / SUMMARY
    if path.is_file() and Summary.read(path).made_from:
        log.info("%s is a training's validation and stays as it is.", path)
    else:
        summary.write(path)
    return summary
