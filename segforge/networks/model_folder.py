"""A trained model is a folder: what lies where in it."""

import re
from dataclasses import dataclass
from pathlib import Path

from segforge.compute.documents import read_json
from segforge.dataset.description import FILE_NAME, DatasetDescription, read_description
from segforge.dataset.splits import Fold
from segforge.errors import SegForgeError
from segforge.planning.fingerprint import FILE_NAME as FINGERPRINT
from segforge.planning.fingerprint import Fingerprint
from segforge.planning.plans import Configuration, Plans

FINAL = "checkpoint_final.safetensors"
BEST = "checkpoint_best.safetensors"
LATEST = "checkpoint_latest.safetensors"
PREVIOUS = "checkpoint_previous.safetensors"

PLANS = "plans.json"
NEXT_STAGE = "predicted_next_stage"

_FOLD = re.compile(r"fold_(0|[1-9][0-9]*|all)")


@dataclass(frozen=True)
class FoldFolder:
    """The folder of one fold.

    Attributes:
        path: The folder.
        fold: Fold number, or `all`.
    """

    path: Path
    fold: str

    @property
    def is_trained(self) -> bool:
        """Whether its training has ended."""
        return (self.path / FINAL).is_file()

    @property
    def cases_path(self) -> Path:
        """File of the cases that it trains on and those that it is validated on."""
        return self.path / "cases.json"

    def cases(self) -> Fold:
        """The cases that it trains on and those that it is validated on.

        Raises:
            SegForgeError: If they were not written down, or the file is damaged.
        """
        try:
            return Fold.model_validate(read_json(self.cases_path))
        except ValueError as error:
            raise SegForgeError(f'{self.cases_path} must hold {{"train": [...], "val": [...]}} with case names.') from error

    @property
    def validation(self) -> Path:
        """The folder of its validation's predictions and `summary.json`."""
        return self.validation_of(FINAL)

    def validation_of(self, checkpoint: str) -> Path:
        """The folder of the validation of one of its checkpoints, by file name."""
        return self.path / ("validation_best" if checkpoint == BEST else "validation")


class ModelFolder:
    """`NAME__PLANS__CONFIGURATION/` with `plans.json`, `dataset.json`, `settings.json` and a folder for each fold."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def name_of(name: str, plans: str, configuration: str) -> str:
        """Folder name of a training."""
        return f"{name}__{plans}__{configuration}"

    @property
    def plans(self) -> Plans:
        """The plans, with this model's configuration first and then only those that it builds on."""
        return Plans.read(self.path / PLANS)

    @property
    def description(self) -> DatasetDescription:
        """The description of the data set that it was trained on."""
        return read_description(self.path / FILE_NAME)

    def next_stage(self, configuration: str) -> Path:
        """The folder of its predictions as a configuration that builds on it sees them."""
        return self.path / NEXT_STAGE / configuration

    @property
    def fingerprint_path(self) -> Path:
        """File of the fingerprint of the data set that it was trained on; older models lack it."""
        return self.path / FINGERPRINT

    @property
    def fingerprint(self) -> Fingerprint | None:
        """That fingerprint, if it is there."""
        return Fingerprint.read(self.fingerprint_path) if self.fingerprint_path.is_file() else None

    @property
    def settings_path(self) -> Path:
        """File of the settings that all folds share."""
        return self.path / "settings.json"

    def configuration(self, plans: Plans) -> tuple[str, Configuration]:
        """Name and content of the model's configuration."""
        return next(iter(plans.configurations.items()))

    def fold(self, fold: int | str) -> FoldFolder:
        """The folder of one fold, trained or not."""
        return FoldFolder(self.path / f"fold_{fold}", str(fold))

    def trained_folds(self) -> list[str]:
        """Folds whose training has ended, in order; `all` comes last."""
        return [fold for fold in self.begun_folds() if self.fold(fold).is_trained]

    def begun_folds(self) -> list[str]:
        """Folds whose training has begun or ended, in order; `all` comes last. Results that were moved aside do not count."""
        names = [match[1] for folder in self.path.glob("fold_*") if (match := _FOLD.fullmatch(folder.name))]
        found = [name for name in names if self.fold(name).cases_path.is_file() or self.fold(name).is_trained]
        return sorted(found, key=lambda fold: (fold == "all", 0 if fold == "all" else int(fold)))

    def folds_to_use(self, asked: list[str] | None, checkpoint: str = FINAL) -> list[str]:
        """The folds to predict with: those asked for, else all that have the checkpoint (`all` only if it is alone).

        Raises:
            SegForgeError: If a fold has no such checkpoint, or none has.
        """
        there = [fold for fold in self.begun_folds() if (self.fold(fold).path / checkpoint).is_file()]
        if asked:
            if missing := [fold for fold in asked if fold not in there]:
                known = f"There is one of {', '.join(there)}." if there else "There is none; train the fold first."
                raise SegForgeError(f"{self.path} has no {checkpoint} of fold {', '.join(missing)}. {known}")
            return asked
        if not there:
            raise SegForgeError(
                f"{self.path} has no trained fold (no fold_*/{checkpoint}). Train one first: "
                "segforge train DATASET CONFIGURATION FOLD"
            )
        return [fold for fold in there if fold != "all"] or there
