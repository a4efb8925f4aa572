"""The data set's folder while it is made: what each case was made from, so that the same command goes on where it stopped."""

import hashlib
import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal

from segforge.compute.documents import Document
from segforge.compute.files import file_hash, make_folder, move_aside, remove_leftovers, write_text
from segforge.compute.sources import Source
from segforge.dataset.conversion.contents import Facts
from segforge.dataset.conversion.recipe import Recipe
from segforge.dataset.description import FILE_NAME as DESCRIPTION
from segforge.dataset.description import DatasetDescription
from segforge.errors import SegForgeError

log = logging.getLogger(__name__)

FILE_NAME = "conversion.json"
FOLDER = "conversion"

_PARTS = ("imagesTr", "imagesTs", "labelsTr")


class Origin(Document):
    """What a data set is converted from (`conversion.json`).

    Attributes:
        version: Version of this schema.
        kind: The converter's name.
        source: The folders or the table that it was given.
        description: Hash of the `dataset.json` that was written; None until it is.
    """

    version: Literal[1] = 1
    kind: str
    source: tuple[str, ...]
    description: str | None = None


class CaseRecord(Document):
    """What a case was made from, and what it became (`conversion/CASE.json`).

    Attributes:
        sources: The files of the source.
        facts: What they hold.
        recipe: What was done to them; None if they were only looked at yet.
        outputs: The files that were written.
    """

    sources: tuple[Source, ...]
    facts: Facts
    recipe: Recipe | None = None
    outputs: tuple[Source, ...] = ()


class ConversionFolder:
    """The folder of a data set that is converted."""

    def __init__(self, path: Path, origin: Origin) -> None:
        """Open the folder, which is made if it is missing.

        Raises:
            SegForgeError: If it holds something else than this conversion, or lies in the source.
        """
        self.path = path
        self._origin = self._opened(origin)
        for part in ("", FOLDER, *_PARTS):
            remove_leftovers(path / part)

    def record(self, case: str, sources: Sequence[Path]) -> CaseRecord | None:
        """What is known of a case, if its files in the source are still the same."""
        record = self._read(case)
        if record is None or len(record.sources) != len(sources) or not all(path.is_file() for path in sources):
            return None
        same = all(source.is_unchanged(path) for source, path in zip(record.sources, sources, strict=True))
        return record if same else None

    def is_finished(self, record: CaseRecord, recipe: Recipe) -> bool:
        """Whether the files of a case are there as they would be made now."""
        return record.recipe == recipe and all(
            path.is_file() and output.is_unchanged(path) for output, path in self._outputs(record)
        )

    def keep(self, case: str, record: CaseRecord) -> None:
        """Write down what is known of a case."""
        record.write(self._record_path(case), durable=False)

    def keep_facts(self, case: str, sources: tuple[Source, ...], facts: Facts) -> CaseRecord:
        """Write down what a case holds; files that were made of it before stay known."""
        before = self._read(case)
        record = CaseRecord(sources=sources, facts=facts, outputs=before.outputs if before else ())
        self.keep(case, record)
        return record

    def clear(self, case: str) -> None:
        """Remove the files of a case; those that were changed after they were written are kept aside."""
        record = self._read(case)
        for output, path in self._outputs(record) if record else ():
            if not path.is_file():
                continue
            if output.is_unchanged(path):
                path.unlink()
            else:
                log.warning("%s was changed after it was converted; it is kept as %s.", path, move_aside(path).name)
        self._record_path(case).unlink(missing_ok=True)

    def clear_others(self, cases: Collection[str]) -> list[str]:
        """Remove the cases that the source has no more, and return their names."""
        gone = sorted({path.stem for path in (self.path / FOLDER).glob("*.json")} - set(cases))
        for case in gone:
            self.clear(case)
        return gone

    def withdraw_description(self) -> None:
        """Take `dataset.json` away while cases are made, unless the user has edited it."""
        if self._description.is_file() and file_hash(self._description) == self._origin.description:
            self._description.unlink()

    def describe(self, description: DatasetDescription) -> None:
        """Write `dataset.json`, unless it would say what it said the last time; one that the user edited is kept aside."""
        text = description.to_json()
        if self._description.is_file():
            if _hash(text) == self._origin.description:
                return
            if file_hash(self._description) != self._origin.description:
                log.warning("%s was edited; it is kept as %s.", self._description, move_aside(self._description).name)
        self._origin = self._origin.model_copy(update={"description": _hash(text)})
        self._origin.write(self.path / FILE_NAME)
        write_text(self._description, text, durable=True)

    @property
    def _description(self) -> Path:
        return self.path / DESCRIPTION

    def _opened(self, origin: Origin) -> Origin:
        for source in origin.source:
            if self.path.resolve().is_relative_to(source):
                raise SegForgeError(f"{self.path} would lie in its own source {source}. Choose a workspace outside of it.")
        known = self.path / FILE_NAME
        if known.is_file():
            before = Origin.read(known)
            if (before.kind, before.source) == (origin.kind, origin.source):
                return before
            if any((self.path / part).exists() for part in (DESCRIPTION, *_PARTS)):
                raise SegForgeError(
                    f"{self.path} was converted from {', '.join(before.source)}, not from {', '.join(origin.source)}. "
                    "Give the new data set another number with -d, or remove this one."
                )
        elif self.path.exists() and any(self.path.iterdir()):
            raise SegForgeError(
                f"{self.path} exists and was not made by segforge convert {origin.kind}. "
                "Give the new data set another number with -d, or remove this one."
            )
        make_folder(self.path / FOLDER)
        origin.write(known)
        return origin

    def _record_path(self, case: str) -> Path:
        return self.path / FOLDER / f"{case}.json"

    def _read(self, case: str) -> CaseRecord | None:
        path = self._record_path(case)
        if not path.is_file():
            return None
        try:
            return CaseRecord.read(path)
        except SegForgeError as error:
            log.warning("%s The case is converted again.", error)
            return None

    def _outputs(self, record: CaseRecord) -> list[tuple[Source, Path]]:
        return [(output, self.path / output.name) for output in record.outputs]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
