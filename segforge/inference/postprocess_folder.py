"""Postprocesses a folder of label maps into another one; what is done with the same steps stays."""

import logging
from pathlib import Path

import numpy as np

from segforge.compute.executors import ExecutorFactory, Resources, Task, run_all
from segforge.compute.files import file_hash
from segforge.errors import CasesFailed, SegForgeError
from segforge.evaluation.evaluate import label_files
from segforge.images.files import files_of, read_labels, write_volume
from segforge.inference.finished_cases import FinishedCases
from segforge.inference.postprocessing import Postprocessing, read_postprocessing

log = logging.getLogger(__name__)


def postprocess_folder(predictions: Path, output: Path, steps: Path, factory: ExecutorFactory, resources: Resources) -> int:
    """Postprocess every label map of a folder, and write it under its own name.

    Args:
        predictions: The folder.
        output: Another folder.
        steps: A `postprocessing.json`.
        factory: Opens an executor.
        resources: What to ask of it.

    Returns:
        Number of cases that had to be postprocessed.

    Raises:
        SegForgeError: If a folder is missing or empty, both are the same, or the steps are not valid.
        CasesFailed: If cases failed; names each. The others are written.
    """
    postprocessing = read_postprocessing(steps)
    paths = list(label_files(predictions).values())
    if output.resolve() == predictions.resolve():
        raise SegForgeError(f"{output} holds the predictions themselves. Choose another folder for the results.")
    finished = FinishedCases(output, str(steps), {"postprocessing": file_hash(steps)})
    due = [path for path in paths if not finished.has(path.name, files_of(path), output / path.name)]
    if len(due) < len(paths):
        log.info("%d of %d cases are postprocessed already.", len(paths) - len(due), len(paths))
    tasks = [Task(path.name, _postprocess, (path, output / path.name, postprocessing)) for path in due]
    outcome = run_all(factory, tasks, resources=resources, description="postprocessing")
    for path in due:
        if path.name in outcome.results:
            finished.add(path.name, files_of(path), output / path.name)
    if outcome.failures:
        raise CasesFailed(
            f"{len(outcome.failures)} of {len(paths)} cases failed, the others are in {output}:\n{outcome.reasons}"
        )
    return len(due)


def _postprocess(source: Path, target: Path, postprocessing: Postprocessing) -> None:
    image = read_labels(source)
    labels = postprocessing.apply(image.array[0])
    smallest = np.result_type(np.min_scalar_type(labels.min()), np.min_scalar_type(labels.max()))
    write_volume(target, labels.astype(smallest if labels.dtype == np.int64 else labels.dtype), image.geometry)
