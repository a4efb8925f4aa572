"""A task of nnU-Net v1 as a raw data set."""

from pathlib import Path

from segforge.compute.executors import ExecutorFactory, Resources
from segforge.dataset.conversion.listing import without_ending
from segforge.dataset.conversion.source import SourceCase
from segforge.dataset.conversion.task import convert_task, read_task

KIND = "nnunet-v1"


def convert_old_nnunet(
    source: Path, folder: Path, factory: ExecutorFactory, resources: Resources, *, test: bool = True
) -> None:
    """Make a raw data set of a folder `TaskXXX_Name` with files `CASE_0000.nii.gz`; its test images too, if `test`.

    Raises:
        SegForgeError: If `dataset.json` is missing or wrong, or the folder holds something else.
        CasesFailed: If some cases failed; names each with its reason. The others are done.
    """
    task = read_task(source)
    channels = range(len(task.channel_names))
    cases = [
        SourceCase(_name(case.image), _channels(source / case.image, channels), (source / case.label,))
        for case in task.training
    ]
    if test:
        cases += [SourceCase(_name(image), _channels(source / image, channels)) for image in task.test]
    convert_task(KIND, source, folder, task, cases, factory, resources)


def _name(image: str) -> str:
    return without_ending(Path(image).name)


def _channels(image: Path, channels: range) -> tuple[Path, ...]:
    """`CASE_0000.nii.gz`, ... for the `CASE.nii.gz` that `dataset.json` lists."""
    name = without_ending(image.name)
    return tuple(image.with_name(f"{name}_{index:04d}{image.name[len(name) :]}") for index in channels)
