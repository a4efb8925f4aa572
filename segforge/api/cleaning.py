"""`segforge clean` as a function."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from segforge.errors import SegForgeError
from segforge.experiment.candidates import ENSEMBLES
from segforge.experiment.kept_logits import kept_folders
from segforge.networks.model_folder import NEXT_STAGE
from segforge.planning.plans import Plans, plans_path
from segforge.workspace import find_workspace


@dataclass(frozen=True)
class Replaceable:
    """Something that can be made again.

    Attributes:
        path: The folder.
        bytes: Its size on disk.
        remedy: The command that makes it again.
    """

    path: Path
    bytes: int
    remedy: str


def clean(dataset: int | str, *, remove: bool = False, workspace: Path | None = None) -> list[Replaceable]:
    """What can be made again of a data set: preprocessed cases, kept predictions for ensembles and cascades, averages.

    Fingerprint, folds, plans, weights and validations are never touched.

    Args:
        dataset: Number or name of the data set.
        remove: Whether to remove it.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If the raw data are not there, plans are damaged, or something cannot be removed.
    """
    place = find_workspace(workspace)
    name = place.dataset_name(str(dataset))
    place.raw_folder(name)  # without raw data nothing can be made again
    folder = place.preprocessed / name
    found = [
        Replaceable(folder / data, _size(folder / data), f"segforge preprocess -d {dataset} -c {configuration} -p {plans}")
        for data, (plans, configuration) in sorted(_makers(folder).items())
        if (folder / data).is_dir()
    ]
    found += _predictions(place.results / name, dataset)
    for item in found if remove else ():
        _remove(item.path)
    return found


def _predictions(results: Path, dataset: int | str) -> list[Replaceable]:
    """Kept logits, maps for the next stage of a cascade, averages; all come from checkpoints, without training."""
    logits = [
        Replaceable(folder, _size(folder), f"segforge find-best -d {dataset}, when it needs them")
        for folder in kept_folders(results)
    ]
    maps = [
        Replaceable(folder, _size(folder), f"segforge train {dataset} {folder.name} FOLD")
        for folder in sorted(results.glob(f"*/{NEXT_STAGE}/*/"))
    ]
    averages = [
        Replaceable(folder, _size(folder), f"segforge find-best -d {dataset}")
        for folder in sorted((results / ENSEMBLES).glob("*/"))
    ]
    return logits + maps + averages


def _makers(folder: Path) -> dict[str, tuple[str, str]]:
    """The data folders of all plans, and plans and configuration that make each."""
    makers: dict[str, tuple[str, str]] = {}
    for path in sorted(plans_path(folder, "*").parent.glob("*.json")):
        for name, configuration in Plans.read(path).configurations.items():
            makers.setdefault(configuration.data, (path.stem, name))
    return makers


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _remove(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise SegForgeError(
            f"{error.filename} could not be removed: {error.strerror}. Check who uses it and its permissions, and type the "
            "command again."
        ) from error
