"""The logits of a low resolution -> for each case the label map that trains the next stage of its cascade."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from segforge.compute.executors import Resources, Task, inline, run_all
from segforge.compute.files import make_folder
from segforge.compute.locks import FolderLock, Owner
from segforge.dataset.splits import Splits
from segforge.errors import CasesFailed, SegForgeError
from segforge.experiment.candidates import training_command
from segforge.experiment.held_out import HeldOut
from segforge.experiment.kept_logits import DEFAULT_LIMIT
from segforge.experiment.recorded_arrays import RecordedArrays
from segforge.networks.model_folder import ModelFolder
from segforge.preprocessing.preprocessor import CaseProperties
from segforge.preprocessing.resampling import find_resampling
from segforge.preprocessing.store import CaseStore

Array = npt.NDArray[Any]
Shape = tuple[int, int, int]

log = logging.getLogger(__name__)


def find_previous_model(results: Path, stage: str, *, name: str, plans: str) -> ModelFolder:
    """The model whose predictions a cascade is trained with: the one of the same name, else `default`.

    Args:
        results: The data set's results folder.
        stage: Its configuration.
        name: Name of the cascade's training.
        plans: Name of the plans.

    Raises:
        SegForgeError: If there is none; says how to train it.
    """
    models = [ModelFolder(results / ModelFolder.name_of(each, plans, stage)) for each in dict.fromkeys((name, "default"))]
    begun = [model for model in models if model.begun_folds()]
    if not begun:
        raise SegForgeError(
            f"The cascade needs predictions of {stage}, which is not trained yet. Train all its folds first: "
            f"{training_command(models[-1], 0)}, and so on."
        )
    return begun[0]


@dataclass(frozen=True)
class PreviousStage:
    """The model before the cascade in it, and the configuration that its predictions are for.

    Attributes:
        model: The previous model.
        store: The cases as it was trained on them.
        configuration: Name of the cascade's configuration.
        keep_logits: Bytes that the kept logits of the data set may take together.
    """

    model: ModelFolder
    store: CaseStore
    configuration: str
    keep_logits: int = DEFAULT_LIMIT

    @property
    def folder(self) -> Path:
        """Where the maps for the cascade lie."""
        return self.model.next_stage(self.configuration)

    def provide(self, cases: Collection[str], target: CaseStore, splits: Splits, device: torch.device) -> None:
        """See to it that there is a map for each case, by the fold that has not seen it.

        Args:
            cases: Ids of the cases.
            target: The cases as the cascade sees them; maps are made on their grids.
            splits: The folds of the data set.
            device: Where to predict what was not kept.

        Raises:
            SegForgeError: If a fold is missing; gives the commands that train what is missing.
            CasesFailed: If maps could not be made; names each case with its reason.
        """
        folds = self._folds_of(cases, splits)
        held_out = {
            fold: HeldOut(self.model, self.model.fold(fold), self.store, device, keep_logits=self.keep_logits)
            for fold in sorted(set(folds.values()))
        }
        own = {case: held_out[fold] for case, fold in folds.items()}
        if self._missing(own, target):
            make_folder(self.folder.parent)
            with FolderLock(self.folder, "filled").waited_for(Owner.here()):
                self._make(self._missing(own, target), own)  # what another process has made meanwhile is there

    def _missing(self, own: Mapping[str, HeldOut], target: CaseStore) -> dict[str, dict[str, str]]:
        """The cases without a map made from the logits as they are; what each map is to be made from."""
        maps, found = RecordedArrays(self.folder), {}
        for case, predictions in own.items():
            shape = target.properties(case).new_shape
            made_from = predictions.logits.made_from(case) | {"shape": " ".join(map(str, shape))}
            if not maps.has(case, made_from):
                found[case] = made_from
        return found

    def _make(self, missing: Mapping[str, Mapping[str, str]], own: Mapping[str, HeldOut]) -> None:
        maps = RecordedArrays(self.folder)

        def make(case: str, made_from: Mapping[str, str]) -> None:
            depth, height, width = map(int, made_from["shape"].split())
            maps.write(case, self._map(case, own[case].logits.open(case), (depth, height, width)), made_from)

        tasks = [Task(case, make, (case, made_from)) for case, made_from in missing.items()]
        if tasks:
            folds = sorted({own[case].fold.fold for case in missing})
            log.info("Maps of %s for %d cases, by folds %s.", self.model.path.name, len(tasks), ", ".join(folds))
        outcome = run_all(inline, tasks, resources=Resources(), description="maps of the previous stage")
        if outcome.failures:
            raise CasesFailed(f"{len(outcome.failures)} maps of the previous stage could not be made:\n{outcome.reasons}")

    def _folds_of(self, cases: Iterable[str], splits: Splits) -> dict[str, str]:
        """The trained fold that each case was held out of; of fold `all` those cases that no other fold has."""
        trained = self.model.trained_folds()
        validated = {fold: set(self.model.fold(fold).cases().val) for fold in trained}
        found = {case: next((fold for fold in trained if case in validated[fold]), None) for case in cases}
        if missing := [case for case, fold in found.items() if fold is None]:
            raise SegForgeError(self._remedy(missing, splits))
        if by_all := [case for case, fold in found.items() if fold == "all"]:
            log.warning(
                "%d cases have been trained on by the fold that predicts them (all): their maps are better than new ones are.",
                len(by_all),
            )
        return {case: fold for case, fold in found.items() if fold is not None}

    def _remedy(self, missing: Sequence[str], splits: Splits) -> str:
        folds = {number for case in missing for number, fold in enumerate(splits) if case in fold.val}
        needed: list[int | str] = sorted(folds)
        if any(all(case not in fold.val for fold in splits) for case in missing):
            needed.append("all")
        commands = "; ".join(training_command(self.model, fold) for fold in needed)
        return (
            f"{self.configuration} needs the predictions of {self.model.path.name} for every case; {len(missing)} are in the "
            f"validation of no trained fold. Train what is missing: {commands}"
        )

    def _map(self, case: str, logits: Array, shape: Shape) -> Array:
        """The class map `(1, Z, Y, X)` of logits `(heads, z, y, x)` on the cascade's grid, made slab by slab."""
        _, configuration = self.model.configuration(self.model.plans)
        labels = self.model.description.label_scheme
        spacing = _spacing(configuration.spacing, self.store.properties(case))
        resampling = find_resampling(configuration.resampling.method).between(logits.shape[1:], shape, spacing, spacing)
        classes = np.empty((1, *shape), np.int8 if labels.classes <= 128 else np.int16)
        for slab in resampling.slabs(logits.itemsize * len(logits)):
            rows = (resampling.rows(head, configuration.resampling.logits_order, slab) for head in logits)
            classes[0, slab] = labels.classes_from_logits(rows)
        return classes


def _spacing(spacing: tuple[float, ...], properties: CaseProperties) -> tuple[float, ...]:
    """Of the network's grid; slices keep the distance that the case has."""
    return spacing if len(spacing) == 3 else (properties.spacing[0], *spacing)
