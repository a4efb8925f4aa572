"""The data set that a user means, with everything that is known of it."""

from pathlib import Path

from segforge.compute.device import resolve_device
from segforge.dataset.cases import open_dataset
from segforge.experiment.kept_logits import DEFAULT_LIMIT
from segforge.experiment.prepared import Prepared
from segforge.workspace import find_workspace


def open_prepared(dataset: int | str, device: str, workspace: Path | None, keep_logits: int = DEFAULT_LIMIT) -> Prepared:
    """The data set of a number or name, where it lies.

    Args:
        dataset: Number or name of the data set.
        device: `auto`, `cuda`, `cuda:N`, `mps` or `cpu`.
        workspace: The workspace folder; None finds it.
        keep_logits: Bytes that the kept logits of all its models may take together.

    Raises:
        SegForgeError: If there is no such data set or device, or files are missing.
    """
    place = find_workspace(workspace)
    name = place.dataset_name(str(dataset))
    raw = open_dataset(place.raw_folder(name))
    return Prepared(raw, place.preprocessed / name, place.results / name, resolve_device(device), keep_logits)
