"""What a user wants predicted: a folder, files, DICOM series, or a JSON list of cases."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segforge.compute.documents import read_json
from segforge.dataset.cases import Case, ImagesByCase, Listing, case_and_channel, list_images, listing_of
from segforge.dataset.description import DatasetDescription
from segforge.errors import SegForgeError
from segforge.images.files import FORMATS, ending_of, holds_planes_alone, read_grid

_FORM = '[["a_0000.nii.gz", "a_0001.nii.gz"], ...] or [{"id": "a", "images": ["t1.nii.gz", "t2.nii.gz"]}, ...]'


def find_inputs(inputs: Sequence[Path], description: DatasetDescription) -> Listing:
    """The cases that are meant, complete or not.

    Args:
        inputs: A folder of images or DICOM series; or files, and folders of one DICOM series each, named `CASE_0000.ending`,
            or `CASE.ending` where one file is all that a case has; or a JSON file with a list of cases, each the list of its
            channels' files, or `{"id": ..., "images": [...]}`, relative to the JSON file.
        description: Of the data set that the model was trained on.

    Raises:
        SegForgeError: If there is no case, or the JSON file is something else.
    """
    if len(inputs) == 1 and inputs[0].suffix == ".json":
        return _from_json(inputs[0])
    if len(inputs) == 1 and inputs[0].is_dir():
        return list_images(inputs[0], description)
    found: ImagesByCase = {}
    for path in inputs:
        ending = ending_of(path) or ""
        if not path.exists() or not (ending or path.is_dir()):
            fault = f"is no image that SegForge reads ({', '.join(FORMATS)})" if path.exists() else "is missing"
            raise SegForgeError(f"{path} {fault}. Check what -i names.")
        case, channel = case_and_channel(path.name[: len(path.name) - len(ending)])
        found.setdefault(case, {}).setdefault(channel, []).append(path)
    return listing_of(found, description)


def refuse_volumes(cases: Sequence[Case], ending: str) -> None:
    """Find out before anything is predicted that a format for planes is to hold volumes.

    Args:
        cases: What is to be predicted.
        ending: Of the label maps.

    Raises:
        SegForgeError: If the files' headers tell that all of the images are volumes, and the format holds planes alone.
    """
    if not holds_planes_alone(ending):
        return
    grids = {case.images[0]: grid for case in cases if (grid := read_grid(case.images[0])) is not None}
    if grids and all(grid.shape[0] > 1 for grid in grids.values()):
        raise SegForgeError(
            f"{next(iter(grids))} is a volume, and label maps as {ending} are planes. Choose --format .nii.gz, .nrrd or .tif."
        )


def _from_json(path: Path) -> Listing:
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise SegForgeError(f"{path} must hold a list of cases: {_FORM}.")
    cases, missing = list[Case](), dict[str, tuple[Path, ...]]()
    for number, item in enumerate(content):
        case = _case(item, path, number)
        if case.id in missing or any(other.id == case.id for other in cases):
            raise SegForgeError(f"{path} has the case {case.id} twice. Give each an id of its own.")
        if lacking := tuple(image for image in case.images if not image.exists()):
            missing[case.id] = lacking
        else:
            cases.append(case)
    return Listing(tuple(cases), missing)


def _case(item: Any, path: Path, number: int) -> Case:
    images = item.get("images") if isinstance(item, dict) else [item] if isinstance(item, str) else item
    if not (isinstance(images, list) and images and all(isinstance(image, str) for image in images)):
        raise SegForgeError(f"{path}: case {number} must name its files: {_FORM}.")
    files = tuple(path.parent / image for image in images)
    first = files[0]
    name = item.get("id") if isinstance(item, dict) else None
    own, _ = case_and_channel(first.name[: len(first.name) - len(ending_of(first) or "")])
    return Case(own if name is None else _checked_id(str(name), path), files)


def _checked_id(name: str, path: Path) -> str:
    """Results are named by it."""
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        raise SegForgeError(f"{path} has the case id {name!r}, which is no file name. Leave / and \\ out of it.")
    return name
