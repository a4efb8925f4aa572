"""Models averaged: label maps of their held-out cases, from the logits that their validations kept."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from segforge.compute.executors import ExecutorFactory, Resources, Task, inline, run_all
from segforge.dataset.cases import RawDataset
from segforge.dataset.labels import LabelScheme
from segforge.errors import CasesFailed, SegForgeError
from segforge.evaluation.evaluate import evaluate_pairs
from segforge.evaluation.made_from import pairs_hash
from segforge.evaluation.summary import SUMMARY, Summary, case_of
from segforge.experiment.averages import MemberCase, write_average
from segforge.experiment.candidates import ENSEMBLES
from segforge.experiment.cross_validation import Gathered
from segforge.experiment.held_out import HeldOut
from segforge.experiment.prepared import Prepared
from segforge.inference.finished_cases import FinishedCases
from segforge.networks.model_folder import ModelFolder

Array = npt.NDArray[Any]

Pair = tuple[Path, Path]
"""Reference and prediction of a case."""


def ensemble_folder(results: Path, models: Sequence[ModelFolder]) -> Path:
    """Where the label maps of some models' average lie."""
    return results / ENSEMBLES / "___".join(model.path.name for model in models)


class Ensemble:
    """The average of some models over the cases that all of them held out.

    Attributes:
        members: The models with their validations.
        folder: Where its label maps lie.
        pairs: Reference and averaged label map of each case.
    """

    def __init__(self, members: Sequence[Gathered], prepared: Prepared) -> None:
        """Name what is there; nothing is computed yet.

        Args:
            members: The validations, of the same cases.
            prepared: The data set, for logits that were not kept.
        """
        self.members = tuple(members)
        self.folder = ensemble_folder(prepared.results, [member.model for member in members])
        self._prepared = prepared
        first = self.members[0].pairs
        self.pairs: list[Pair] = [(reference, self.folder / prediction.name) for reference, prediction in first]

    def summarize(self, dataset: RawDataset, factory: ExecutorFactory, resources: Resources) -> Summary:
        """Make the label maps that are missing or outdated, and evaluate them; what is done stays.

        Raises:
            CasesFailed: If cases failed; names each. The others are written.
            SegForgeError: If logits have to be made again and what they are made from is gone.
        """
        labels = dataset.description.label_scheme
        self._write_label_maps(labels, factory, resources)
        sources = {"label maps": pairs_hash(self.pairs)}
        path = self.folder / SUMMARY
        if (earlier := _read(path)) and earlier.made_from == sources:
            return earlier
        summary = evaluate_pairs(self.pairs, labels, factory, resources, sources)
        summary.write(path)
        return summary

    def _write_label_maps(self, labels: LabelScheme, factory: ExecutorFactory, resources: Resources) -> None:
        name = " and ".join(member.model.path.name for member in self.members)
        finished = FinishedCases(self.folder, name, {"average of": "probabilities"}, replace=True)
        outputs = {case_of(output): output for _, output in self.pairs}
        inputs = {case: _inputs([member.pairs[place] for member in self.members]) for place, case in enumerate(outputs)}
        due = [case for case in outputs if not finished.has(case, inputs[case], outputs[case])]
        for case in due:
            outputs[case].unlink(missing_ok=True)

        def note(case: str) -> None:
            if outputs[case].is_file():
                finished.add(case, inputs[case], outputs[case])

        opened = [_OpenLogits(member, self._prepared) for member in self.members] if due else []
        kept = [case for case in due if all(member.is_kept(case) for member in opened)]
        tasks = [Task(case, write_average, ([each.kept(case) for each in opened], labels, outputs[case])) for case in kept]
        outcome = run_all(factory, tasks, resources=resources, description=name, finished=note)
        # What was not kept is predicted again, by networks that use all of the device themselves.
        rest = [Task(case, _predict_average, (opened, case, labels, outputs[case])) for case in due if case not in kept]
        predicted = run_all(inline, rest, resources=Resources(), description=name, finished=note)
        if failures := outcome.failures | predicted.failures:
            reasons = "\n".join(f"{case}: {reason}" for case, reason in sorted(failures.items()))
            raise CasesFailed(f"{len(failures)} cases of {name} could not be averaged:\n{reasons}")


class _OpenLogits:
    """The logits of all held-out cases of a model."""

    def __init__(self, member: Gathered, prepared: Prepared) -> None:
        self._member, self._prepared = member, prepared
        self._plans = member.model.plans
        _, self._configuration = member.model.configuration(self._plans)

    def is_kept(self, case: str) -> bool:
        return self._held_out[case].logits.has(case)

    def kept(self, case: str) -> MemberCase:
        """A case whose logits are on the disk, small enough to be sent to another process."""
        mapped = cast("np.memmap[Any, Any]", self._held_out[case].logits.open(case))
        return self._case(case, Path(str(mapped.filename)))

    def made(self, case: str) -> MemberCase:
        """A case whose logits are predicted where they are missing."""
        return self._case(case, self._held_out[case].logits.open(case))

    def _case(self, case: str, values: Array | Path) -> MemberCase:
        return MemberCase(values, self._held_out[case].store.properties(case), self._plans, self._configuration)

    @cached_property
    def _held_out(self) -> dict[str, HeldOut]:
        """What predicts each case: the fold that has not seen it."""
        model, prepared = self._member.model, self._prepared
        folds = {fold: model.fold(fold).cases().val for fold in self._member.folds}
        store = prepared.store_of(model, [case for cases in folds.values() for case in cases])
        by_fold = {
            fold: HeldOut(model, model.fold(fold), store, prepared.device, keep_logits=prepared.keep_logits) for fold in folds
        }
        return {case: by_fold[fold] for fold, cases in folds.items() for case in cases}


def _predict_average(members: Sequence[_OpenLogits], case: str, labels: LabelScheme, output: Path) -> None:
    write_average([member.made(case) for member in members], labels, output)


def _inputs(pairs: Sequence[Pair]) -> list[Path]:
    """What an average is recognised by: each member's label map, and the validation's record, which knows the weights."""
    return [path for _, prediction in pairs for path in (prediction, prediction.with_name(SUMMARY))]


def _read(path: Path) -> Summary | None:
    try:
        return Summary.read(path) if path.is_file() else None
    except SegForgeError:
        return None
