"""The validations of a model's folds, gathered: every case scored by the one training that did not see it."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segforge.compute.executors import ExecutorFactory, Resources
from segforge.compute.files import file_hash
from segforge.dataset.cases import RawDataset
from segforge.errors import SegForgeError
from segforge.evaluation.evaluate import evaluate_pairs
from segforge.evaluation.made_from import made_from
from segforge.evaluation.measure import OVERLAP_ONLY, Measures
from segforge.evaluation.summary import SUMMARY, CaseMetrics, Summary, case_of, summarize
from segforge.experiment.candidates import training_command
from segforge.networks.model_folder import FINAL, ModelFolder

log = logging.getLogger(__name__)

FOLDER = "cv_results"


@dataclass(frozen=True)
class Gathered:
    """The held-out cases of some folds.

    Attributes:
        model: The model.
        folds: The folds.
        cases: Their scores, as the trainings' validations found them.
        made_from: Hash of each fold's validation.
    """

    model: ModelFolder
    folds: tuple[str, ...]
    cases: tuple[CaseMetrics, ...]
    made_from: dict[str, str]

    @property
    def pairs(self) -> list[tuple[Path, Path]]:
        """Reference and prediction of each case."""
        return [(Path(case.reference_file), Path(case.prediction_file)) for case in self.cases]

    @property
    def path(self) -> Path:
        """The file for their summary."""
        return self.model.path / FOLDER / SUMMARY


def gather_folds(model: ModelFolder, dataset: RawDataset, asked: Sequence[str] | None = None) -> Gathered:
    """Gather the validations of a model's folds; says which.

    Args:
        model: The model.
        dataset: The raw data set, for the label maps.
        asked: The folds; None takes all that are trained.

    Raises:
        SegForgeError: If a fold is not trained or has no validation of its weights and these label maps, if two folds
            hold out the same case, or if labels mean something else than in the training.
    """
    folds = model.folds_to_use(list(asked) if asked else None)
    log.info("%s: folds %s.", model.path.name, ", ".join(folds))
    if folds == ["all"]:
        log.warning("Fold all was validated on the cases that it was trained on: its scores say nothing about new ones.")
    return gather(model, dataset, folds)


def gather(model: ModelFolder, dataset: RawDataset, folds: Sequence[str]) -> Gathered:
    """The validations of these folds of a model; errors as of `gather_folds`."""
    if model.description.labels != dataset.description.labels:
        raise SegForgeError(
            f"{dataset.folder} has other labels in dataset.json than {model.path} was trained with. Put the old ones back, or "
            "train under another --name."
        )
    _refuse_doubled(model, folds)
    references = _references(dataset)
    found = {fold: _validation(model, fold, references) for fold in folds}
    if missing := [fold for fold, summary in found.items() if summary is None]:
        raise SegForgeError(
            f"{model.path} has no validation of fold {', '.join(missing)} with its final weights and the labels as they are "
            f"now. Make it with: {training_command(model, 'FOLD')} --validate-only, FOLD {', '.join(missing)}"
        )
    cases = [
        _where_it_lies(case, model.fold(fold).validation, references)
        for fold, summary in found.items()
        for case in (summary.metric_per_case if summary else ())
    ]
    hashes = {f"fold {fold}": file_hash(model.fold(fold).validation / SUMMARY) for fold in folds}
    return Gathered(model, tuple(folds), tuple(sorted(cases, key=lambda case: case.case)), hashes)


def unvalidated_folds(model: ModelFolder, dataset: RawDataset, folds: Sequence[str]) -> list[str]:
    """Those of the folds that have no validation of their final weights and labels, or of which label maps are gone.

    Raises:
        SegForgeError: If the data set no longer has a case.
    """
    references = _references(dataset)
    found = {fold: _validation(model, fold, references) for fold in folds}
    return [fold for fold, summary in found.items() if not (summary and _is_whole(summary, model.fold(fold).validation))]


def summarize_folds(
    gathered: Gathered,
    dataset: RawDataset,
    factory: ExecutorFactory,
    resources: Resources,
    measures: Measures = OVERLAP_ONLY,
) -> Summary:
    """The summary of all cases; what the folds' validations have not measured is measured now, once.

    Raises:
        CasesFailed: If cases could not be compared; names each.
    """
    sources = gathered.made_from | {"measures": str(measures)}
    if (earlier := _read(gathered.path)) and earlier.made_from == sources:
        return earlier
    labels = dataset.description.label_scheme
    if measures == OVERLAP_ONLY:
        return summarize(gathered.cases, labels, sources)
    return evaluate_pairs(gathered.pairs, labels, factory, resources, sources, measures)


def _refuse_doubled(model: ModelFolder, folds: Sequence[str]) -> None:
    holders = defaultdict[str, list[str]](list)
    for fold in folds:
        for case in model.fold(fold).cases().val:
            holders[case].append(fold)
    if doubled := [f"{case} (folds {', '.join(held)})" for case, held in sorted(holders.items()) if len(held) > 1]:
        more = f" and {len(doubled) - 10} more" if len(doubled) > 10 else ""
        raise SegForgeError(
            f"{model.path}: several folds hold out the same case: {', '.join(doubled[:10])}{more}. "
            "Choose folds of one division with -f."
        )


def _references(dataset: RawDataset) -> dict[str, Path]:
    return {case.id: case.label for case in dataset.cases if case.label}


def _validation(model: ModelFolder, fold: str, references: dict[str, Path]) -> Summary | None:
    """The validation of a fold's held-out cases, if it is of the final weights and of the label maps as they are."""
    folder = model.fold(fold)
    held_out = folder.cases().val
    if gone := [case for case in held_out if case not in references]:
        raise SegForgeError(
            f"The data set no longer has {', '.join(gone[:10])}, which {folder.path} is validated on. Put the cases back, or "
            "train the fold anew with --restart."
        )
    summary = _read(folder.validation / SUMMARY)
    current = made_from(folder.path / FINAL, {case: references[case] for case in held_out})
    return summary if summary and summary.made_from == current else None


def _is_whole(summary: Summary, folder: Path) -> bool:
    return all((folder / Path(case.prediction_file).name).is_file() for case in summary.metric_per_case)


def _read(path: Path) -> Summary | None:
    try:
        return Summary.read(path) if path.is_file() else None
    except SegForgeError as error:
        log.warning("%s It is made again.", error)
        return None


def _where_it_lies(case: CaseMetrics, folder: Path, references: dict[str, Path]) -> CaseMetrics:
    """The scores with the places of the files as they are now: a workspace may be moved."""
    prediction = folder / Path(case.prediction_file).name
    reference = references[case_of(prediction)]
    return case.model_copy(update={"prediction_file": str(prediction), "reference_file": str(reference)})
