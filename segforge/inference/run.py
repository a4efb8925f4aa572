"""Predicts a folder of cases; `prediction.json` beside the results lets the same command go on where it stopped."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from segforge.compute.documents import Document
from segforge.compute.executors import Resources, Task, inline, run_all
from segforge.compute.files import file_hash, remove_leftovers
from segforge.dataset.cases import Case
from segforge.errors import CasesFailed, SegForgeError
from segforge.inference.predictor import Predictor

log = logging.getLogger(__name__)

RECORD = "prediction.json"


class PredictedCase(Document):
    """Hashes of a case's input files in the order of the channels, and of its result."""

    inputs: tuple[str, ...]
    output: str


class PredictionRecord(Document):
    """What a folder of predictions was made from.

    Attributes:
        version: Version of this schema.
        model: The model's folder.
        made_from: Hashes of the weights, and the settings.
        cases: The finished cases.
    """

    version: Literal[1] = 1
    model: str
    made_from: dict[str, str]
    cases: dict[str, PredictedCase] = Field(default_factory=dict)


def predict_cases(predictor: Predictor, cases: Sequence[Case], output: Path, record: PredictionRecord) -> int:
    """Predict the cases that are not there yet.

    Args:
        predictor: The model.
        cases: The cases.
        output: Folder of the label maps.
        record: What they are made from; the finished cases are added to the one on disk.

    Returns:
        Number of cases that had to be predicted.

    Raises:
        CasesFailed: If cases failed; names each with its reason. The others are written.
    """
    output.mkdir(parents=True, exist_ok=True)
    remove_leftovers(output)
    finished = _finished(output / RECORD, record)
    ending = predictor.description.file_ending

    def predict(case: Case) -> None:
        path = output / f"{case.id}{ending}"
        predictor.predict_case(case, path)
        finished[case.id] = PredictedCase(inputs=tuple(file_hash(image) for image in case.images), output=file_hash(path))
        record.model_copy(update={"cases": finished}).write(output / RECORD, durable=False)

    due = [case for case in cases if not _is_done(finished.get(case.id), case, output / f"{case.id}{ending}")]
    if len(due) < len(cases):
        log.info("%d of %d cases are predicted already.", len(cases) - len(due), len(cases))
    outcome = run_all(
        inline, [Task(case.id, predict, (case,)) for case in due], resources=Resources(), description="prediction"
    )
    if outcome.failures:
        reasons = "\n".join(f"{case}: {reason}" for case, reason in sorted(outcome.failures.items()))
        raise CasesFailed(f"{len(outcome.failures)} of {len(cases)} cases failed, the others are in {output}:\n{reasons}")
    return len(due)


def _finished(path: Path, record: PredictionRecord) -> dict[str, PredictedCase]:
    """The cases that an earlier run with the same weights and settings has finished."""
    if not path.is_file():
        return {}
    try:
        before = PredictionRecord.read(path)
    except SegForgeError as error:
        log.warning("%s All cases are predicted again.", error)
        return {}
    return dict(before.cases) if before.made_from == record.made_from else {}


def _is_done(done: PredictedCase | None, case: Case, path: Path) -> bool:
    if done is None or not path.is_file():
        return False
    return file_hash(path) == done.output and tuple(file_hash(image) for image in case.images) == done.inputs
