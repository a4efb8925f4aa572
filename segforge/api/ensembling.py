"""`segforge ensemble` as a function."""

from collections.abc import Sequence
from pathlib import Path

from segforge.compute.executors import executor_for
from segforge.dataset.description import FILE_NAME, DatasetDescription, read_description
from segforge.errors import SegForgeError
from segforge.experiment.averaged_folders import AverageSettings, average_folders
from segforge.inference.finished_cases import PredictionRecord, record_files
from segforge.inference.probabilities import ProbabilityType
from segforge.workspace import find_workspace


def ensemble(
    predictions: Sequence[Path],
    output: Path,
    *,
    dataset: int | str | None = None,
    model: Path | None = None,
    description: Path | None = None,
    probabilities: ProbabilityType | None = None,
    workers: int | None = None,
    workspace: Path | None = None,
) -> int:
    """Average the probabilities of several folders of predictions, and write the label maps; goes on where it stopped.

    Args:
        predictions: Folders with `CASE.npz` for the same cases, by `predict` with probabilities, or by nnU-Net.
        output: Another folder.
        dataset: Number or name of the data set, which says what heads and label values mean; None looks for a `dataset.json`
            in the folders, or for the model that they were predicted with.
        model: A model's folder that says it, instead.
        description: A `dataset.json`, instead.
        probabilities: Type in which the mean probabilities are written as `CASE.npz` too; None for none.
        workers: Worker processes; None works in threads, one per core, and 0 in this thread.
        workspace: The workspace folder; None finds it.

    Returns:
        Number of cases that had to be averaged.

    Raises:
        SegForgeError: If a folder is missing or has no probabilities, or nothing says what they mean.
        CasesFailed: If cases failed; names each. The others are written.
    """
    if len(predictions) < 2:
        raise SegForgeError("An ensemble needs two folders of predictions or more: segforge ensemble -i A B -o OUTPUT.")
    given = [word for word, value in (("-d", dataset), ("-m", model), ("-djfile", description)) if value is not None]
    if len(given) > 1:
        raise SegForgeError(f"{' and '.join(given)} each say what the labels mean. Give one of them.")
    if dataset is not None:
        place = find_workspace(workspace)
        description = place.raw_folder(place.dataset_name(str(dataset))) / FILE_NAME
    elif model is not None:
        description = model / FILE_NAME
    meaning = read_description(description) if description is not None else _description_of(predictions)
    return average_folders(predictions, AverageSettings(output, meaning, probabilities), *executor_for(workers))


def _description_of(folders: Sequence[Path]) -> DatasetDescription:
    """What the folders themselves say about their labels.

    Raises:
        SegForgeError: If they say nothing, or different things.
    """
    found = {path: read_description(path) for folder in folders if (path := _description_path(folder))}
    if not found:
        raise SegForgeError(
            f"Nothing in {' and '.join(map(str, folders))} says what the labels mean. "
            "Name the data set with -d, the model's folder with -m, or a dataset.json with -djfile."
        )
    first, *others = found
    for other in others:
        if found[other].label_scheme != found[first].label_scheme:
            raise SegForgeError(
                f"{first} and {other} have different labels, and such predictions have no average. Leave one folder out."
            )
    return found[first]


def _description_path(folder: Path) -> Path | None:
    """The `dataset.json` in a folder of predictions, else that of the model that they were predicted with."""
    if (folder / FILE_NAME).is_file():
        return folder / FILE_NAME
    records = [PredictionRecord.read(path) for path in record_files(folder)]
    models = [Path(name) / FILE_NAME for record in records for name in record.model.split(" and ")]
    return next((path for path in models if path.is_file()), None)
