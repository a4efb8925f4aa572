"""Converts the cases of a source: each a task of its own, so that a bad one leaves the others alone."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segforge.compute.executors import ExecutorFactory, Resources, Task, run_all
from segforge.compute.sources import Source
from segforge.dataset.conversion.contents import Facts
from segforge.dataset.conversion.listing import examples
from segforge.dataset.conversion.recipe import Recipe
from segforge.dataset.conversion.record import CaseRecord, ConversionFolder
from segforge.dataset.conversion.source import SourceCase
from segforge.dataset.conversion.summary import counted, describe_left, summarize
from segforge.dataset.conversion.writing import write_case
from segforge.dataset.description import DatasetDescription
from segforge.errors import CasesFailed, SegForgeError

log = logging.getLogger(__name__)


@dataclass
class Conversion:
    """A data set in the making: look at all cases, then write them, then describe them.

    Attributes:
        folder: The data set's folder.
        cases: The cases of the source.
        factory: Opens an executor.
        resources: Its workers.
        write: Writes the files of a case into the data set's folder and returns them.
        records: What is known of each case that could be read.
        failures: Why a case could not be read or written; also of cases that were found to be damaged before.
    """

    folder: ConversionFolder
    cases: Sequence[SourceCase]
    factory: ExecutorFactory
    resources: Resources
    write: Callable[[SourceCase, Facts, Recipe, Path], list[Path]] = write_case
    records: dict[str, CaseRecord] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def inspect(self, inspect: Callable[[SourceCase], Facts], *, threshold: float | None = None) -> dict[str, Facts]:
        """What each case holds; those that were looked at before are not read again.

        Args:
            inspect: Reads a case.
            threshold: The limit by which it counts label values.

        Raises:
            CasesFailed: If no case can be read, or none of those with a label map.
        """
        if gone := self.folder.clear_others([*(case.id for case in self.cases), *self.failures]):
            log.info("%s no longer in the source, removed: %s.", counted(len(gone), "case"), examples(gone))
        known = {case.id: self.folder.record(case.id, case.files) for case in self.cases}
        known = {case: record if record and record.facts.threshold == threshold else None for case, record in known.items()}
        tasks = [Task(case.id, _inspect, (self.folder, case, inspect)) for case in self.cases if known[case.id] is None]
        outcome = run_all(self.factory, tasks, resources=self.resources, description="reading")
        self.failures |= outcome.failures
        found = {case.id: outcome.results.get(case.id) or known[case.id] for case in self.cases}
        self.records = {case: record for case, record in found.items() if record}
        has_labels = any(case.labels for case in self.cases)
        if all(record.facts.values is None for record in self.records.values()) and (has_labels or not self.records):
            raise CasesFailed(f"No case{' with a label map' * has_labels} can be read:\n{self._reasons}")
        return {case: record.facts for case, record in self.records.items()}

    def finish(self, recipe: Recipe, description: DatasetDescription, left: Mapping[str, Sequence[Path]]) -> None:
        """Write the files of each case, unless they are there, last `dataset.json`, and say what was done.

        What an earlier run wrote for a case that fails now is removed.

        Args:
            recipe: What is done to the files.
            description: The data set's; the number of training cases is put in here.
            left: Files of the source that no case uses, by the reason.

        Raises:
            CasesFailed: If cases could not be read or written; names each with its reason. The others are done.
        """
        done = self._write(recipe)
        for case in self.failures:
            self.folder.clear(case)
        described = description.model_copy(update={"num_training": sum(bool(case.labels) for case in done)})
        if described.num_training:
            self.folder.describe(described)
        if done:
            self._say(done, recipe, described, left)
        if self.failures:
            raise CasesFailed(
                f"{len(self.failures)} of {counted(self._total, 'case')} failed, the others are in {self.folder.path}. "
                f"Mend their files and type the same command again:\n{self._reasons}"
            )

    @property
    def _total(self) -> int:
        return len({*self.failures, *(case.id for case in self.cases)})

    @property
    def _reasons(self) -> str:
        return "\n".join(f"{case}: {reason}" for case, reason in sorted(self.failures.items()))

    def _say(
        self, done: Sequence[SourceCase], recipe: Recipe, description: DatasetDescription, left: Mapping[str, Sequence[Path]]
    ) -> None:
        counts = {"training": description.num_training, "test": len(done) - description.num_training}
        found = " and ".join(counted(count, f"{kind} case") for kind, count in counts.items() if count)
        log.info("%s: %s.", self.folder.path, found)
        facts = {case.id: self.records[case.id].facts for case in done}
        for line in (*summarize(done, facts, recipe, description), *describe_left(left)):
            log.info("%s", line)

    def _write(self, recipe: Recipe) -> list[SourceCase]:
        """Write what is not there, and return the cases that are in the data set now."""
        readable = [case for case in self.cases if case.id in self.records]
        due = [case for case in readable if not self.folder.is_finished(self.records[case.id], recipe)]
        if len(due) < len(readable):
            log.info("%d of %d cases are there already.", len(readable) - len(due), self._total)
        if due:
            self.folder.withdraw_description()
        tasks = [Task(case.id, _write, (self.folder, case, self.records[case.id], recipe, self.write)) for case in due]
        outcome = run_all(self.factory, tasks, resources=self.resources, description="writing")
        self.failures |= outcome.failures
        return [case for case in readable if case.id not in self.failures]


def _inspect(folder: ConversionFolder, case: SourceCase, inspect: Callable[[SourceCase], Facts]) -> CaseRecord:
    for path in case.files:
        if not path.is_file():
            raise SegForgeError(f"{path} is missing.")
    sources = tuple(Source.of(path) for path in case.files)
    return folder.keep_facts(case.id, sources, inspect(case))


def _write(
    folder: ConversionFolder,
    case: SourceCase,
    record: CaseRecord,
    recipe: Recipe,
    write: Callable[[SourceCase, Facts, Recipe, Path], list[Path]],
) -> None:
    folder.clear(case.id)
    outputs = tuple(Source.of(path) for path in write(case, record.facts, recipe, folder.path))
    folder.keep(case.id, record.model_copy(update={"recipe": recipe, "outputs": outputs}))
