"""`segforge train` and `segforge find-best` as functions."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from segforge.compute.device import resolve_device
from segforge.dataset.cases import open_dataset
from segforge.dataset.description import DatasetDescription
from segforge.dataset.splits import FILE_NAME as SPLITS
from segforge.dataset.splits import cases_of_fold
from segforge.errors import SegForgeError
from segforge.evaluation.summary import Summary
from segforge.experiment.selection import Selection, select_best
from segforge.experiment.validation import validate_fold
from segforge.networks.model_folder import ModelFolder
from segforge.planning.plans import read_plans
from segforge.preprocessing.recipe import recipe
from segforge.preprocessing.store import CaseStore
from segforge.training.run import Training, train_fold
from segforge.training.settings import TrainingSettings
from segforge.workspace import checked_name, find_workspace


@dataclass(frozen=True)
class TrainingOptions:
    """What a user may choose about a training; None takes the plan's or the method's number."""

    epochs: int | None = None
    iterations: int | None = None
    validation_iterations: int | None = None
    batch_size: int | None = None
    seed: int | None = None


def train(
    dataset: int | str,
    configuration: str,
    fold: int | str,
    *,
    plans: str = "default",
    name: str = "default",
    options: TrainingOptions = TrainingOptions(),
    device: str = "auto",
    restart: bool = False,
    workspace: Path | None = None,
) -> Summary:
    """Train one fold and validate it on its held-out cases; goes on where it stopped.

    Args:
        dataset: Number or name of the data set.
        configuration: Name of the configuration.
        fold: Fold number, or `all`.
        plans: Name of the plans.
        name: Name of the training, to keep several apart.
        options: Numbers that differ from the plan's or the method's.
        device: `auto`, `cuda`, `cuda:N`, `mps` or `cpu`.
        restart: Whether to move an earlier result aside and begin anew.
        workspace: The workspace folder; None finds it.

    Returns:
        The validation of the fold.

    Raises:
        SegForgeError: If something that is needed is missing or does not fit; says what to do.
        Interrupted: After SIGINT or SIGTERM; everything done is saved.
    """
    place = find_workspace(workspace)
    dataset_name = place.dataset_name(str(dataset))
    folder = place.preprocessed / dataset_name
    experiment = read_plans(folder, plans)
    chosen = experiment.configuration(configuration)
    if chosen.previous_stage:
        raise SegForgeError(f"{configuration} builds on the predictions of {chosen.previous_stage} and cannot be trained yet.")
    raw = open_dataset(place.raw_folder(dataset_name))
    training = Training(
        model=ModelFolder(
            place.results / dataset_name / ModelFolder.name_of(checked_name(name, "training's name"), plans, configuration)
        ),
        plans=experiment,
        configuration=configuration,
        description=raw.description,
        store=CaseStore(folder / chosen.data, recipe(experiment, chosen, raw.description)),
        fold=str(fold),
        cases=cases_of_fold(folder / SPLITS, str(fold), [case.id for case in raw.cases]),
        settings=_training_settings(options, chosen.batch_size),
        device=resolve_device(device),
    )
    train_fold(training, restart=restart)
    store = _store_of(training.model, folder, raw.description)
    return validate_fold(training.model, training.fold, raw, store, training.device)


def find_best(
    dataset: int | str, *, folds: Sequence[int | str] | None = None, device: str = "auto", workspace: Path | None = None
) -> Selection:
    """Rank the trained models of a data set by cross-validated Dice and select the best for prediction.

    Args:
        dataset: Number or name of the data set.
        folds: Folds to compare on; None takes those that all trained models have.
        device: For validations that are still missing.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If nothing is trained, or the models have no fold in common.
    """
    place = find_workspace(workspace)
    name = place.dataset_name(str(dataset))
    folder = place.preprocessed / name
    raw = open_dataset(place.raw_folder(name))

    def validate(model: ModelFolder, fold: str) -> Summary:
        return validate_fold(model, fold, raw, _store_of(model, folder, raw.description), resolve_device(device))

    asked = [str(fold) for fold in folds or []] or None
    return select_best(place.results / name, raw.description.label_scheme, validate, asked)


def _store_of(model: ModelFolder, preprocessed: Path, description: DatasetDescription) -> CaseStore:
    """The preprocessed cases as a model was trained on them, whatever plans of its name say today."""
    plans = model.plans
    _, configuration = model.configuration(plans)
    return CaseStore(preprocessed / configuration.data, recipe(plans, configuration, description))


def _training_settings(options: TrainingOptions, batch_size: int) -> TrainingSettings:

    given = {key: value for key, value in asdict(options).items() if value is not None}
    return TrainingSettings.parse({"batch_size": batch_size} | given, "The training's settings")
