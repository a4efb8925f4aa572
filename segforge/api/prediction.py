"""`segforge predict` as a function, and `load` for prediction in memory."""

import logging
from collections.abc import Sequence
from pathlib import Path

from segforge.compute.device import resolve_device
from segforge.compute.files import file_hash
from segforge.dataset.cases import Case, find_cases
from segforge.dataset.description import DatasetDescription
from segforge.errors import SegForgeError
from segforge.experiment.choice import choose_dataset, choose_model
from segforge.images.dicom_segmentation import ENDING as SEGMENTATION_ENDING
from segforge.images.files import LOSSY_ENDINGS, ending_of
from segforge.inference.predictor import PredictionSettings, Predictor
from segforge.inference.run import FinishedCases, predict_cases
from segforge.networks.model_folder import FINAL, ModelFolder
from segforge.workspace import find_workspace

DICOM_SEG = "dicom-seg"

log = logging.getLogger(__name__)


def load(
    model: Path | str,
    *,
    folds: Sequence[int | str] | None = None,
    device: str = "auto",
    mirroring: bool = True,
    step: float = 0.5,
) -> Predictor:
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
    output_format: str | None = None,
    device: str = "auto",
    workspace: Path | None = None,
) -> int:
    """Predict a folder of images with a trained model; goes on where it stopped.

    Args:
        images: Folder of images named like those that the model was trained on, or of DICOM series.
        output: Folder for the label maps.
        dataset: Number or name of the data set; None takes the only one with a trained model.
        configuration: Configuration; None takes the selection of `find_best`, else the only trained one.
        plans: Name of the plans, where several are trained.
        name: Name of the training, where several are trained.
        model: A model's folder, instead of the four above; no workspace is needed then.
        folds: Folds whose predictions are averaged; None takes all that are trained.
        mirroring: Whether mirrored copies of each tile are averaged too.
        step: Distance of tiles as a share of the patch.
        output_format: Ending of the label maps, `.nrrd` for example, or `dicom-seg`; None takes that of the training's.
        device: `auto`, `cuda`, `cuda:N`, `mps` or `cpu`.
        workspace: The workspace folder; None finds it.

    Returns:
        Number of cases that had to be predicted.

    Raises:
        SegForgeError: If no model or several fit, or files are missing.
        CasesFailed: If cases failed; names each. The others are written.
    """
    if model is None:
        place = find_workspace(workspace)
        dataset_name = choose_dataset(place.results) if dataset is None else place.dataset_name(str(dataset))
        folder = choose_model(place.results / dataset_name, configuration=configuration, plans=plans, name=name)
    else:
        folder = ModelFolder(model)
    cases = find_cases(images, folder.description)
    ending = _output_ending(output_format, folder.description, cases)
    predictor = load(folder.path, folds=folds, device=device, mirroring=mirroring, step=step)
    log.info("Predicting %d cases with %s, folds %s.", len(cases), folder.path.name, ", ".join(predictor.folds))
    made_from = {f"fold {fold}": file_hash(folder.fold(fold).path / FINAL) for fold in predictor.folds}
    finished = FinishedCases(output, str(folder.path), made_from | {"mirroring": str(mirroring), "step": str(step)})
    return predict_cases(predictor, cases, output, finished, ending)


def _output_ending(output_format: str | None, description: DatasetDescription, cases: Sequence[Case]) -> str:
    if output_format == DICOM_SEG:
        if single := [case.id for case in cases if not case.images[0].is_dir()]:
            raise SegForgeError(f"{DICOM_SEG} needs DICOM series as input; {single[0]} is none. Choose .nii.gz, for example.")
        return SEGMENTATION_ENDING
    if output_format is None:
        return description.output_ending
    ending = "." + output_format.removeprefix(".")
    if ending_of(Path(f"case{ending}")) != ending or ending in LOSSY_ENDINGS:
        raise SegForgeError(f"Label maps cannot be written as {ending}. Choose .nii.gz, .nrrd, .tif, .png or {DICOM_SEG}.")
    return ending
