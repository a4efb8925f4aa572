"""Final validation of a fold: its held-out cases predicted as whole volumes and compared with their labels."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from segforge.compute.executors import Resources, Task, inline, run_all
from segforge.compute.files import file_hash
from segforge.dataset.cases import Case, RawDataset
from segforge.errors import CasesFailed, SegForgeError
from segforge.evaluation.evaluate import evaluate_pair
from segforge.evaluation.summary import CaseMetrics, Summary, summarize
from segforge.images.files import write_labels
from segforge.inference.predictor import Predictor
from segforge.networks.model_folder import FINAL, FoldFolder, ModelFolder
from segforge.preprocessing.store import CaseStore

log = logging.getLogger(__name__)

SUMMARY = "summary.json"


def validate_fold(
    model: ModelFolder, fold: str, cases: Sequence[str], dataset: RawDataset, store: CaseStore, device: torch.device
) -> Summary:
    """Predict and evaluate the held-out cases of a trained fold; what was done with these weights is not done again.

    Raises:
        CasesFailed: If cases failed; names each with its reason.
        SegForgeError: If a case is no longer in the raw data set.
    """
    folder = model.fold(fold)
    if summary := current_summary(folder):
        return summary
    raw = {case.id: case for case in dataset.cases}
    if missing := [case for case in cases if case not in raw]:
        raise SegForgeError(f"{dataset.folder} no longer has {', '.join(missing[:10])}, which fold {fold} is validated on.")
    predictor = Predictor(model, [fold], device)
    ending = dataset.description.file_ending
    tasks = [
        Task(case, _validate_case, (predictor, store, raw[case], folder.validation / f"{case}{ending}"))
        for case in sorted(cases)
    ]
    outcome = run_all(inline, tasks, resources=Resources(), description=f"validation of fold {fold}")
    if outcome.failures:
        reasons = "\n".join(f"{case}: {reason}" for case, reason in sorted(outcome.failures.items()))
        raise CasesFailed(f"{len(outcome.failures)} cases could not be validated:\n{reasons}")
    summary = summarize([outcome.results[task.name] for task in tasks], dataset.description.label_scheme, _made_from(folder))
    summary.write(folder.validation / SUMMARY)
    return summary


def current_summary(folder: FoldFolder) -> Summary | None:
    """The fold's validation if it was made with the weights that are there now."""
    path = folder.validation / SUMMARY
    if not path.is_file():
        return None
    summary = Summary.read(path)
    return summary if summary.made_from == _made_from(folder) else None


def _validate_case(predictor: Predictor, store: CaseStore, case: Case, output: Path) -> CaseMetrics:
    preprocessed = store.open(case.id)
    write_labels(output, predictor.predict_preprocessed(preprocessed), preprocessed.properties.geometry)
    assert case.label is not None
    return evaluate_pair(case.label, output, predictor.description.label_scheme)


def _made_from(folder: FoldFolder) -> dict[str, str]:
    return {FINAL: file_hash(folder.path / FINAL)}
