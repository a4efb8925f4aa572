"""A trained model is a folder: what lies where in it."""

from dataclasses import dataclass
from pathlib import Path

from segforge.dataset.description import FILE_NAME, DatasetDescription, read_description
from segforge.errors import SegForgeError
from segforge.planning.plans import Configuration, Plans

FINAL = "checkpoint_final.safetensors"
BEST = "checkpoint_best.safetensors"
LATEST = "checkpoint_latest.safetensors"
PREVIOUS = "checkpoint_previous.safetensors"


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
    def validation(self) -> Path:
        """The folder of its validation's predictions and `summary.json`."""
        return self.path / "validation"


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
        return Plans.read(self.path / "plans.json")

    @property
    def description(self) -> DatasetDescription:
        """The description of the data set that it was trained on."""
        return read_description(self.path / FILE_NAME)

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
        found = [folder.name.removeprefix("fold_") for folder in self.path.glob("fold_*") if (folder / FINAL).is_file()]
        return sorted(found, key=lambda fold: (not fold.isdigit(), int(fold) if fold.isdigit() else 0))

    def folds_to_use(self, asked: list[str] | None) -> list[str]:
        """The folds to predict with: those asked for, else all trained ones (`all` only if it is alone).

        Raises:
            SegForgeError: If a fold is not trained, or none is.
        """
        trained = self.trained_folds()
        if asked:
            if missing := [fold for fold in asked if fold not in trained]:
                known = f"Trained: {', '.join(trained)}." if trained else "None is trained."
                raise SegForgeError(f"{self.path} has no final checkpoint of fold {', '.join(missing)}. {known}")
            return asked
        if not trained:
            raise SegForgeError(f"{self.path} has no trained fold (no fold_*/{FINAL}).")
        return [fold for fold in trained if fold != "all"] or trained
