"""Which cases of a folder are finished: `prediction.json` beside the results lets the same command go on where it stopped."""

import logging
import re
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from threading import Lock
from typing import Literal

from pydantic import Field

from segforge.compute.documents import Document
from segforge.compute.files import file_hash, make_folder
from segforge.errors import SegForgeError

log = logging.getLogger(__name__)

RECORD = "prediction"
"""Beginning of the record's name."""

_RECORD_FILE = re.compile(rf"{RECORD}(_part_\d+_of_\d+)?\.json")


class PredictedCase(Document):
    """A finished case.

    Attributes:
        inputs: Hashes of the files that it was predicted from.
        output: Hash of its result.
        seconds: How long each stage took.
    """

    inputs: tuple[str, ...]
    output: str
    seconds: dict[str, float] = Field(default_factory=dict)


class PredictionRecord(Document):
    """What a folder of predictions was made from.

    Attributes:
        version: Version of this schema.
        model: The model's folder, or several.
        made_from: Hashes of the weights, and the settings.
        versions: Of the programs.
        cases: The finished cases.
        failures: The reason for each case that failed in the last run.
    """

    version: Literal[1] = 1
    model: str
    made_from: dict[str, str]
    versions: dict[str, str] = Field(default_factory=dict)
    cases: dict[str, PredictedCase] = Field(default_factory=dict)
    failures: dict[str, str] = Field(default_factory=dict)


def record_files(folder: Path) -> list[Path]:
    """The records of a folder: its own, and those of the machines that did a part each."""
    return sorted(path for path in folder.glob(f"{RECORD}*.json") if _RECORD_FILE.fullmatch(path.name))


class FinishedCases:
    """The finished cases of a folder, on disk: what an earlier run made from the same is not made again.

    Several machines may fill one folder, each with a record of its own for its part of the cases.
    """

    def __init__(
        self, folder: Path, model: str, made_from: Mapping[str, str], *, replace: bool = False, part: str = ""
    ) -> None:
        """Open the folder, which is made if it is missing.

        Args:
            folder: Where the label maps lie.
            model: The model's folder, or several.
            made_from: Hashes of the weights, and the settings.
            replace: Whether cases that were made from something else are made again, instead of being refused.
            part: Name of the part of the cases that this machine does; empty for all.

        Raises:
            SegForgeError: If the folder holds predictions of another model or other settings.
        """
        make_folder(folder)
        self._path = folder / f"{RECORD}{part}.json"
        self._replace = replace
        versions = {package: metadata.version(package) for package in ("segforge", "torch")}
        self._record = PredictionRecord(model=model, made_from=dict(made_from), versions=versions)
        self._lock = Lock()
        self._failures: dict[str, str] = {}
        others = [path for path in record_files(folder) if path != self._path]
        self._elsewhere = {case: done for path in others for case, done in self._kept(path).items()}
        self._cases = self._kept(self._path)

    def has(self, case: str, inputs: Sequence[Path], output: Path) -> bool:
        """Whether the case was predicted from these files, and its result is as it was written."""
        done = self._cases.get(case) or self._elsewhere.get(case)
        if done is None or not output.is_file():
            return False
        try:
            return file_hash(output) == done.output and tuple(map(file_hash, inputs)) == done.inputs
        except SegForgeError:  # a file that cannot be read is its case's failure, not that of all
            return False

    def add(self, case: str, inputs: Sequence[Path], output: Path, seconds: Mapping[str, float] | None = None) -> None:
        """Write down that a case is finished, and how long each stage took."""
        rounded = {stage: round(value, 3) for stage, value in (seconds or {}).items()}
        done = PredictedCase(inputs=tuple(map(file_hash, inputs)), output=file_hash(output), seconds=rounded)
        with self._lock:
            self._cases[case] = done
            self._write()

    def fail(self, case: str, reason: str) -> None:
        """Write down that a case failed, and why; what an earlier run made of it no longer counts."""
        with self._lock:
            self._cases.pop(case, None)
            self._failures[case] = reason
            self._write()

    def _write(self) -> None:
        content = {"cases": dict(self._cases), "failures": dict(self._failures)}
        self._record.model_copy(update=content).write(self._path, durable=False)

    def _kept(self, path: Path) -> dict[str, PredictedCase]:
        if not path.is_file():
            return {}
        try:
            before = PredictionRecord.read(path)
        except SegForgeError as error:
            log.warning("%s All its cases are predicted again.", error)
            return {}
        if before.made_from == self._record.made_from:
            return dict(before.cases)
        if before.cases and not self._replace:
            raise SegForgeError(
                f"{path.parent} holds predictions of another model or other settings ({before.model}). "
                "Choose another folder, or remove this one."
            )
        return {}
