"""Each command as a function: `from segforge import plan, train, find_best, predict, evaluate, load`."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from segforge.compute.executors import ExecutorFactory, Resources, available_cores, inline, processes, threads
from segforge.compute.files import write_text
from segforge.dataset.cases import find_cases, open_dataset
from segforge.dataset.description import FILE_NAME as DESCRIPTION
from segforge.dataset.description import read_description
from segforge.dataset.splits import FILE_NAME as SPLITS
from segforge.dataset.splits import fold_cases, provide_splits, read_splits
from segforge.errors import SegForgeError
from segforge.planning.extraction import extract_fingerprint
from segforge.planning.planner import Planner
from segforge.planning.plans import Plans, plans_path
from segforge.planning.settings import PlannerSettings
from segforge.preprocessing.run import preprocess_dataset
from segforge.preprocessing.store import CaseStore
from segforge.workspace import find_workspace

if TYPE_CHECKING:
    from segforge.evaluation.summary import Summary
    from segforge.experiment.selection import Selection
    from segforge.inference.predictor import Predictor
    from segforge.networks.model_folder import ModelFolder
    from segforge.training.settings import TrainingSettings

log = logging.getLogger(__name__)

FINGERPRINT = "dataset_fingerprint.json"
PREPROCESSED = ("2d", "3d_fullres")


def plan(
    dataset: int | str,
    *,
    settings: PlannerSettings | None = None,
    configurations: Sequence[str] | None = None,
    preprocess: bool = True,
    workers: int | None = None,
    workspace: Path | None = None,
) -> Plans:
    """Take a data set's fingerprint, plan the experiment, and preprocess it.

    Args:
        dataset: Number or name of the data set.
        settings: What to decide instead of the planner.
        configurations: Configurations to preprocess; None takes 2d and 3d_fullres, as far as they are planned.
        preprocess: Whether to preprocess at all.
        workers: Worker processes; None works in threads, one per core, and 0 in this thread.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If files are missing or wrong; names them.
        CasesFailed: If cases failed; names each.
    """
    place = find_workspace(workspace)
    name = place.dataset_name(str(dataset))
    raw = open_dataset(place.raw_folder(name))
    folder = place.preprocessed / name
    factory, resources = _executor(workers)
    fingerprint = extract_fingerprint(raw, factory, resources)
    fingerprint.write(folder / FINGERPRINT)
    provide_splits(raw.folder, folder, [case.id for case in raw.cases])
    planned = Planner(settings).plan(fingerprint, raw.description, name)
    path = plans_path(folder, planned.plans.name)
    planned.plans.write(path)
    write_text(path.with_suffix(".md"), planned.explanation)
    log.info("Plans %s: %s.", path, ", ".join(planned.plans.configurations))
    if preprocess:
        chosen = list(configurations or [c for c in PREPROCESSED if c in planned.plans.configurations])
        count = preprocess_dataset(raw, planned.plans, chosen, folder, factory, resources)
        log.info("Preprocessed %d cases for %s.", count, ", ".join(chosen))
    return planned.plans


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
) -> "Summary":
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
    from segforge.compute.device import resolve_device
    from segforge.experiment.validation import validate_fold
    from segforge.networks.model_folder import ModelFolder
    from segforge.training.run import restart_fold, train_fold

    place = find_workspace(workspace)
    dataset_name = place.dataset_name(str(dataset))
    folder = place.preprocessed / dataset_name
    read_plans = _read_plans(folder, plans, dataset_name)
    chosen = read_plans.configuration(configuration)
    if chosen.previous_stage:
        raise SegForgeError(f"{configuration} builds on the predictions of {chosen.previous_stage} and cannot be trained yet.")
    raw = open_dataset(place.raw_folder(dataset_name))
    cases = [case.id for case in raw.cases]
    splits = read_splits(folder / SPLITS, cases)
    settings = _training_settings(options, chosen.batch_size)
    model = ModelFolder(place.results / dataset_name / ModelFolder.name_of(name, plans, configuration))
    if restart:
        restart_fold(model, str(fold))
    store = CaseStore(folder / chosen.data)
    parts = fold_cases(splits, fold, cases)
    resolved = resolve_device(device)
    train_fold(model, read_plans, configuration, raw.description, store, str(fold), parts, settings, resolved)
    return validate_fold(model, str(fold), parts.val, raw, store, resolved)


def find_best(
    dataset: int | str, *, folds: Sequence[int | str] | None = None, device: str = "auto", workspace: Path | None = None
) -> "Selection":
    """Rank the trained models of a data set by cross-validated Dice and select the best for prediction.

    Args:
        dataset: Number or name of the data set.
        folds: Folds to compare on; None takes those that all trained models have.
        device: For validations that are still missing.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If nothing is trained, or the models have no fold in common.
    """
    from segforge.compute.device import resolve_device
    from segforge.experiment.selection import select_best
    from segforge.experiment.validation import validate_fold

    place = find_workspace(workspace)
    name = place.dataset_name(str(dataset))
    folder = place.preprocessed / name
    raw = open_dataset(place.raw_folder(name))
    cases = [case.id for case in raw.cases]

    def validate(model: "ModelFolder", fold: str) -> "Summary":
        _, configuration = model.configuration(model.plans)
        held_out = fold_cases(read_splits(folder / SPLITS, cases), fold, cases).val
        return validate_fold(model, fold, held_out, raw, CaseStore(folder / configuration.data), resolve_device(device))

    return select_best(place.results / name, raw.description.label_scheme, validate, [str(f) for f in folds or []] or None)


def load(
    model: Path | str,
    *,
    folds: Sequence[int | str] | None = None,
    device: str = "auto",
    mirroring: bool = True,
    step: float = 0.5,
) -> "Predictor":
    """Load a trained model for prediction from Python.

    Args:
        model: The model's folder.
        folds: Folds whose predictions are averaged; None takes all that are trained.
        device: `auto`, `cuda`, `cuda:N`, `mps` or `cpu`.
        mirroring: Whether mirrored copies of each tile are averaged too.
        step: Distance of tiles as a share of the patch.

    Raises:
        SegForgeError: If the folder is no model, or a fold is not trained.
    """
    from segforge.compute.device import resolve_device
    from segforge.inference.predictor import PredictionSettings, Predictor
    from segforge.networks.model_folder import ModelFolder

    folder = ModelFolder(Path(model))
    chosen = folder.folds_to_use([str(fold) for fold in folds] if folds else None)
    return Predictor(folder, chosen, resolve_device(device), PredictionSettings(mirroring=mirroring, step=step))


def predict(
    images: Path,
    output: Path,
    *,
    dataset: int | str | None = None,
    configuration: str | None = None,
    plans: str | None = None,
    name: str | None = None,
    model: Path | None = None,
    folds: Sequence[int | str] | None = None,
    mirroring: bool = True,
    step: float = 0.5,
    device: str = "auto",
    workspace: Path | None = None,
) -> int:
    """Predict a folder of images with a trained model; goes on where it stopped.

    Args:
        images: Folder of images named like those that the model was trained on.
        output: Folder for the label maps.
        dataset: Number or name of the data set; None takes the only one with a trained model.
        configuration: Configuration; None takes the selection of `find_best`, else the only trained one.
        plans: Name of the plans, where several are trained.
        name: Name of the training, where several are trained.
        model: A model's folder, instead of the four above; no workspace is needed then.
        folds: Folds whose predictions are averaged; None takes all that are trained.
        mirroring: Whether mirrored copies of each tile are averaged too.
        step: Distance of tiles as a share of the patch.
        device: `auto`, `cuda`, `cuda:N`, `mps` or `cpu`.
        workspace: The workspace folder; None finds it.

    Returns:
        Number of cases that had to be predicted.

    Raises:
        SegForgeError: If no model or several fit, or files are missing.
        CasesFailed: If cases failed; names each. The others are written.
    """
    from segforge.compute.files import file_hash
    from segforge.experiment.choice import choose_dataset, choose_model
    from segforge.inference.run import PredictionRecord, predict_cases
    from segforge.networks.model_folder import FINAL, ModelFolder

    if model is None:
        place = find_workspace(workspace)
        dataset_name = choose_dataset(place.results) if dataset is None else place.dataset_name(str(dataset))
        folder = choose_model(place.results / dataset_name, configuration=configuration, plans=plans, name=name)
    else:
        folder = ModelFolder(model)
    cases = find_cases(images, folder.description)
    predictor = load(folder.path, folds=folds, device=device, mirroring=mirroring, step=step)
    log.info("Predicting %d cases with %s, folds %s.", len(cases), folder.path.name, ", ".join(predictor.folds))
    made_from = {f"fold {fold}": file_hash(folder.fold(fold).path / FINAL) for fold in predictor.folds}
    record = PredictionRecord(model=str(folder.path), made_from=made_from | {"mirroring": str(mirroring), "step": str(step)})
    return predict_cases(predictor, cases, output, record)


def evaluate(
    references: Path,
    predictions: Path,
    *,
    dataset: int | str | None = None,
    workers: int | None = None,
    workspace: Path | None = None,
) -> "Summary":
    """Compare a folder of predictions with a folder of references, and write `summary.json` beside the predictions.

    Args:
        references: Folder of the true label maps.
        predictions: Folder of the predicted ones.
        dataset: Number or name of the data set; None reads `dataset.json` beside the references.
        workers: Worker processes; None works in threads, one per core, and 0 in this thread.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If a folder or `dataset.json` is missing, or a prediction has no reference.
        CasesFailed: If cases could not be compared; names each.
    """
    from segforge.evaluation.evaluate import evaluate_folders

    beside = references.resolve().parent / DESCRIPTION
    if dataset is None and beside.is_file():
        description = read_description(beside)
    elif dataset is None:
        raise SegForgeError(f"{beside} is missing, which says what the label values mean. Name the data set with -d.")
    else:
        place = find_workspace(workspace)
        description = read_description(place.raw_folder(place.dataset_name(str(dataset))) / DESCRIPTION)
    summary = evaluate_folders(references, predictions, description.label_scheme, *_executor(workers))
    summary.write(predictions / "summary.json")
    return summary


def _training_settings(options: TrainingOptions, batch_size: int) -> "TrainingSettings":
    from segforge.training.settings import TrainingSettings

    given = {key: value for key, value in asdict(options).items() if value is not None}
    return TrainingSettings.parse({"batch_size": batch_size} | given, "The training's settings")


def _executor(workers: int | None) -> tuple[ExecutorFactory, Resources]:
    """In threads by default, in this thread for 0, else in that many processes."""
    if workers is None:
        return threads, Resources(available_cores())
    return (processes, Resources(workers)) if workers else (inline, Resources())


def _read_plans(folder: Path, name: str, dataset: str) -> Plans:
    path = plans_path(folder, name)
    if path.is_file():
        return Plans.read(path)
    known = ", ".join(sorted(other.stem for other in path.parent.glob("*.json"))) or "none"
    raise SegForgeError(f"{dataset} has no plans {name} (there are: {known}). Make them with: segforge plan -d {dataset}")
