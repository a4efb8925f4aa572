"""Final validation of a fold: its held-out cases predicted as whole volumes and compared with their labels."""

import hashlib
import logging
from pathlib import Path

import torch

from segforge.compute.executors import Resources, threads
from segforge.compute.files import file_hash
from segforge.compute.locks import FolderLock, Owner
from segforge.dataset.cases import RawDataset
from segforge.errors import SegForgeError
from segforge.evaluation.evaluate import evaluate_pairs
from segforge.evaluation.summary import SUMMARY, Summary
from segforge.experiment.candidates import training_command
from segforge.experiment.held_out import HeldOut
from segforge.experiment.kept_logits import DEFAULT_LIMIT
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
    keep_logits: int = DEFAULT_LIMIT,
    probabilities: bool = False,
) -> Summary:
    """Predict and evaluate the held-out cases of a trained fold; what is done with these weights and labels stays.

    One process at a time does; another one waits for it and then has the result.

    Args:
        model: The model.
        fold: The fold; its cases are those that were written down when its training began.
        dataset: The raw data set, for the labels.
        store: The preprocessed cases.
        device: Where to compute.
        checkpoint: File name of the checkpoint; that of the best has a folder of its own.
        keep_logits: Bytes that the kept logits of the data set may take together (`KeptLogits`).
        probabilities: Whether to write probabilities beside the label maps, as `CASE.npz`.

    Raises:
        CasesFailed: If cases failed; names each with its reason.
        SegForgeError: If a case or its label is no longer there, or the labels mean something else than in the training.
    """
    folder = model.fold(fold)
    references = _references(folder, dataset)
    if model.description.labels != dataset.description.labels:
        raise SegForgeError(
            f"{dataset.folder} has other labels in dataset.json than {model.path} was trained with. Put the old ones back, or "
            "train under another --name."
        )
    if not (folder.path / checkpoint).is_file():
        raise SegForgeError(f"{folder.path} has no {checkpoint} to validate. Train it first: {training_command(model, fold)}")
    made_from = _made_from(folder, checkpoint, references)
    path = folder.validation_of(checkpoint) / SUMMARY
    if not probabilities and (summary := _current_summary(path, made_from)):
        return summary
    with FolderLock(folder.path, "validated").waited_for(Owner.here()):
        summary = _current_summary(path, made_from)  # by now another process may have made it
        if summary and not probabilities:
            return summary
        held_out = HeldOut(model, folder, store, device, checkpoint, keep_logits)
        predictions = held_out.label_maps(sorted(references), dataset.description.output_ending, probabilities=probabilities)
        if summary:
            return summary
        pairs = [(references[case], predictions[case]) for case in sorted(references)]
        summary = evaluate_pairs(pairs, dataset.description.label_scheme, threads, Resources(2), made_from)
        summary.write(path)
        return summary


def _references(folder: FoldFolder, dataset: RawDataset) -> dict[str, Path]:
    """The label map of each held-out case."""
    labels = {case.id: case.label for case in dataset.cases if case.label}
    held_out = folder.cases().val
    if missing := [case for case in held_out if case not in labels]:
        raise SegForgeError(
            f"{dataset.folder} no longer has {', '.join(missing[:10])}, which {folder.path} is validated on. Put the cases "
            "back, or train the fold anew with --restart."
        )
    return {case: labels[case] for case in held_out}


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
