"""The trained models of a data set that compete to be selected, and the folds that they are compared on."""

import logging
from collections.abc import Sequence
from pathlib import Path

from segforge.dataset.splits import FOLDS
from segforge.errors import SegForgeError, did_you_mean
from segforge.networks.model_folder import ModelFolder

log = logging.getLogger(__name__)

ENSEMBLES = "ensembles"
"""Folder of the averages' label maps, below the results."""

SELECTION = "selection.json"
"""File of the choice of the best, in the results."""

_ORDER = ("2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres")


def trained_models(results: Path) -> list[ModelFolder]:
    """The models with at least one trained fold, in the method's order of configurations."""
    folders = sorted(results.glob("*__*__*")) if results.is_dir() else []
    models = [ModelFolder(folder) for folder in folders]
    return sorted((model for model in models if model.trained_folds()), key=_place)


def competing_models(
    results: Path,
    *,
    configurations: Sequence[str] | None = None,
    plans: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
) -> list[ModelFolder]:
    """The trained models of some configurations, plans and names, in the method's order; None takes all.

    Raises:
        SegForgeError: If nothing is trained, or nothing has one of the words; lists what is trained.
    """
    models = trained_models(results)
    if not models:
        raise SegForgeError(f"{results} has no trained model. Train one with: segforge train {results.name} 3d_fullres 0")
    fitting = models
    for position, (what, asked) in enumerate((("name", names), ("plans", plans), ("configuration", configurations))):
        for word in asked or ():
            if not any(parts_of(model)[position] == word for model in models):
                hint = nearest_word(word, models)
                raise SegForgeError(f"No trained model has the {what} {word}.{hint} Trained: {_listed(models)}.")
        fitting = [model for model in fitting if asked is None or parts_of(model)[position] in asked]
    if not fitting:
        raise SegForgeError(f"No trained model has all that was asked for together. Trained: {_listed(models)}. Ask for less.")
    return fitting


def nearest_word(word: str, models: Sequence[ModelFolder]) -> str:
    """` Did you mean X?` for what may be a misspelt name, plans or configuration of a trained model; nothing for others."""
    known = {part for model in models for part in parts_of(model)}
    return "" if word in {*known, *_ORDER} else did_you_mean(word, sorted(known))


def parts_of(model: ModelFolder) -> tuple[str, str, str]:
    """Name, plans and configuration of a model."""
    name, plans, configuration = model.path.name.split("__", maxsplit=2)
    return name, plans, configuration


def training_command(model: ModelFolder, fold: int | str) -> str:
    """How to train a fold of a model."""
    name, plans, configuration = parts_of(model)
    options = (f" -p {plans}" if plans != "default" else "") + (f" --name {name}" if name != "default" else "")
    return f"segforge train {model.path.parent.name} {configuration} {fold}{options}"


def folds_to_compare(models: Sequence[ModelFolder], asked: Sequence[str] | None, planned: int = FOLDS) -> list[str]:
    """The folds that are asked for, else those that all models have; says which, and how to train the rest.

    Args:
        models: The models.
        asked: The folds; None takes those that every model has trained.
        planned: Number of folds of the data set.

    Raises:
        SegForgeError: If a model lacks one that is asked for, or they have none in common.
    """
    chosen = list(dict.fromkeys(asked)) if asked else _common_folds(models)
    for model in models:
        model.folds_to_use(chosen)
    log.info("Comparing %s on folds %s.", _listed(models), ", ".join(chosen))
    if chosen == ["all"]:
        log.warning("Fold all was validated on the cases that it was trained on: its scores say nothing about new ones.")
        return chosen
    for model in models:
        if rest := [str(fold) for fold in range(planned) if str(fold) not in model.trained_folds()]:
            log.info("For the rest: %s, FOLD %s.", training_command(model, "FOLD"), ", ".join(rest))
    return chosen


def _common_folds(models: Sequence[ModelFolder]) -> list[str]:
    """The folds that every model has trained; `all` only where there is nothing else."""
    trained = {model.path.name: model.trained_folds() for model in models}
    common = [fold for fold in models[0].trained_folds() if all(fold in folds for folds in trained.values())]
    if not common:
        have = "; ".join(f"{name} has {', '.join(folds)}" for name, folds in trained.items())
        raise SegForgeError(
            f"The trained models have no fold in common: {have}. Train a common one, or choose models with -c, -p, --names."
        )
    return [fold for fold in common if fold != "all"] or common


def _place(model: ModelFolder) -> tuple[int, str]:
    configuration = parts_of(model)[2]
    return (_ORDER.index(configuration) if configuration in _ORDER else len(_ORDER)), model.path.name


def _listed(models: Sequence[ModelFolder]) -> str:
    return ", ".join(model.path.name for model in models)
