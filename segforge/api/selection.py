"""`segforge find-best` as a function."""

import logging
from collections.abc import Sequence
from pathlib import Path

from segforge.api.prepared import open_prepared
from segforge.compute.executors import executor_for
from segforge.compute.files import write_text
from segforge.compute.locks import Owner
from segforge.evaluation.summary import SUMMARY
from segforge.experiment.candidates import competing_models, folds_to_compare
from segforge.experiment.cross_validation import Gathered, gather, unvalidated_folds
from segforge.experiment.instructions import (
    INFORMATION,
    INSTRUCTIONS,
    POSTPROCESSING,
    inference_information,
    instructions,
)
from segforge.experiment.kept_logits import DEFAULT_LIMIT
from segforge.experiment.prepared import Prepared
from segforge.experiment.selection import (
    FILE_NAME,
    Contender,
    Selection,
    contenders,
    lock_of_selection,
    ranked,
    read_selection,
    select,
)
from segforge.experiment.validation import validate_fold
from segforge.figures.ranking import Ranked, draw_ranking
from segforge.networks.model_folder import ModelFolder

log = logging.getLogger(__name__)

RANKING = "ranking.png"


def find_best(
    dataset: int | str,
    *,
    configurations: Sequence[str] | None = None,
    plans: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    folds: Sequence[int | str] | None = None,
    ensembles: bool = True,
    keep_logits: int = DEFAULT_LIMIT,
    workers: int | None = None,
    device: str = "auto",
    workspace: Path | None = None,
) -> Selection:
    """Rank the trained models of a data set, and averages of two, by cross-validated Dice; select the best for prediction.

    What is there, validations, label maps of averages, the postprocessing, stays if it was made from the same. One process
    at a time selects; a second one waits for it.

    Args:
        dataset: Number or name of the data set.
        configurations: The configurations; None takes all that are trained.
        plans: Names of the plans; None takes all.
        names: Names of the trainings; None takes all.
        folds: Folds to compare on; None takes those that all of them have.
        ensembles: Whether each two of the models are averaged and compared too.
        keep_logits: Bytes that the kept logits of all the data set's models may take together.
        workers: Worker processes; None works in threads, one per core, and 0 in this thread.
        device: For validations and logits that are still missing.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If nothing fitting is trained, the models have no fold in common, or held out different cases.
        CasesFailed: If cases failed; names each.
    """
    prepared, executor = open_prepared(dataset, device, workspace, keep_logits), executor_for(workers)
    models = competing_models(prepared.results, configurations=configurations, plans=plans, names=names)
    asked = [str(fold) for fold in folds] if folds else None
    chosen = folds_to_compare(models, asked, len(prepared.splits))
    with lock_of_selection(prepared.results).waited_for(Owner.here()):
        validations = [_validation(prepared, model, chosen) for model in models]
        ranking = ranked(list(contenders(validations, prepared, *executor, ensembles=ensembles)))
        earlier, labels = read_selection(prepared.results), prepared.raw.description.label_scheme
        selection = select(prepared.results.name, chosen, ranking, labels, *executor, earlier)
        _write(selection, earlier, ranking, prepared.results, ensembles=ensembles)
    return selection


def _validation(prepared: Prepared, model: ModelFolder, folds: Sequence[str]) -> Gathered:
    """A model's validations, made where they are missing."""
    for fold in unvalidated_folds(model, prepared.raw, folds):
        folder = model.fold(fold)
        (folder.validation / SUMMARY).unlink(missing_ok=True)  # of label maps that are gone
        store = prepared.store_of(model, folder.cases().val)
        validate_fold(model, fold, prepared.raw, store, prepared.device, keep_logits=prepared.keep_logits)
    return gather(model, prepared.raw, folds)


def _write(
    selection: Selection, earlier: Selection | None, ranking: Sequence[Contender], results: Path, *, ensembles: bool
) -> None:
    """Write what a selection says, `selection.json` last: it says that the others are there."""
    is_same = earlier is not None and earlier.to_json() == selection.to_json()
    texts = {
        POSTPROCESSING: selection.postprocessing.to_json(),
        INFORMATION: inference_information(selection, results, ensembles=ensembles),
        INSTRUCTIONS: instructions(selection),
    }
    for name, text in texts.items():
        path = results / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
    if not is_same or not (results / RANKING).is_file():
        rows = [_row(one) for one in ranking]
        draw_ranking(results / RANKING, rows, title=f"{selection.dataset}, folds {', '.join(selection.folds)}")
    if is_same:
        log.info("Nothing has changed since the last time; %s stays.", results / FILE_NAME)
    else:
        selection.write(results / FILE_NAME)


def _row(contender: Contender) -> Ranked:
    candidate = contender.candidate
    return Ranked(candidate.name, candidate.dice, candidate.interval, contender.dice_of_cases)
