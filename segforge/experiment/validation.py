"""Final validation of a fold: its held-out cases predicted as whole volumes and compared with their labels."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from segforge.compute.executors import Resources, Task, inline, run_all, threads
from segforge.compute.files import file_hash
from segforge.dataset.cases import RawDataset
from segforge.errors import CasesFailed, SegForgeError
from segforge.evaluation.evaluate import evaluate_pairs
from segforge.evaluation.summary import SUMMARY, Summary
from segforge.images.files import write_volume
from segforge.inference.predictor import Predictor
from segforge.inference.run import FinishedCases
from segforge.networks.model_folder import FINAL, FoldFolder, ModelFolder
from segforge.preprocessing.store import CaseStore

log = logging.getLogger(__name__)


def validate_fold(
    model: ModelFolder,
    fold: str,
    dataset: RawDataset,
    store: CaseStore,
    device: torch.device,
    *,
    checkpoint: str = FINAL,
) -> Summary:
    """Predict and evaluate the held-out cases of a trained fold; what is done with these weights and labels stays.

    Args:
        model: The model.
        fold: The fold; its cases are those that were written down when its training began.
        dataset: The raw data set, for the labels.
        store: The preprocessed cases.
        device: Where to compute.
        checkpoint: File name of the checkpoint; that of the best has a folder of its own.

    Raises:
        CasesFailed: If cases failed; names each with its reason.
        SegForgeError: If a case or its label is no longer there, or the labels mean something else than in the training.
    """
    folder = model.fold(fold)
    references = _references(folder, dataset)
    if model.description.labels != dataset.description.labels:
        raise SegForgeError(f"{dataset.folder} has other labels in dataset.json than {model.path} was trained with.")
    if not (folder.path / checkpoint).is_file():
        raise SegForgeError(f"{folder.path} has no {checkpoint} to validate. Train the fold first.")
    made_from = _made_from(folder, checkpoint, references)
    path = folder.validation_of(checkpoint) / SUMMARY
    if summary := _current_summary(path, made_from):
        return summary
    predictions = _predict(model, folder, checkpoint, sorted(references), store, device, dataset.description.output_ending)
    pairs = [(references[case], predictions[case]) for case in sorted(references)]
    summary = evaluate_pairs(pairs, dataset.description.label_scheme, threads, Resources(2), made_from)
    summary.write(path)
    return summary


def _references(folder: FoldFolder, dataset: RawDataset) -> dict[str, Path]:
    """The label map of each held-out case."""
    labels = {case.id: case.label for case in dataset.cases if case.label}
    held_out = folder.cases().val
    if missing := [case for case in held_out if case not in labels]:
        raise SegForgeError(f"{dataset.folder} no longer has {', '.join(missing[:10])}, which {folder.path} is validated on.")
    return {case: labels[case] for case in held_out}


def _predict(
    model: ModelFolder,
    folder: FoldFolder,
    checkpoint: str,
    cases: Sequence[str],
    store: CaseStore,
    device: torch.device,
    ending: str,
) -> dict[str, Path]:
    place, weights = folder.validation_of(checkpoint), {checkpoint: file_hash(folder.path / checkpoint)}
    finished = FinishedCases(place, str(model.path), weights, replace=True)
    paths = {case: place / f"{case}{ending}" for case in cases}
    due = [case for case in cases if not finished.has(case, [store.record(case)], paths[case])]
    if not due:
        return paths
    predictor = Predictor(model, [folder.fold], device, checkpoint=checkpoint)

    def predict(case: str) -> None:
        preprocessed = store.open(case)
        write_volume(paths[case], predictor.predict_preprocessed(preprocessed), preprocessed.properties.geometry)
        finished.add(case, [store.record(case)], paths[case])

    tasks = [Task(case, predict, (case,)) for case in due]
    outcome = run_all(inline, tasks, resources=Resources(), description=f"validation of fold {folder.fold}")
    if outcome.failures:
        raise CasesFailed(f"{len(outcome.failures)} cases could not be validated:\n{outcome.reasons}")
    return paths


def _current_summary(path: Path, made_from: dict[str, str]) -> Summary | None:
    if not path.is_file():
        return None
    try:
        summary = Summary.read(path)
    except SegForgeError as error:
        log.warning("%s It is made again.", error)
        return None
    return summary if summary.made_from == made_from else None


def _made_from(folder: FoldFolder, checkpoint: str, references: dict[str, Path]) -> dict[str, str]:
    """Hashes of the weights and of the held-out cases' labels."""
    labels = hashlib.sha256("\n".join(f"{case} {file_hash(path)}" for case, path in sorted(references.items())).encode())
    return {checkpoint: file_hash(folder.path / checkpoint), "labels": labels.hexdigest()}
