"""Which trained model a user means, with as few words as they gave."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segforge.dataset.description import DatasetDescription
from segforge.errors import SegForgeError
from segforge.experiment.candidates import nearest_word, trained_models
from segforge.experiment.previous_stage import find_previous_model
from segforge.experiment.selection import FILE_NAME, Selection
from segforge.inference.postprocessing import Postprocessing
from segforge.networks.model_folder import PLANS, ModelFolder
from segforge.training.settings import TrainingSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """What to predict with.

    Attributes:
        models: One model, or several whose probabilities are averaged.
        folds: Their folds; None takes all that are trained.
        postprocessing: Steps for the label maps, if they were determined.
    """

    models: tuple[ModelFolder, ...]
    folds: tuple[str, ...] | None = None
    postprocessing: Postprocessing | None = None

    @property
    def description(self) -> DatasetDescription:
        """The description of the data set that the models were trained on."""
        return self.models[0].description


def choose_dataset(results: Path, elsewhere: Sequence[str] = ()) -> str:
    """The only data set with a trained model.

    Args:
        results: The results of a workspace.
        elsewhere: Folder names of data sets with models in other places.

    Raises:
        SegForgeError: If there is none or more than one; lists the choices.
    """
    folders = results.iterdir() if results.is_dir() else []
    names = sorted({folder.name for folder in folders if trained_models(folder)} | set(elsewhere))
    if not names:
        raise SegForgeError(f"{results} has no trained model. Train one first: segforge train DATASET CONFIGURATION FOLD")
    if len(names) > 1:
        raise SegForgeError(f"Several data sets have trained models: {', '.join(names)}. Choose one with -d.")
    return names[0]


def choose(folder: Path, *, configuration: str | None = None, plans: str | None = None, name: str | None = None) -> Choice:
    """What to predict with.

    Args:
        folder: A model's folder; or a data set's results folder, of which the selection is taken if nothing else is said, or
            the only model that fits.
        configuration: Its configuration.
        plans: Its plans.
        name: Its name.

    Raises:
        SegForgeError: If none or several fit; lists them.
    """
    if (folder / PLANS).is_file():
        return Choice((ModelFolder(folder),))
    if not (name or plans or configuration) and (folder / FILE_NAME).is_file():
        return _selected(folder)
    fitting = fitting_models(folder, configuration=configuration, plans=plans, name=name)
    if len(fitting) == 1:
        return Choice((fitting[0],))
    names = ", ".join(model.path.name for model in fitting)
    raise SegForgeError(
        f"Several trained models fit: {names}. Run segforge find-best -d {folder.name}, or choose with -c, -p, --name."
    )


def has_choice(folder: Path, *, configuration: str | None = None, plans: str | None = None, name: str | None = None) -> bool:
    """Whether a data set's results hold anything that fits, one model or several."""
    asked = (name, plans, configuration)
    return (not any(asked) and (folder / FILE_NAME).is_file()) or any(_fits(model, asked) for model in trained_models(folder))


def _selected(results: Path) -> Choice:
    again = f"Run segforge find-best -d {results.name} again."
    try:
        selection = Selection.read(results / FILE_NAME)
    except SegForgeError as error:
        raise SegForgeError(f"{error} {again}") from error
    models = tuple(ModelFolder(results / model) for model in selection.models)
    if gone := [str(model.path) for model in models if not (model.path / PLANS).is_file()]:
        raise SegForgeError(f"{results / FILE_NAME} names {' and '.join(gone)}, which is no model any more. {again}")
    log.info(
        "Using the selection of find-best: %s%s.",
        " and ".join(selection.models),
        ", with postprocessing" if selection.postprocessing.steps else "",
    )
    return Choice(models, selection.folds, selection.postprocessing)


def previous_model_of(model: ModelFolder) -> ModelFolder | None:
    """The model of the previous stage that a cascade was trained with; None for all others."""
    plans = model.plans
    _, chosen = model.configuration(plans)
    if chosen.previous_stage is None:
        return None
    if model.settings_path.is_file() and (known := TrainingSettings.read(model.settings_path).previous_model):
        return ModelFolder(model.path.parent / known)
    return find_previous_model(
        model.path.parent, chosen.previous_stage, name=model.path.name.split("__", maxsplit=1)[0], plans=plans.name
    )


def fitting_models(
    results: Path, *, configuration: str | None = None, plans: str | None = None, name: str | None = None
) -> list[ModelFolder]:
    """All trained models of a data set of this configuration, plans and name, where they are given.

    Raises:
        SegForgeError: If there is none; lists those that there are.
    """
    models = trained_models(results)
    asked = {"name": name, "plans": plans, "configuration": configuration}
    if fitting := [model for model in models if _fits(model, list(asked.values()))]:
        return fitting
    if not models:
        raise SegForgeError(
            f"{results} has no trained model. Name a model's folder or a data set's results, or train one first: "
            "segforge train DATASET CONFIGURATION FOLD"
        )
    wanted = " ".join(f"{key} {value}" for key, value in asked.items() if value)
    hint = next((hint for value in asked.values() if value and (hint := nearest_word(value, models))), "")
    have = ", ".join(model.path.name for model in models)
    raise SegForgeError(f"{results} has no trained model with {wanted}.{hint} Trained: {have}.")


def _fits(model: ModelFolder, asked: Sequence[str | None]) -> bool:
    parts = model.path.name.split("__")
    return len(parts) == 3 and all(value in (None, part) for value, part in zip(asked, parts, strict=True))
