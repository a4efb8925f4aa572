"""`segforge status` as a function."""

from pathlib import Path

from segforge.dataset.cases import open_dataset
from segforge.experiment.status import Status, status_of
from segforge.workspace import find_workspace


def status(dataset: int | str, *, workspace: Path | None = None) -> Status:
    """How far an experiment is, by what lies on the disk; nothing is changed, and no large file is read.

    Args:
        dataset: Number or name of the data set.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If there is no such data set, or plans, folds or settings are damaged.
    """
    place = find_workspace(workspace)
    name = place.dataset_name(str(dataset))
    return status_of(open_dataset(place.raw_folder(name)), place.preprocessed / name, place.results / name)
