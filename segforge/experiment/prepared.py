"""A data set that is planned and preprocessed, and the cases as a model sees them, whatever it builds on."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch

from segforge.dataset.cases import RawDataset
from segforge.dataset.splits import FILE_NAME as SPLITS
from segforge.dataset.splits import Splits, read_splits
from segforge.errors import SegForgeError
from segforge.experiment.kept_logits import DEFAULT_LIMIT
from segforge.experiment.previous_stage import PreviousStage, find_previous_model
from segforge.networks.model_folder import ModelFolder
from segforge.planning.plans import Plans
from segforge.preprocessing.recipe import recipe
from segforge.preprocessing.store import CaseStore
from segforge.training.settings import TrainingSettings


@dataclass(frozen=True)
class Prepared:
    """Where a data set lies.

    Attributes:
        raw: The raw data set.
        preprocessed: The folder of its plans, folds and preprocessed cases.
        results: The folder of its models.
        device: Where to predict what is missing.
        keep_logits: Bytes that the kept logits of all its models may take together.
    """

    raw: RawDataset
    preprocessed: Path
    results: Path
    device: torch.device
    keep_logits: int = DEFAULT_LIMIT

    @property
    def splits(self) -> Splits:
        """Its folds; none where a single case has none."""
        path = self.preprocessed / SPLITS
        return read_splits(path, [case.id for case in self.raw.cases]) if path.is_file() else Splits(())

    def store(self, plans: Plans, configuration: str, cases: Collection[str], previous: ModelFolder | None = None) -> CaseStore:
        """The preprocessed cases for a configuration of some plans.

        Args:
            plans: The plans.
            configuration: Name of the configuration.
            cases: The cases that will be opened.
            previous: For a cascade the model before it, whose maps are made where they are missing.

        Raises:
            SegForgeError: If the previous model has other labels, or lacks folds; says what to do.
        """
        chosen = plans.configuration(configuration)
        folder, made_by = self.preprocessed / chosen.data, recipe(plans, chosen, self.raw.description)
        if previous is None:
            return CaseStore(folder, made_by)
        if previous.description.labels != self.raw.description.labels:
            raise SegForgeError(f"{previous.path} was trained with other labels than {self.raw.folder} has now. Train it anew.")
        stage = PreviousStage(previous, self.store_of(previous, cases), configuration, self.keep_logits)
        stage.provide(cases, CaseStore(folder, made_by), self.splits, self.device)
        return CaseStore(folder, made_by, stage.folder)

    def store_of(self, model: ModelFolder, cases: Collection[str]) -> CaseStore:
        """The preprocessed cases as a model was trained on them, whatever plans of its name say today."""
        plans = model.plans
        name, configuration = model.configuration(plans)
        previous = None
        if configuration.previous_stage:
            known = TrainingSettings.read(model.settings_path).previous_model
            previous = ModelFolder(self.results / known) if known else self.previous_model(model.path.name, plans, name)
        return self.store(plans, name, cases, previous)

    def previous_model(self, model: str, plans: Plans, configuration: str) -> ModelFolder:
        """The model that a cascade builds on, of the same name or `default`.

        Args:
            model: Name of the cascade's folder.
            plans: Its plans.
            configuration: Its configuration.
        """
        stage = plans.configuration(configuration).previous_stage
        assert stage is not None
        return find_previous_model(self.results, stage, name=model.split("__", maxsplit=1)[0], plans=plans.name)
