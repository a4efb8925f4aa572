"""`segforge predict` as a function, and `load` for prediction in memory."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from glob import escape
from pathlib import Path
from typing import Any

import torch

from segforge.compute.device import Precision, resolve_device
from segforge.compute.executor_choice import HERE, ExecutorChoice, room
from segforge.compute.executors import Task, run_all
from segforge.compute.memory import GIGABYTE
from segforge.dataset.description import DatasetDescription
from segforge.dataset.inputs import find_inputs
from segforge.errors import CasesFailed, SegForgeError
from segforge.experiment.choice import Choice, choose, choose_dataset, has_choice, previous_model_of
from segforge.images.dicom_segmentation import ENDING as SEGMENTATION_ENDING
from segforge.images.files import LOSSY_ENDINGS, ending_of
from segforge.inference.loaded_model import LoadedModel, PredictionSettings
from segforge.inference.predictor import Predictor
from segforge.inference.probabilities import ProbabilityType
from segforge.networks.model_folder import BEST, FINAL, LATEST, ModelFolder
from segforge.sharing.nnunet_results import model_in_place, models_in_place
from segforge.sharing.opened import opened_model
from segforge.training.nnunet_names import PLANS, training_name
from segforge.workspace import Workspace, find_workspace

DICOM_SEG = "dicom-seg"

CHECKPOINTS = {"final": FINAL, "best": BEST, "latest": LATEST}
"""What checkpoints are called on the command line."""

log = logging.getLogger(__name__)

_PARTS_FOR_EACH = 4


@dataclass(frozen=True)
class PredictionOptions:
    """How to predict.

    Attributes:
        mirroring: Whether mirrored copies of each tile are averaged too.
        step: Distance of tiles as a share of the patch.
        precision: In what networks compute: `auto`, `fp32`, `bf16` or `fp16`.
        checkpoint: `final`, `best` or `latest`.
        one_fold: Whether the first of the folds is enough.
        postprocessing: Whether the selection's postprocessing is applied.
        previous_stage: For a cascade a folder of label maps of the previous stage; None predicts them.
    """

    mirroring: bool = True
    step: float = 0.5
    precision: Precision = "auto"
    checkpoint: str = "final"
    one_fold: bool = False
    postprocessing: bool = True
    previous_stage: Path | None = None

    @property
    def settings(self) -> PredictionSettings:
        """What the networks need of it."""
        return PredictionSettings(self.mirroring, self.step, self.precision)


@dataclass(frozen=True)
class OutputOptions:
    """What is written, and how much is done at once.

    Attributes:
        format: Ending of the label maps, `.nrrd` for example, or `dicom-seg`; None takes that of the training's.
        probabilities: Type in which probabilities are written as `CASE.npz` too; None for none.
        part: Number, from 0, and count of the parts of the cases, of which this machine does one.
        threads: Threads that read, and as many that write, beside the networks; 0 for none.
        max_memory: GB that cases may take; None takes four fifths of what is free.
    """

    format: str | None = None
    probabilities: ProbabilityType | None = None
    part: tuple[int, int] = (0, 1)
    threads: int = 1
    max_memory: float | None = None


def load(
    model: Path | str,
    *,
    folds: Sequence[int | str] | None = None,
    checkpoint: str = "final",
    device: str = "auto",
    mirroring: bool = True,
    step: float = 0.5,
    precision: Precision = "auto",
) -> Predictor:
    """Load a trained model, or the selection of `find_best`, for prediction from Python.

    Args:
        model: A model's folder, or a data set's results folder with the `selection.json` of `find_best`.
        folds: Folds whose predictions are averaged; None takes all that are trained.
        checkpoint: `final`, `best` or `latest`.
        device: `auto`, `cuda`, `cuda:N`, `mps` or `cpu`.
        mirroring: Whether mirrored copies of each tile are averaged too.
        step: Distance of tiles as a share of the patch.
        precision: In what networks compute: `auto`, `fp32`, `bf16` or `fp16`.

    Raises:
        SegForgeError: If the folder is no model, or a fold is not trained.
    """
    options = PredictionOptions(mirroring=mirroring, step=step, precision=precision, checkpoint=checkpoint)
    return _opened(Path(model), _names(folds), options, device)


def predict(
    images: Path | Sequence[Path],
    output: Path,
    *,
    dataset: int | str | None = None,
    configuration: str | None = None,
    plans: str | None = None,
    name: str | None = None,
    trainer: str | None = None,
    model: Path | None = None,
    folds: Sequence[int | str] | None = None,
    options: PredictionOptions = PredictionOptions(),
    written: OutputOptions = OutputOptions(),
    device: str = "auto",
    where: ExecutorChoice = HERE,
    workspace: Path | None = None,
) -> int:
    """Predict images with a trained model; goes on where it stopped.

    Args:
        images: Folder of images named like those that the model was trained on, or of DICOM series; or such files; or a JSON
            list of cases (`segforge.dataset.inputs`).
        output: Folder for the label maps.
        dataset: Number or name of the data set; None takes the only one with a trained model.
        configuration: Configuration; None takes the selection of `find_best`, else the only trained one.
        plans: Name of the plans, where several are trained.
        name: Name of the training, where several are trained.
        trainer: The trainer instead, which names a training where nothing else does.
        model: A model's folder, instead of the four above; no workspace is needed then.
        folds: Folds whose predictions are averaged; None takes all that are trained.
        options: How to predict.
        written: What to write, and how much to do at once.
        device: `auto`, `cuda`, `cuda:N`, `mps` or `cpu`.
        where: The executor; workers elsewhere do a part of the cases each.
        workspace: The workspace folder; None finds it.

    Returns:
        Number of cases that had to be predicted.

    Raises:
        SegForgeError: If no model or several fit, or files are missing.
        CasesFailed: If cases failed; names each. The others are written.
    """
    found: Choice | Path | None = model
    if found is None:
        place = find_workspace(workspace)
        found = _found(place, dataset, configuration=configuration, plans=plans, name=name, trainer=trainer)
    predictor = _opened(found, _names(folds), options, device if where.is_local else "cpu")
    log.info("Predicting with %s.", _described(predictor))
    if options.one_fold:
        log.info("Fast: one fold%s, which costs some accuracy.", "" if options.mirroring else ", no mirroring, fewer tiles")
    inputs = [images] if isinstance(images, Path) else list(images)
    if not where.is_local:
        count = len(find_inputs(inputs, predictor.description).cases)
        part = partial(
            _predict_part, [path.resolve() for path in inputs], output.resolve(), dataset=dataset, configuration=configuration,
            plans=plans, name=name, trainer=trainer, model=model and model.resolve(), folds=folds, device=device,
            options=replace(options, previous_stage=options.previous_stage and options.previous_stage.resolve()),
            workspace=None if model else find_workspace(workspace).root.resolve(),
        )  # fmt: skip
        return _predict_elsewhere(part, count, written, device, where)
    return predictor.predict_files(
        inputs,
        output,
        ending=_output_ending(written.format, inputs, predictor.description),
        probabilities=written.probabilities,
        previous_stage=options.previous_stage,
        threads=written.threads,
        max_memory=written.max_memory,
        part=written.part,
    )


def _predict_part(images: Sequence[Path], output: Path, written: OutputOptions, **asked: Any) -> int:
    return predict(images[0] if len(images) == 1 else images, output, written=written, **asked)


def _predict_elsewhere(
    part: Callable[[OutputOptions], int], cases: int, written: OutputOptions, device: str, where: ExecutorChoice
) -> int:
    """Have workers predict a part of the cases each, a few parts for each worker, so that all end together."""
    if written.part != (0, 1):
        raise SegForgeError("--executor divides the cases by itself, --part by hand. Choose one.")
    gpus, memory = int(device != "cpu"), int((written.max_memory or 0) * GIGABYTE)
    factory, resources = where.factory(None, gpus=gpus, cores=1, memory=memory)
    count = max(1, min(cases, _PARTS_FOR_EACH * room(factory, resources)))
    tasks = [Task(f"part {number} of {count}", part, (replace(written, part=(number, count)),)) for number in range(count)]
    outcome = run_all(factory, tasks, resources=resources, description="parts of the cases")
    if outcome.failures:
        raise CasesFailed(
            f"{len(outcome.failures)} of {count} parts of the cases failed, the others are done:\n{outcome.reasons}"
        )
    return sum(outcome.results.values())


def _found(
    place: Workspace,
    dataset: int | str | None,
    *,
    configuration: str | None,
    plans: str | None,
    name: str | None,
    trainer: str | None,
) -> Choice | Path:
    """What a workspace has to predict with; where nothing fits, the folder of a model of nnU-Net's in its own place."""
    theirs = models_in_place(place.more_results)
    if dataset is None:
        dataset = choose_dataset(place.results, [folder.parent.name for folder in theirs])
    results = place.results / place.dataset_name(str(dataset))
    asked = (name or trainer, plans, configuration)
    # Models that were imported may really have nnU-Net's names.
    if plans and not any(results.glob(f"*__{escape(plans)}__*")):
        plans = PLANS.get(plans, plans)
    if trainer and not name:
        name = trainer if any(results.glob(f"{escape(trainer)}__*__*")) else training_name(trainer)
    has_own = has_choice(results, configuration=configuration, plans=plans, name=name)
    if not has_own and (folder := model_in_place(place.more_results, results.name, asked=asked)):
        log.info("Using nnU-Net's model where it lies: %s.", folder)
        return folder
    return choose(results, configuration=configuration, plans=plans, name=name)


def _opened(found: Choice | Path, folds: list[str] | None, options: PredictionOptions, device: str) -> Predictor:
    """The models of a choice, or of whatever a path holds, in memory."""
    if isinstance(found, Choice):
        return _load(found, folds, options, resolve_device(device))
    with opened_model(found, checkpoint=options.checkpoint, folds=folds) as folder:
        return _load(choose(folder), folds, options, resolve_device(device))


def _names(folds: Sequence[int | str] | None) -> list[str] | None:
    """The folds in words, each once: one that is typed twice does not count twice in the mean."""
    return list(dict.fromkeys(map(str, folds))) if folds else None


def _load(choice: Choice, folds: list[str] | None, options: PredictionOptions, device: torch.device) -> Predictor:
    if options.checkpoint not in CHECKPOINTS:
        raise SegForgeError(f"There is no checkpoint {options.checkpoint} (-chk). Choose from {', '.join(CHECKPOINTS)}.")
    if folds is None and choice.folds:
        _refuse_gone(choice.models, choice.folds, CHECKPOINTS[options.checkpoint])
    members = tuple(_load_model(folder, folds or choice.folds, options, device) for folder in choice.models)
    return Predictor(members, choice.postprocessing if options.postprocessing else None)


def _refuse_gone(models: Sequence[ModelFolder], folds: Sequence[str], checkpoint: str) -> None:
    """Say what to do if the selection's folds are no longer all there."""
    for model in models:
        if gone := [fold for fold in folds if not (model.fold(fold).path / checkpoint).is_file()]:
            raise SegForgeError(
                f"{model.path} has no {checkpoint} of fold {', '.join(gone)}, which the selection of find-best uses. "
                f"Run segforge find-best -d {model.path.parent.name} again, or choose folds with -f."
            )


def _load_model(
    model: ModelFolder, folds: Sequence[str] | None, options: PredictionOptions, device: torch.device
) -> LoadedModel:
    checkpoint = CHECKPOINTS[options.checkpoint]
    chosen = model.folds_to_use(None if folds is None else list(folds), checkpoint)[: 1 if options.one_fold else None]
    before = None if options.previous_stage else previous_model_of(model)
    # The previous stage's folds and checkpoints are its own: a cascade was trained with the final maps of all of them.
    previous = None if before is None else _load_model(before, None, replace(options, checkpoint="final"), device)
    return LoadedModel(model, chosen, device, options.settings, checkpoint=checkpoint, previous=previous)


def _described(predictor: Predictor) -> str:
    parts = [f"{member.name}, folds {', '.join(member.folds)}" for member in predictor.members]
    count = len(predictor.postprocessing.steps) if predictor.postprocessing else 0
    return " and ".join(parts) + (f"; {count} step{'s' * (count > 1)} of postprocessing" if count else "")


def _output_ending(output_format: str | None, inputs: Sequence[Path], description: DatasetDescription) -> str | None:
    if output_format is None:
        return None
    if output_format == DICOM_SEG:
        cases = find_inputs(inputs, description).cases
        if single := [case.id for case in cases if not case.images[0].is_dir()]:
            raise SegForgeError(f"{DICOM_SEG} needs DICOM series as input; {single[0]} is none. Choose .nii.gz, for example.")
        return SEGMENTATION_ENDING
    ending = "." + output_format.removeprefix(".")
    if ending_of(Path(f"case{ending}")) != ending or ending in LOSSY_ENDINGS:
        raise SegForgeError(f"Label maps cannot be written as {ending}. Choose .nii.gz, .nrrd, .tif, .png or {DICOM_SEG}.")
    return ending
