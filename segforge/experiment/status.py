"""How far an experiment is, by what lies on the disk: planned, preprocessed, trained, validated, selected, and what is next."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel

from segforge.compute.documents import Document, NanFloat, read_json
from segforge.dataset.cases import RawDataset
from segforge.dataset.splits import FILE_NAME as SPLITS
from segforge.dataset.splits import read_splits
from segforge.errors import SegForgeError
from segforge.evaluation.summary import SUMMARY, Summary
from segforge.experiment.candidates import SELECTION, parts_of, training_command
from segforge.networks.model_folder import ModelFolder
from segforge.planning.plans import Plans, plans_path
from segforge.preprocessing.recipe import recipe
from segforge.preprocessing.run import lock_of_cases
from segforge.preprocessing.store import CaseStore
from segforge.training.history import History
from segforge.training.settings import TrainingSettings
from segforge.training.sole_run import lock_of

VALIDATED = "validated"


class DataStatus(Document):
    """The preprocessed cases of a configuration.

    Attributes:
        plans: Name of the plans.
        configuration: Name of the configuration.
        done: Cases that are complete and up to date.
        worker: Who preprocesses them now, in words.
    """

    plans: str
    configuration: str
    done: int
    worker: str | None = None


class FoldStatus(Document):
    """The training of a fold.

    Attributes:
        model: Name of the model's folder.
        fold: Fold number, or `all`.
        state: `not begun`, `begun`, `trained` or `validated`.
        epoch: Epochs that are done.
        epochs: Of how many; None within a budget of time, or where it has not begun.
        dice: Mean foreground Dice of the validation.
        worker: Who trains it now, in words.
    """

    model: str
    fold: str
    state: str
    epoch: int = 0
    epochs: int | None = None
    dice: NanFloat | None = None
    worker: str | None = None


class Status(Document):
    """How far everything of a data set is.

    Attributes:
        version: Version of this schema.
        dataset: Folder name of the data set.
        cases: Number of its training cases.
        plans: Names of its plans.
        data: Preprocessed cases, a row for each configuration.
        folds: Trainings, begun or not; those that are not named by anybody are called `default`.
        selected: The models that predict, if they are selected.
        selected_folds: The folds that were compared for it.
        next: The command that comes next.
    """

    version: Literal[1] = 1
    dataset: str
    cases: int
    plans: tuple[str, ...]
    data: tuple[DataStatus, ...]
    folds: tuple[FoldStatus, ...]
    selected: tuple[str, ...] = ()
    selected_folds: tuple[str, ...] = ()
    next: str


def data_status(raw: RawDataset, preprocessed: Path, plans: Plans) -> Iterator[DataStatus]:
    """The preprocessed cases of each configuration; files are compared by size and time.

    Args:
        raw: The raw data set.
        preprocessed: The folder of its plans and preprocessed cases.
        plans: The plans.
    """
    for name, configuration in plans.configurations.items():
        store = CaseStore(preprocessed / configuration.data, recipe(plans, configuration, raw.description))
        done = sum(store.is_current(case.id, case.files) for case in raw.cases)
        yield DataStatus(plans=plans.name, configuration=name, done=done, worker=lock_of_cases(store.folder).worker())


def fold_status(model: ModelFolder, divisions: int) -> Iterator[FoldStatus]:
    """The trainings of a model, begun or not.

    Args:
        model: The model's folder, there or not.
        divisions: Number of folds that the cases are divided into.
    """
    folds = dict.fromkeys([*map(str, range(divisions)), *model.begun_folds()]) or {"all": None}
    settings = TrainingSettings.read(model.settings_path) if model.settings_path.is_file() else None
    for fold in folds:
        folder = model.fold(fold)
        records = History(folder.path).read()
        summary = _summary(folder.validation / SUMMARY) if folder.is_trained else None
        state = VALIDATED if summary else "trained" if folder.is_trained else "begun" if folder.path.is_dir() else "not begun"
        yield FoldStatus(
            model=model.path.name,
            fold=fold,
            state=state,
            epoch=records[-1].epoch + 1 if records else 0,
            epochs=settings.epochs if settings else None,
            dice=summary.dice if summary else None,
            worker=lock_of(folder.path).worker(),
        )


def status_of(raw: RawDataset, preprocessed: Path, results: Path) -> Status:
    """How far everything of a data set is.

    Args:
        raw: The raw data set.
        preprocessed: The folder of its plans and preprocessed cases.
        results: The folder of its models.

    Raises:
        SegForgeError: If plans, folds or settings are damaged.
    """
    plans = [Plans.read(path) for path in sorted(plans_path(preprocessed, "*").parent.glob("*.json"))]
    splits = preprocessed / SPLITS
    divisions = len(read_splits(splits, [case.id for case in raw.cases])) if splits.is_file() else 0
    data = tuple(row for one in plans for row in data_status(raw, preprocessed, one))
    folds = tuple(row for one in plans for model in _models(one, results) for row in fold_status(model, divisions))
    chosen = _Selected.of(results)
    return Status(
        dataset=raw.folder.name,
        cases=len(raw.cases),
        plans=tuple(one.name for one in plans),
        data=data,
        folds=folds,
        selected=chosen.models,
        selected_folds=chosen.folds,
        next=_next(raw, results, data, folds, chosen),
    )


class _Ranked(BaseModel):
    models: tuple[str, ...]


class _Selected(BaseModel):
    """What `selection.json` says of the models; the rest of it is for prediction."""

    models: tuple[str, ...] = ()
    folds: tuple[str, ...] = ()
    ranking: tuple[_Ranked, ...] = ()

    @classmethod
    def of(cls, results: Path) -> Self:
        try:
            return cls.model_validate(read_json(results / SELECTION))
        except (SegForgeError, ValueError):  # missing or damaged: it is made again
            return cls()

    def covers(self, folds: Sequence[FoldStatus]) -> bool:
        """Whether all that is validated was compared."""
        compared = {model for one in self.ranking for model in one.models}
        numbered = [row for row in folds if row.state == VALIDATED and row.fold != "all"]
        return bool(compared) and all(row.model in compared and row.fold in self.folds for row in numbered)


def _next(raw: RawDataset, results: Path, data: Sequence[DataStatus], folds: Sequence[FoldStatus], chosen: _Selected) -> str:
    """The command that comes next; where others work on the rest, what comes after that."""
    dataset = raw.folder.name
    if not data:
        return f"segforge plan -d {dataset}"
    unfinished = {tuple(row.model.split("__")[1:]) for row in folds if row.state != VALIDATED}
    needed = [row for row in data if row.done < len(raw.cases) and (row.plans, row.configuration) in unfinished]
    if missing := [row for row in needed if not row.worker]:
        plans = f" -p {missing[0].plans}" if missing[0].plans != "default" else ""
        return f"segforge preprocess -d {dataset}{plans} -c {missing[0].configuration}"
    if left := [row for row in folds if row.state != VALIDATED and not row.worker]:
        return training_command(ModelFolder(results / left[0].model), left[0].fold)
    if needed or any(row.worker for row in folds if row.state != VALIDATED):
        return f"segforge find-best -d {dataset}, once what others work on is done"
    return f"segforge predict -d {dataset} -i IMAGES -o OUTPUT" if chosen.covers(folds) else f"segforge find-best -d {dataset}"


def _models(plans: Plans, results: Path) -> list[ModelFolder]:
    """The models of plans, there or not: of each configuration those of all names, else `default`."""
    found = []
    for configuration in plans.configurations:
        there = [folder for folder in sorted(results.glob(f"*__{plans.name}__{configuration}")) if folder.is_dir()]
        found += there or [results / ModelFolder.name_of("default", plans.name, configuration)]
    return [model for model in map(ModelFolder, found) if len(parts_of(model)) == 3]


def _summary(path: Path) -> Summary | None:
    try:
        return Summary.read(path)
    except SegForgeError:  # missing or damaged: it is made again
        return None
