"""`segforge plot` as a function."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segforge.compute.executors import Task, executor_for, run_all
from segforge.compute.files import make_folder
from segforge.dataset.cases import RawDataset, open_dataset
from segforge.dataset.scenes import Look, images_of_cases
from segforge.errors import CasesFailed, SegForgeError, did_you_mean
from segforge.evaluation.evaluate import label_files
from segforge.evaluation.pictures import FIGURES, PredictedCase, draw_prediction
from segforge.networks.model_folder import ModelFolder
from segforge.planning.plans import Plans, read_plans
from segforge.preprocessing.pictures import draw_labelled, draw_preprocessed
from segforge.preprocessing.recipe import recipe
from segforge.preprocessing.store import CaseStore
from segforge.workspace import Workspace, find_workspace

KINDS = RAW, PREPROCESSED, PREDICTIONS = ("raw", "preprocessed", "predictions")

_HANDFUL = 5
_AS_IT_IS = Look()

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PictureChoice:
    """Which cases to draw, and of what; None takes what there is.

    Attributes:
        cases: Names of cases; None takes a handful, from the smallest to the largest.
        everything: Whether to draw all cases instead.
        configurations: Configurations, for preprocessed cases and for models.
        plans: Name of the plans.
        name: Name of the training.
        folds: Folds whose held-out cases were predicted.
        predictions: A folder of predictions instead of those of trained models.
        images: Folder of the images that these are of; None takes the data set's.
    """

    cases: Sequence[str] | None = None
    everything: bool = False
    configurations: Sequence[str] | None = None
    plans: str | None = None
    name: str | None = None
    folds: Sequence[int | str] | None = None
    predictions: Path | None = None
    images: Path | None = None


@dataclass(frozen=True)
class _Series:
    """Pictures of one kind.

    Attributes:
        folder: Where they go if the user names no folder.
        draw: Draws a case, given the path and the arguments for the case.
        cases: The arguments of each case that there is.
    """

    folder: Path
    draw: Callable[..., None]
    cases: Mapping[str, tuple[Any, ...]]


@dataclass(frozen=True)
class _Request:
    """What the series are made from."""

    place: Workspace
    raw: RawDataset
    choice: PictureChoice
    look: Look

    @property
    def folder(self) -> Path:
        """Where pictures go that belong to no predictions."""
        return self.place.results / self.raw.folder.name / FIGURES


def plot(
    dataset: int | str,
    *,
    what: Sequence[str] | None = None,
    choice: PictureChoice = PictureChoice(),
    look: Look = _AS_IT_IS,
    output: Path | None = None,
    workers: int | None = None,
    workspace: Path | None = None,
) -> list[Path]:
    """Draw cases of a data set with their labels, a PNG file each.

    Args:
        dataset: Number or name of the data set.
        what: `raw`: the images with their label maps; `preprocessed`: what the network sees; `predictions`: of the held-out
            cases by trained models, beside the label maps. None takes predictions if `choice` names some, else raw.
        choice: Which cases.
        look: Channel, window, outlines or filled.
        output: Folder for the pictures, with a folder in it for each kind if there are several; None takes one in the data
            set's results, or in the predictions that were named.
        workers: Worker processes; None works in threads, one per core, and 0 in this thread.
        workspace: The workspace folder; None finds it.

    Returns:
        The pictures.

    Raises:
        SegForgeError: If there is no such case, configuration, model or folder; says what there is.
        CasesFailed: If cases could not be drawn; names each. The others are drawn.
    """
    place = find_workspace(workspace)
    request = _Request(place, open_dataset(place.raw_folder(place.dataset_name(str(dataset)))), choice, look)
    kinds = what or [PREDICTIONS if choice.predictions else RAW]
    if unknown := [kind for kind in kinds if kind not in _SERIES]:
        raise SegForgeError(f"--what {unknown[0]} is unknown.{did_you_mean(unknown[0], KINDS)} Choose from {', '.join(KINDS)}.")
    series = [one for kind in kinds for one in _SERIES[kind](request)]
    tasks = [task for one in series for task in _tasks(one, request, _folder(one, output, len(series)))]
    factory, resources = executor_for(workers)
    outcome = run_all(factory, tasks, resources=resources, description="pictures")
    if outcome.failures:
        raise CasesFailed(f"{len(outcome.failures)} of {len(tasks)} pictures failed, the others are drawn:\n{outcome.reasons}")
    return [Path(task.name) for task in tasks]


def _folder(series: _Series, output: Path | None, count: int) -> Path:
    if output is None:
        return series.folder
    return output / series.folder.name if count > 1 else output


def _tasks(series: _Series, request: _Request, folder: Path) -> list[Task[None]]:
    make_folder(folder)
    chosen = _chosen(list(series.cases), request)
    log.info("%d of %d cases into %s.", len(chosen), len(series.cases), folder)
    paths = {case: folder / f"{case}.png" for case in chosen}
    return [Task(str(path), series.draw, (path, *series.cases[case])) for case, path in paths.items()]


def _chosen(there: Sequence[str], request: _Request) -> list[str]:
    """The cases that were asked for, or all, or a handful of all sizes."""
    choice = request.choice
    if choice.cases:
        if missing := [case for case in choice.cases if case not in there]:
            shown = ", ".join(there[:10]) + (f" and {len(there) - 10} more" if len(there) > 10 else "")
            raise SegForgeError(f"There is no case {missing[0]}.{did_you_mean(missing[0], there)} There are: {shown}.")
        return list(choice.cases)
    if choice.everything or len(there) <= _HANDFUL:
        return list(there)
    sizes = {case.id: sum(path.stat().st_size for path in case.files) for case in request.raw.cases}
    ordered = sorted(there, key=lambda case: sizes.get(case, 0))
    places = [round(step * (len(ordered) - 1) / (_HANDFUL - 1)) for step in range(_HANDFUL)]
    return [ordered[place] for place in places]


def _raw(request: _Request) -> list[_Series]:
    cases = {case.id: (case, request.raw.description, request.look) for case in request.raw.cases}
    return [_Series(request.folder / RAW, draw_labelled, cases)]


def _preprocessed(request: _Request) -> list[_Series]:
    folder = request.place.preprocessed / request.raw.folder.name
    plans = read_plans(folder, request.choice.plans or "default")
    names = request.choice.configurations or [
        name for name, configuration in plans.configurations.items() if (folder / configuration.data).is_dir()
    ]
    if not names:
        raise SegForgeError(
            f"{folder} has no preprocessed case of the plans {plans.name}. Make them with: "
            f"segforge preprocess -d {request.raw.folder.name} -p {plans.name}"
        )
    return [_of_configuration(request, folder, plans, name) for name in names]


def _of_configuration(request: _Request, folder: Path, plans: Plans, name: str) -> _Series:
    description, configuration = request.raw.description, plans.configuration(name)
    store = CaseStore(folder / configuration.data, recipe(plans, configuration, description))
    arguments = (description, request.look, store, plans, name)
    cases = {case.id: (case, *arguments) for case in request.raw.cases if store.record(case.id).is_file()}
    if not cases:
        raise SegForgeError(
            f"{store.folder} has no preprocessed case. Make them with: "
            f"segforge preprocess -d {request.raw.folder.name} -c {name} -p {plans.name}"
        )
    return _Series(request.folder / PREPROCESSED / f"{plans.name}_{name}", draw_preprocessed, cases)


def _predictions(request: _Request) -> list[_Series]:
    choice = request.choice
    if choice.predictions is not None:
        return [_predicted(request, choice.predictions / FIGURES, label_files(choice.predictions))]
    if choice.images is not None:
        raise SegForgeError(f"-i {choice.images} goes with a folder of predictions. Add --predictions DIR, or leave -i out.")
    from segforge.experiment.choice import fitting_models  # torch, which pictures of other cases need not

    results = request.place.results / request.raw.folder.name
    models = [
        model
        for configuration in (choice.configurations or (None,))
        for model in fitting_models(results, configuration=configuration, plans=choice.plans, name=choice.name)
    ]
    return [_predicted(request, request.folder / PREDICTIONS / model.path.name, _held_out(model, request)) for model in models]


def _held_out(model: ModelFolder, request: _Request) -> dict[str, Path]:
    """The predictions of the held-out cases of a model's folds."""
    asked = request.choice.folds
    folds = model.folds_to_use(None if asked is None else [str(fold) for fold in asked])
    ending = request.raw.description.output_ending
    paths = {case: model.fold(fold).validation / f"{case}{ending}" for fold in folds for case in model.fold(fold).cases().val}
    if found := {case: path for case, path in sorted(paths.items()) if path.is_file()}:
        return found
    from segforge.experiment.candidates import training_command

    raise SegForgeError(
        f"{model.path} has no validation of fold {', '.join(folds)}. Make it with: "
        f"{training_command(model, folds[0])} --validate-only"
    )


def _predicted(request: _Request, folder: Path, predictions: Mapping[str, Path]) -> _Series:
    """Predictions beside the label maps that are known: those of training, and those in `labelsTs`."""
    raw, home = request.raw, request.raw.folder
    references = {case.id: case.label for case in raw.cases if case.label}
    images = {case.id: case.images for case in raw.cases}
    if request.choice.images is not None:
        images = images_of_cases(request.choice.images)
    elif (home / "imagesTs").is_dir():
        images = images_of_cases(home / "imagesTs") | images
    if (home / "labelsTs").is_dir():
        references = label_files(home / "labelsTs") | references
    labels, names = raw.description.label_scheme, raw.description.channels
    cases = {
        case: (PredictedCase(case, path, references.get(case), images.get(case, ())), labels, request.look, names)
        for case, path in predictions.items()
    }
    return _Series(folder, draw_prediction, cases)


_SERIES: dict[str, Callable[[_Request], list[_Series]]] = {
    RAW: _raw,
    PREPROCESSED: _preprocessed,
    PREDICTIONS: _predictions,
}
