"""Predicts a folder of cases; `prediction.json` beside the results lets the same command go on where it stopped."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from segforge.compute.documents import Document
from segforge.compute.executors import Resources, Task, inline, run_all
from segforge.compute.files import file_hash, make_folder
from segforge.dataset.cases import Case
from segforge.errors import CasesFailed, SegForgeError

if TYPE_CHECKING:
    from segforge.inference.predictor import Predictor  # which imports torch

log = logging.getLogger(__name__)

RECORD = "prediction.json"


class PredictedCase(Document):
    """Hashes of what a case was predicted from, and of its result."""

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


class FinishedCases:
    """The finished cases of a folder, on disk: what an earlier run made from the same is not made again."""

    def __init__(self, folder: Path, model: str, made_from: Mapping[str, str], *, replace: bool = False) -> None:
        """Open the folder, which is made if it is missing.

        Args:
            folder: Where the label maps lie.
            model: The model's folder.
            made_from: Hashes of the weights, and the settings.
            replace: Whether cases that were made from something else are made again, instead of being refused.

        Raises:
            SegForgeError: If the folder holds predictions of another model or other settings.
        """
        make_folder(folder)
        self._path = folder / RECORD
        self._replace = replace
        self._record = PredictionRecord(model=model, made_from=dict(made_from))
        self._cases = self._kept()

    def has(self, case: str, inputs: Sequence[Path], output: Path) -> bool:
        """Whether the case was predicted from these files, and its result is as it was written."""
        done = self._cases.get(case)
        if done is None or not output.is_file():
            return False
        return file_hash(output) == done.output and tuple(map(file_hash, inputs)) == done.inputs

    def add(self, case: str, inputs: Sequence[Path], output: Path) -> None:
        """Write down that a case is finished."""
        self._cases[case] = PredictedCase(inputs=tuple(map(file_hash, inputs)), output=file_hash(output))
        self._record.model_copy(update={"cases": self._cases}).write(self._path, durable=False)

    def _kept(self) -> dict[str, PredictedCase]:
        if not self._path.is_file():
            return {}
        try:
            before = PredictionRecord.read(self._path)
        except SegForgeError as error:
            log.warning("%s All cases are predicted again.", error)
            return {}
        if before.made_from == self._record.made_from:
            return dict(before.cases)
        if before.cases and not self._replace:
            raise SegForgeError(
                f"{self._path.parent} holds predictions of another model or other settings ({before.model}). "
                "Choose another folder, or remove this one."
            )
        return {}


def predict_cases(predictor: "Predictor", cases: Sequence[Case], output: Path, finished: FinishedCases, ending: str) -> int:
    """Predict the cases that are not finished.

    Args:
        predictor: The model.
        cases: The cases.
        output: Folder of the label maps.
        finished: Those that are done.
        ending: Ending of the label maps, which says their format.

    Returns:
        Number of cases that had to be predicted.

    Raises:
        CasesFailed: If cases failed; names each with its reason. The others are written.
    """
    paths = {case.id: output / f"{case.id}{ending}" for case in cases}

    def predict(case: Case) -> None:
        predictor.predict_case(case, paths[case.id])
        finished.add(case.id, case.files, paths[case.id])

    due = [Task(case.id, predict, (case,)) for case in cases if not finished.has(case.id, case.files, paths[case.id])]
    if len(due) < len(cases):
        log.info("%d of %d cases are predicted already.", len(cases) - len(due), len(cases))
    outcome = run_all(inline, due, resources=Resources(), description="prediction")
    if outcome.failures:
        raise CasesFailed(
            f"{len(outcome.failures)} of {len(cases)} cases failed, the others are in {output}:\n{outcome.reasons}"
        )
    return len(due)
