"""Which trained model a user means, with as few words as they gave."""

import logging
from collections.abc import Sequence
from pathlib import Path

from segforge.errors import SegForgeError
from segforge.experiment.selection import FILE_NAME, Selection, trained_models
from segforge.networks.model_folder import ModelFolder

log = logging.getLogger(__name__)


def choose_dataset(results: Path) -> str:
    """The only data set with a trained model.

    Raises:
        SegForgeError: If there is none or more than one; lists the choices.
    """
    folders = sorted(results.iterdir()) if results.is_dir() else []
    names = [folder.name for folder in folders if trained_models(folder)]
    if not names:
        raise SegForgeError(f"{results} has no trained model. Train one first: segforge train DATASET CONFIGURATION FOLD")
    if len(names) > 1:
        raise SegForgeError(f"Several data sets have trained models: {', '.join(names)}. Choose one with -d.")
    return names[0]


def choose_model(
    results: Path, *, configuration: str | None = None, plans: str | None = None, name: str | None = None
) -> ModelFolder:
    """The model of a data set: by configuration, plans and name where given, else the selection, else the only one.

    Raises:
        SegForgeError: If none or several fit; lists them.
    """
    models = trained_models(results)
    asked = {"name": name, "plans": plans, "configuration": configuration}
    if not any(asked.values()) and (results / FILE_NAME).is_file():
        selected = ModelFolder(results / Selection.read(results / FILE_NAME).model)
        log.info("Using the selection of find-best: %s.", selected.path.name)
        return selected
    fitting = [model for model in models if _fits(model, list(asked.values()))]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(model.path.name for model in fitting)
        raise SegForgeError(
            f"Several trained models fit: {names}. Run segforge find-best -d {results.name}, or choose with -c, -p, --name."
        )
    have = ", ".join(model.path.name for model in models) or "none"
    wanted = " ".join(f"{key} {value}" for key, value in asked.items() if value)
    raise SegForgeError(f"{results} has no trained model{f' with {wanted}' if wanted else ''}. Trained: {have}.")


def _fits(model: ModelFolder, asked: Sequence[str | None]) -> bool:
    parts = model.path.name.split("__")
    return len(parts) == 3 and all(value in (None, part) for value, part in zip(asked, parts, strict=True))
