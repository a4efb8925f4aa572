"""Ranks the trained models of a data set by cross-validated Dice; `selection.json` holds the winner for prediction."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from segforge.compute.documents import Document, NanFloat
from segforge.dataset.labels import LabelScheme
from segforge.dataset.splits import FOLDS
from segforge.errors import SegForgeError
from segforge.evaluation.summary import Summary, summarize
from segforge.networks.model_folder import ModelFolder

log = logging.getLogger(__name__)

FILE_NAME = "selection.json"

_ORDER = ("2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres")

ValidateFold = Callable[[ModelFolder, str], Summary]


class Candidate(Document):
    """One trained model in the ranking.

    Attributes:
        model: Name of its folder.
        dice: Mean foreground Dice over the validation cases of all folds used.
        dice_per_structure: The same by key of the structure.
    """

    model: str
    dice: NanFloat
    dice_per_structure: dict[str, NanFloat]


class Selection(Document):
    """The choice of the best model.

    Attributes:
        version: Version of this schema.
        dataset: Folder name of the data set.
        folds: The folds that all candidates were compared on.
        model: Name of the winner's folder.
        ranking: All candidates, the best first.
    """

    version: Literal[1] = 1
    dataset: str
    folds: tuple[str, ...]
    model: str
    ranking: tuple[Candidate, ...]


def select_best(results: Path, labels: LabelScheme, validate: ValidateFold, folds: Sequence[str] | None = None) -> Selection:
    """Compare all trained models of a data set and write `selection.json`.

    Args:
        results: The data set's results folder.
        labels: Its labels.
        validate: Gives the validation of a model's fold, made now if it is missing.
        folds: Folds to compare on; None takes those that every model has.

    Raises:
        SegForgeError: If nothing is trained, or the models have no fold in common; says what to train.
    """
    models = trained_models(results)
    if not models:
        raise SegForgeError(f"{results} has no trained model. Train one with: segforge train {results.name} 3d_fullres 0")
    chosen = list(folds) if folds else common_folds(models)
    for model in models:
        model.folds_to_use(chosen)
    _advise(models, chosen)
    candidates = [_candidate(model, [validate(model, fold) for fold in chosen], labels) for model in models]
    ranking = sorted(candidates, key=lambda candidate: -candidate.dice if candidate.dice == candidate.dice else 1.0)
    selection = Selection(dataset=results.name, folds=tuple(chosen), model=ranking[0].model, ranking=tuple(ranking))
    selection.write(results / FILE_NAME)
    return selection


def trained_models(results: Path) -> list[ModelFolder]:
    """The models with at least one trained fold, in the method's order of configurations."""
    folders = sorted(results.glob("*__*__*")) if results.is_dir() else []
    models = [ModelFolder(folder) for folder in folders]
    return sorted((model for model in models if model.trained_folds()), key=_place)


def common_folds(models: Sequence[ModelFolder]) -> list[str]:
    """The folds that every model has trained; `all` only where there is nothing else.

    Raises:
        SegForgeError: If there is none; names what each model has.
    """
    trained = {model.path.name: model.trained_folds() for model in models}
    common = [fold for fold in models[0].trained_folds() if all(fold in folds for folds in trained.values())]
    if not common:
        have = "; ".join(f"{name} has {', '.join(folds)}" for name, folds in trained.items())
        raise SegForgeError(f"The trained models have no fold in common: {have}. Train a common one.")
    numbered = [fold for fold in common if fold != "all"]
    if not numbered:
        log.warning("Only fold all is trained: the scores are of cases that were trained on and say nothing about new ones.")
    return numbered or common


def _advise(models: Sequence[ModelFolder], chosen: Sequence[str]) -> None:
    """Say which folds are compared, and how to train the rest of the method's five."""
    log.info("Comparing on folds %s.", ", ".join(chosen))
    for model in models:
        name, plans, configuration = model.path.name.split("__")
        rest = [str(fold) for fold in range(FOLDS) if str(fold) not in model.trained_folds()]
        if rest and chosen != ["all"]:
            options = (f" -p {plans}" if plans != "default" else "") + (f" --name {name}" if name != "default" else "")
            log.info(
                "For the rest: segforge train %s %s FOLD%s, FOLD %s.",
                model.path.parent.name,
                configuration,
                options,
                ", ".join(rest),
            )


def _candidate(model: ModelFolder, summaries: Sequence[Summary], labels: LabelScheme) -> Candidate:
    cases = [case for summary in summaries for case in summary.metric_per_case]
    summary = summarize(cases, labels)
    per_structure = {key: values["Dice"] for key, values in summary.mean.items()}
    return Candidate(model=model.path.name, dice=summary.dice, dice_per_structure=per_structure)


def _place(model: ModelFolder) -> tuple[int, str]:
    configuration = model.path.name.rsplit("__", 1)[-1]
    return (_ORDER.index(configuration) if configuration in _ORDER else len(_ORDER)), model.path.name
