"""Where raw data, preprocessed data and results lie, and which folder a data set's number means."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from segforge.errors import SegForgeError, did_you_mean

_NAME = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")
_FOLDER = re.compile(r"Dataset(\d{3,})_(.+)")
_KINDS = ("raw", "preprocessed", "results")


@dataclass(frozen=True)
class Workspace:
    """A folder with `raw/`, `preprocessed/`, `results/` and `pretrained/`.

    Attributes:
        root: The folder.
        more_raw: A further place for raw data sets (nnU-Net's `nnUNet_raw`); nothing is written there.
        more_preprocessed: A further place for folds (`nnUNet_preprocessed`); nothing is written there.
        more_results: A further place for models, of nnU-Net's alone (`nnUNet_results`); nothing is written there.
    """

    root: Path
    more_raw: Path | None = None
    more_preprocessed: Path | None = None
    more_results: Path | None = None

    @property
    def raw(self) -> Path:
        """Raw data sets."""
        return self.root / "raw"

    @property
    def preprocessed(self) -> Path:
        """Fingerprints, plans, folds and preprocessed cases."""
        return self.root / "preprocessed"

    @property
    def results(self) -> Path:
        """Trained models and selections."""
        return self.root / "results"

    @property
    def pretrained(self) -> Path:
        """Weights from elsewhere to begin trainings with."""
        return self.root / "pretrained"

    @property
    def absolute(self) -> "Workspace":
        """The same for processes with other current folders."""
        return replace(self, root=self.root.resolve())

    def dataset_name(self, dataset: str) -> str:
        """The folder name for a data set's number, name, or folder name.

        Raises:
            SegForgeError: If there is none or more than one; names what there is.
        """
        names = self.dataset_names()
        found = [name for name in names if _matches(name, dataset)]
        if len(found) == 1:
            return found[0]
        if found:
            raise SegForgeError(f"{dataset} may mean {' or '.join(found)}. Give one of them its own number.")
        known = f"There are: {', '.join(names)}.{did_you_mean(dataset, names)}" if names else "There is none yet."
        raise SegForgeError(
            f"No data set {dataset} in {self.raw}. {known} A data set is a folder like {self.raw}/Dataset004_Name."
        )

    def dataset_names(self) -> list[str]:
        """Folder names of all data sets that are raw, preprocessed or trained on."""
        places = [self.raw, self.preprocessed, self.results, self.more_raw, self.more_results]
        folders = [folder for place in places if place and place.is_dir() for folder in place.iterdir()]
        return sorted({folder.name for folder in folders if folder.is_dir() and _FOLDER.fullmatch(folder.name)})

    def raw_folder(self, name: str) -> Path:
        """The raw folder of a data set.

        Raises:
            SegForgeError: If it is in no place, or in two.
        """
        places = [self.raw, *([self.more_raw] if self.more_raw else [])]
        found = [place / name for place in places if (place / name).is_dir()]
        if len(found) == 2 and not found[0].samefile(found[1]):
            raise SegForgeError(f"{name} is in two places: {found[0]} and {found[1]}. Remove or rename one.")
        if not found:
            raise SegForgeError(
                f"The raw data of {name} are in none of {', '.join(map(str, places))}. Put them there, or a link to them."
            )
        return found[0]

    def new_raw_folder(self, number: int, name: str) -> Path:
        """The folder in `raw/` for a new data set; it may be there, as a conversion goes on where it stopped.

        Raises:
            SegForgeError: If another data set has the number, or the name cannot be part of a folder's name.
        """
        folder = f"Dataset{number:03d}_{checked_name(name, 'name of the data set')}"
        taken = [other for other in self.dataset_names() if other != folder and _matches(other, str(number))]
        if self.more_raw and self.more_raw.resolve() != self.raw.resolve() and (self.more_raw / folder).exists():
            taken.append(str(self.more_raw / folder))
        if taken:
            raise SegForgeError(f"The number {number} belongs to {taken[0]}. Give the new data set another one with -d.")
        return self.raw / folder


def checked_name(name: str, what: str) -> str:
    """A name that a user chose for plans or trainings, if it can be part of a folder's name.

    Raises:
        SegForgeError: If it cannot; `__` is refused too, which separates the parts of a model's folder.
    """
    if _NAME.fullmatch(name):
        return name
    raise SegForgeError(
        f"The {what} {name!r} cannot be part of a folder name: "
        "use letters and digits, with single '.', '_' or '-' between them."
    )


def find_workspace(folder: Path | None = None) -> Workspace:
    """The workspace a user means: `folder`, else `SEGFORGE_WORKSPACE`, else the current folder if it has `raw/`.

    Raises:
        SegForgeError: If there is none; says how to make one.
    """
    theirs = [Path(value) if (value := os.environ.get(f"nnUNet_{kind}")) else None for kind in _KINDS]
    if folder is None and os.environ.get("SEGFORGE_WORKSPACE"):
        folder = Path(os.environ["SEGFORGE_WORKSPACE"])
    if folder is not None:
        if not folder.is_dir():
            raise SegForgeError(f"The workspace {folder} does not exist. Make it with: mkdir -p {folder}/raw")
        return Workspace(folder, *theirs)
    here = Path.cwd()
    if (here / "raw").is_dir():
        return Workspace(here, *theirs)
    raise SegForgeError(
        f"{here} is no workspace: it has no folder raw/. Go to a folder that has raw/DatasetXXX_Name, "
        "name one with --workspace or SEGFORGE_WORKSPACE, or make one here: mkdir raw"
    )


def _matches(folder: str, dataset: str) -> bool:
    parts = _FOLDER.fullmatch(folder)
    assert parts is not None  # only such folders are listed
    number, name = parts.groups()
    return dataset in (folder, name) or (dataset.isdigit() and int(dataset) == int(number))
