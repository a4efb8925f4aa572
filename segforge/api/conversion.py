"""`segforge convert` and `segforge describe` as functions."""

import re
from collections.abc import Sequence
from os.path import commonpath
from pathlib import Path
from typing import Literal

from segforge.compute.executors import executor_for
from segforge.dataset.cases import RawDataset, open_dataset
from segforge.dataset.conversion.choosing import Wishes
from segforge.dataset.conversion.describing import Names
from segforge.dataset.conversion.dicom import convert_studies
from segforge.dataset.conversion.existing import describe_folder
from segforge.dataset.conversion.msd import convert_decathlon
from segforge.dataset.conversion.nnunet_v1 import convert_old_nnunet
from segforge.dataset.conversion.pair_list import read_pairs
from segforge.dataset.conversion.pairing import Templates, pair_folders
from segforge.dataset.conversion.pictures import convert_pictures
from segforge.dataset.conversion.source import without_unlabelled
from segforge.dataset.conversion.studies import find_series
from segforge.dataset.conversion.task import number_and_name
from segforge.dataset.description import FILE_NAME, DatasetDescription
from segforge.errors import SegForgeError
from segforge.workspace import find_workspace


def convert_images(
    source: Path | str | None = None,
    *,
    dataset: int,
    name: str | None = None,
    images: Path | str | None = None,
    labels: Path | str | None = None,
    pairs: Path | str | None = None,
    image_pattern: str | None = None,
    pattern: str | None = None,
    unlabelled: Literal["leave", "test"] = "leave",
    grey: bool = False,
    stack: bool = False,
    spacing: tuple[float, float, float] | None = None,
    threshold: float | None = None,
    channel_names: Sequence[str] | None = None,
    label_names: Sequence[str] | None = None,
    workers: int | None = None,
    workspace: Path | None = None,
) -> RawDataset:
    """Make a raw data set of images and label maps in folders, or in a table of pairs; the source stays as it is.

    Args:
        source: A folder that holds both; or give `images` and `labels`, or `pairs`.
        dataset: Number of the new data set.
        name: Its name; None takes the folder's.
        images: Folder of the images.
        labels: Folder of the label maps.
        pairs: Table with the columns image, label and, if wanted, case.
        image_pattern: How images are named, with `{case}` for what they share with their label map.
        pattern: How label maps are named, `{case}_mask` for example.
        unlabelled: What becomes of images without a label map: `leave`, or `test` for test cases.
        grey: Whether colours become one channel.
        stack: Whether the slices in a folder become one volume.
        spacing: Voxel size (z, y, x) of stacks.
        threshold: Label values above it become 1, the others 0.
        channel_names: Names of the channels, which choose their normalization.
        label_names: Names of the label values above 0, in order; or `name=value`.
        workers: Worker processes; None works in threads, one per core, and 0 in this thread.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If images and label maps cannot be told apart or do not fit together, or the number is taken.
        CasesFailed: If cases failed; names each. The others are done.
    """
    templates = Templates(image_pattern, pattern)
    places = _places([source, images, labels, pairs], templates)
    folder = find_workspace(workspace).new_raw_folder(dataset, name or _name_of(places))
    pairing = read_pairs(places[0]) if pairs else pair_folders(places[0], places[-1], templates)
    if unlabelled == "leave" and not pairs:
        pairing = without_unlabelled(pairing)
    names = _names(channel_names, label_names)
    wishes = Wishes(grey, stack, spacing, threshold, names.are_labels_by_value)
    convert_pictures(pairing, folder, places, wishes, names, *executor_for(workers))
    return open_dataset(folder)


def convert_msd(
    source: Path | str,
    *,
    dataset: int | None = None,
    name: str | None = None,
    test: bool = True,
    workers: int | None = None,
    workspace: Path | None = None,
) -> RawDataset:
    """Make a raw data set of a task of the Medical Segmentation Decathlon; the source stays as it is.

    Args:
        source: The folder `TaskXX_Name`.
        dataset: Number of the new data set; None takes the task's.
        name: Its name; None takes the task's.
        test: Whether to take the test images too.
        workers: Worker processes; None works in threads, one per core, and 0 in this thread.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If the folder is no task, or the number is taken.
        CasesFailed: If cases failed; names each. The others are done.
    """
    folder = _task_folder(Path(source), dataset, name, workspace)
    convert_decathlon(Path(source), folder, *executor_for(workers), test=test)
    return open_dataset(folder)


def convert_nnunet_v1(
    source: Path | str,
    *,
    dataset: int | None = None,
    name: str | None = None,
    test: bool = True,
    workers: int | None = None,
    workspace: Path | None = None,
) -> RawDataset:
    """Make a raw data set of a task of nnU-Net v1; arguments and errors as for `convert_msd`."""
    folder = _task_folder(Path(source), dataset, name, workspace)
    convert_old_nnunet(Path(source), folder, *executor_for(workers), test=test)
    return open_dataset(folder)


def convert_dicom(
    source: Path | str,
    *,
    dataset: int,
    name: str | None = None,
    modality: str | None = None,
    test: bool = True,
    channel_names: Sequence[str] | None = None,
    label_names: Sequence[str] | None = None,
    workers: int | None = None,
    workspace: Path | None = None,
) -> RawDataset | None:
    """Make a raw data set of DICOM series and the segmentations (SEG) that refer to them; the source stays as it is.

    Args:
        source: The folder in which the series lie, at any depth.
        dataset: Number of the new data set.
        name: Its name; None takes the folder's.
        modality: The modality to take, `CT` for example; None takes all, if they are of one.
        test: Whether to take series without a segmentation as test cases.
        channel_names: The name of the channel, which chooses its normalization; None takes the modality.
        label_names: Names of the label values above 0, in order; or `name=value`; None takes the labels of the segments.
        workers: Worker processes; None works in threads, one per core, and 0 in this thread.
        workspace: The workspace folder; None finds it.

    Returns:
        The data set; None if no series has a segmentation, so that there are test cases alone.

    Raises:
        SegForgeError: If there is no series, the series are of several modalities, or the number is taken.
        CasesFailed: If cases failed; names each. The others are done.
    """
    place = Path(source).resolve()
    folder = find_workspace(workspace).new_raw_folder(dataset, name or _name_of([place]))
    studies = find_series(place, *executor_for(workers), modality=modality, test=test)
    names = _names(channel_names, label_names)
    convert_studies(place, folder, studies, names, *executor_for(workers))
    return open_dataset(folder) if (folder / FILE_NAME).is_file() else None


def describe(
    dataset: int | str | Path,
    *,
    channel_names: Sequence[str] | None = None,
    label_names: Sequence[str] | None = None,
    force: bool = False,
    workers: int | None = None,
    workspace: Path | None = None,
) -> DatasetDescription:
    """Write `dataset.json` for a folder that has `imagesTr` and `labelsTr` already.

    Args:
        dataset: The folder; or number or name of the data set.
        channel_names: Names of the channels, which choose their normalization.
        label_names: Names of the label values above 0, in order; or `name=value`.
        force: Whether to replace the one that is there, which is kept aside.
        workers: Worker processes; None works in threads, one per core, and 0 in this thread.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If there is one already, or files are missing or do not fit together.
        CasesFailed: If cases cannot be read; names each, and nothing is written.
    """
    if isinstance(dataset, Path):
        folder = dataset
    else:
        place = find_workspace(workspace)
        folder = place.raw_folder(place.dataset_name(str(dataset)))
    return describe_folder(folder, _names(channel_names, label_names), *executor_for(workers), force=force)


def _places(named: Sequence[Path | str | None], templates: Templates) -> tuple[Path, ...]:
    """What was named as the source, resolved: one folder, folders of images and of label maps, or a table."""
    one_folder, two_folders, table = [True, False, False, False], [False, True, True, False], [False, False, False, True]
    given = [place is not None for place in named]
    if given not in (one_folder, two_folders, table):
        raise SegForgeError("Name the source in one way: one folder, or --images DIR with --labels DIR, or --pairs FILE.csv.")
    if given == table and templates != Templates():
        raise SegForgeError(
            "--image-pattern and --pattern are for folders; the table of --pairs says itself what belongs together. "
            "Leave them out."
        )
    return tuple(Path(place).resolve() for place in named if place is not None)


def _name_of(places: Sequence[Path]) -> str:
    folders = [place.parent if place.is_file() else place for place in places]
    return re.sub(r"[^A-Za-z0-9]+", "_", Path(commonpath(folders)).name).strip("_")


def _task_folder(source: Path, number: int | None, name: str | None, workspace: Path | None) -> Path:
    found = number_and_name(source)
    if found is None and (number is None or name is None):
        raise SegForgeError(
            f"{source} is not called like Task04_Name. Give the data set a number with -d and a name with --name."
        )
    default_number, default_name = found or (0, "")
    return find_workspace(workspace).new_raw_folder(default_number if number is None else number, name or default_name)


def _names(channels: Sequence[str] | None, labels: Sequence[str] | None) -> Names:
    return Names(tuple(channels) if channels else None, tuple(labels) if labels else None)
