"""A folder `TaskXXX_Name` with the `dataset.json` of the Medical Segmentation Decathlon, which nnU-Net v1 has too."""

import re
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from segforge.compute.documents import Document, read_json
from segforge.compute.executors import ExecutorFactory, Resources
from segforge.dataset.conversion.contents import Facts, inspect_case
from segforge.dataset.conversion.listing import list_files, picture_ending
from segforge.dataset.conversion.recipe import Recipe
from segforge.dataset.conversion.record import ConversionFolder, Origin
from segforge.dataset.conversion.run import Conversion
from segforge.dataset.conversion.source import SourceCase, with_ids
from segforge.dataset.description import FILE_NAME, DatasetDescription, checked_description
from segforge.dataset.labels import BACKGROUND
from segforge.dataset.spellings import modernised
from segforge.errors import SegForgeError
from segforge.images.files import read_labels

_FOLDER = re.compile(r"Task(\d+)_(.+)")
_KEPT = ("name", "description", "reference", "licence", "license", "release")


class TaskCase(BaseModel):
    """A training case: paths from the task's folder on."""

    model_config = ConfigDict(frozen=True)

    image: str
    label: str


class Task(Document):
    """The `dataset.json` of a task, with channels and labels in today's spelling; keys that are not known are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")

    channel_names: dict[str, str]
    labels: dict[str, int]
    training: tuple[TaskCase, ...] = Field(min_length=1)
    test: tuple[str, ...] = ()

    def description(self, ending: str, source: Path) -> DatasetDescription:
        """The `dataset.json` of the raw data set, with what the task says of its origin.

        Raises:
            SegForgeError: If the task contradicts itself; names the source.
        """
        background = next((name for name, value in self.labels.items() if value == 0), BACKGROUND)
        labels = {BACKGROUND if name == background else name: value for name, value in self.labels.items()}
        origin = {key: value for key, value in (self.model_extra or {}).items() if key in _KEPT}
        content = {"channel_names": self.channel_names, "labels": labels, "numTraining": 0, "file_ending": ending}
        return checked_description({**origin, **content}, source / FILE_NAME)


def read_task(folder: Path) -> Task:
    """Read a task's `dataset.json`.

    Raises:
        SegForgeError: If it is missing, or of another kind; names the field.
    """
    path = folder / FILE_NAME
    content = read_json(path)
    if not isinstance(content, dict) or "training" not in content:
        raise SegForgeError(
            f"{path} does not list its training cases, as those of the Decathlon and of nnU-Net v1 do. "
            "A data set of nnU-Net v2 needs no conversion: put it, or a link to it, into raw/."
        )
    return Task.parse(modernised(content)[0], str(path))


def number_and_name(folder: Path) -> tuple[int, str] | None:
    """4 and Hippocampus for a folder `Task04_Hippocampus`; None if it is called otherwise."""
    match = _FOLDER.fullmatch(folder.resolve().name)
    return (int(match[1]), match[2]) if match else None


def convert_task(
    kind: str,
    source: Path,
    folder: Path,
    task: Task,
    cases: Iterable[SourceCase],
    factory: ExecutorFactory,
    resources: Resources,
) -> None:
    """Make a raw data set of a task.

    Args:
        kind: The converter's name.
        source: The task's folder.
        folder: The data set's folder.
        task: The task's `dataset.json`.
        cases: Its cases; those without a label map become test cases.
        factory: Opens an executor.
        resources: Its workers.

    Raises:
        SegForgeError: If `dataset.json` contradicts itself, or the folder holds something else.
        CasesFailed: If some cases failed; names each with its reason. The others are done.
    """
    cases = with_ids(cases, other_way="")
    endings = {picture_ending(path) or "" for case in cases for path in (*case.images, *case.labels)}
    recipe = Recipe(ending=endings.pop() if len(endings) == 1 else ".nii.gz", splits_channels=True)
    description = task.description(recipe.ending, source)
    conversion = Conversion(
        ConversionFolder(folder, Origin(kind=kind, source=(str(source.resolve()),))), cases, factory, resources
    )
    conversion.inspect(partial(_inspect, channels=len(task.channel_names)))
    conversion.finish(recipe, description, _left(source, cases))


def _inspect(case: SourceCase, channels: int) -> Facts:
    facts = inspect_case(case, read_labels)
    if facts.channels != channels:
        raise SegForgeError(
            f"{case.images[0]} has {facts.channels} channels, {FILE_NAME} names {channels}. Correct one of them."
        )
    return facts


def _left(source: Path, cases: Sequence[SourceCase]) -> dict[str, tuple[Path, ...]]:
    used = {path.resolve() for case in cases for path in (*case.images, *case.labels)}
    left = tuple(file.path for file in list_files(source)[0] if file.path.resolve() not in used)
    return {f"images that {FILE_NAME} does not list": left} if left else {}
