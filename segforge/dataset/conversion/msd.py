"""A task of the Medical Segmentation Decathlon as a raw data set: files with four axes are split into channels."""

from pathlib import Path

from segforge.compute.executors import ExecutorFactory, Resources
from segforge.dataset.conversion.listing import without_ending
from segforge.dataset.conversion.source import SourceCase
from segforge.dataset.conversion.task import convert_task, read_task

KIND = "msd"


def convert_decathlon(source: Path, folder: Path, factory: ExecutorFactory, resources: Resources, *, test: bool = True) -> None:
    """Make a raw data set of a folder `TaskXX_Name`; its test images too, if `test`.

    Raises:
        SegForgeError: If `dataset.json` is missing or wrong, or the folder holds something else.
        CasesFailed: If some cases failed; names each with its reason. The others are done.
    """
    task = read_task(source)
    cases = [
        SourceCase(without_ending(Path(case.image).name), (source / case.image,), (source / case.label,))
        for case in task.training
    ]
    if test:
        cases += [SourceCase(without_ending(Path(image).name), (source / image,)) for image in task.test]
    convert_task(KIND, source, folder, task, cases, factory, resources)
