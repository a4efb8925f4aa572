"""The held-out cases of a trained fold -> label maps and logits of whole volumes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from segforge.compute.executors import Resources, Task, inline, run_all
from segforge.compute.files import file_hash
from segforge.dataset.labels import BACKGROUND
from segforge.errors import CasesFailed
from segforge.experiment.kept_logits import DEFAULT_LIMIT, KeptLogits
from segforge.images.files import write_volume
from segforge.images.orientation import as_stored
from segforge.inference.export import CaseLogits, labels_of, probabilities_of
from segforge.inference.finished_cases import FinishedCases
from segforge.inference.loaded_model import LoadedModel
from segforge.inference.probabilities import ProbabilityFacts, write_probabilities
from segforge.networks.model_folder import FINAL, FoldFolder, ModelFolder
from segforge.preprocessing.store import CaseStore


@dataclass(frozen=True)
class HeldOut:
    """What predicts the held-out cases of a trained fold.

    Attributes:
        model: The model.
        fold: The fold; its cases are those that were written down when its training began.
        store: The preprocessed cases.
        device: Where to compute.
        checkpoint: File name of the checkpoint; that of the best has a folder of its own.
        keep_logits: Bytes that the kept logits of the data set may take together.
    """

    model: ModelFolder
    fold: FoldFolder
    store: CaseStore
    device: torch.device
    checkpoint: str = FINAL
    keep_logits: int = DEFAULT_LIMIT

    @cached_property
    def logits(self) -> KeptLogits:
        """The logits of each case by the final checkpoint, from the disk where they are."""
        heads = self.model.description.label_scheme.heads
        return KeptLogits(self.fold, self.store, heads, self._predicted, limit=self.keep_logits)

    def label_maps(self, cases: Sequence[str], ending: str, *, probabilities: bool = False) -> dict[str, Path]:
        """Write the label maps that are missing, and keep the logits of the final checkpoint.

        Args:
            cases: Their ids.
            ending: Ending of the label maps, which says their format.
            probabilities: Whether to write probabilities beside them, as `CASE.npz`.

        Returns:
            The label map of each case.

        Raises:
            CasesFailed: If cases failed; names each with its reason.
        """
        place = self.fold.validation_of(self.checkpoint)
        weights = {self.checkpoint: file_hash(self.fold.path / self.checkpoint)}
        finished = FinishedCases(place, str(self.model.path), weights, replace=True)
        paths = {case: place / f"{case}{ending}" for case in cases}

        def predict(case: str) -> None:
            self._write_labels(case, paths[case], probabilities=probabilities)
            finished.add(case, self.store.inputs(case), paths[case])

        due = [case for case in cases if not finished.has(case, self.store.inputs(case), paths[case])]
        tasks = [Task(case, predict, (case,)) for case in due]
        if probabilities:
            rest = [case for case in cases if case not in due and not (place / f"{case}.npz").is_file()]
            tasks += [Task(case, self._write_kept_probabilities, (case, place / f"{case}.npz")) for case in rest]
        outcome = run_all(inline, tasks, resources=Resources(), description=f"validation of fold {self.fold.fold}")
        if outcome.failures:
            raise CasesFailed(f"{len(outcome.failures)} cases could not be validated:\n{outcome.reasons}")
        return paths

    @cached_property
    def _network(self) -> LoadedModel:
        return LoadedModel(self.model, [self.fold.fold], self.device, checkpoint=self.checkpoint)

    def _predicted(self, case: str) -> Any:
        return self._network.logits(self.store.open(case)).values

    def _write_labels(self, case: str, path: Path, *, probabilities: bool) -> None:
        logits = self._network.logits(self.store.open(case))
        if self.checkpoint == FINAL:
            self.logits.keep(case, logits.values)
        store = path.parent / f"{case}.npz"
        store.unlink(missing_ok=True)  # it would belong to other weights
        if probabilities:
            self._write_probabilities(logits, store)
        write_volume(path, labels_of([logits], self._network.labels), logits.properties.geometry)

    def _write_kept_probabilities(self, case: str, path: Path) -> None:
        values = self.logits.open(case) if self.checkpoint == FINAL else self._predicted(case)
        plans = self.model.plans
        _, configuration = self.model.configuration(plans)
        self._write_probabilities(CaseLogits.of(values, self.store.properties(case), plans, configuration), path)

    def _write_probabilities(self, logits: CaseLogits, path: Path) -> None:
        labels = self.model.description.label_scheme
        names = ([] if labels.has_regions else [BACKGROUND]) + [target.name for target in labels.targets]
        geometry = logits.properties.geometry
        facts = ProbabilityFacts(heads=tuple(names), dtype="float32", geometry=geometry.stored or geometry)
        write_probabilities(path, (as_stored(head, geometry) for head in probabilities_of([logits], labels)), facts)
