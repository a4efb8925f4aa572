"""`segforge postprocess` as functions."""

from pathlib import Path

from segforge.api.labels import labels_to_score
from segforge.compute.executors import executor_for
from segforge.errors import SegForgeError
from segforge.evaluation.evaluate import pair_folders
from segforge.experiment.postprocessing import determine_steps
from segforge.inference.postprocess_folder import postprocess_folder
from segforge.inference.postprocessing import Postprocessing


def determine_postprocessing(
    predictions: Path,
    references: Path,
    output: Path,
    *,
    dataset: int | str | None = None,
    description: Path | None = None,
    workers: int | None = None,
    workspace: Path | None = None,
) -> Postprocessing:
    """Find the postprocessing that makes predictions better, and write it as `postprocessing.json`.

    Args:
        predictions: Folder of predicted label maps, of cases that the model was not trained on.
        references: Folder of the true ones.
        output: The file to write.
        dataset: Number or name of the data set; None reads `dataset.json` beside the references.
        description: A `dataset.json`, instead.
        workers: Worker processes; None works in threads, one per core, and 0 in this thread.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If a folder or `dataset.json` is missing, or a prediction has no reference.
        CasesFailed: If cases could not be compared; names each.
    """
    if output.suffix != ".json":
        raise SegForgeError(f"Postprocessing is written as JSON; found {output}. Name a file like {output.stem}.json.")
    labels = labels_to_score(references, dataset=dataset, description=description, workspace=workspace)
    found = determine_steps(pair_folders(references, predictions), labels, *executor_for(workers))
    found.write(output)
    return found


def apply_postprocessing(predictions: Path, output: Path, steps: Path, *, workers: int | None = None) -> int:
    """Postprocess a folder of label maps into another one; goes on where it stopped.

    Args:
        predictions: Folder of predicted label maps.
        output: Another folder.
        steps: The `postprocessing.json`.
        workers: Worker processes; None works in threads, one per core, and 0 in this thread.

    Returns:
        Number of cases that had to be postprocessed.

    Raises:
        SegForgeError: If a folder is missing or empty, both are the same, or the steps are not valid.
        CasesFailed: If cases failed; names each. The others are written.
    """
    return postprocess_folder(predictions, output, steps, *executor_for(workers))
