"""Folders of DICOM slices: sorted by position, checked to form a regular grid, values by SimpleITK. Needs the extra `dicom`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.errors import SegForgeError
from segforge.images.dicom_headers import dicom_files, is_image, naming, read_header, read_whole
from segforge.images.image import PLANE_THICKNESS, Array, Geometry, Image, checked

_TOLERANCE = 0.05
"""Largest distance of a slice from its place on a regular grid, in voxels, and of its directions and pixel sizes."""

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Slice:
    path: Path
    header: Any
    position: Vector
    height: float


def series_folders(folder: Path) -> Iterator[tuple[str, Path]]:
    """The folder itself, or those in it, that hold DICOM images: a name that is a file name too, and the path."""
    if _has_images(folder):
        yield folder.resolve().name, folder
        return
    for inner in sorted(path for path in folder.rglob("*") if path.is_dir()):
        if _has_images(inner):
            yield "_".join(inner.relative_to(folder).parts), inner


def read(path: Path) -> Image:
    """Read a folder with one series, one file per slice.

    Raises:
        SegForgeError: If slices are missing, doubled, tilted, damaged, or of several series; names them.
    """
    return read_series(path, companions(path))


def read_grid(path: Path) -> Geometry:
    """The grid of a series, from the headers of its slices alone.

    Raises:
        SegForgeError: If they do not form one; see `read`.
    """
    return _grid(path, ordered_slices(path, companions(path)))


def read_series(folder: Path, files: Sequence[Path]) -> Image:
    """Read the series that these files of a folder are, as `read` does for all that lie in it."""
    slices = ordered_slices(folder, files)
    values = [_values(item.path, item.header) for item in slices]
    return Image(np.stack(values, axis=1), _grid(folder, slices))


def write(path: Path, array: Array, geometry: Geometry) -> None:
    """Folders of slices are read only.

    Raises:
        SegForgeError: Always.
    """
    raise SegForgeError(f"{path} is a folder. Write label maps as .nii.gz or as DICOM segmentation.")


def companions(path: Path) -> tuple[Path, ...]:
    """The DICOM files in a folder."""
    return dicom_files(path)


def ordered_slices(folder: Path, files: Sequence[Path]) -> list[_Slice]:
    """The slices of a series from the lowest to the highest along their normal, known to form a grid.

    Args:
        folder: The folder that they lie in.
        files: The series' files; those among them that are no images are passed over.

    Raises:
        SegForgeError: If they do not; names the slices.
    """
    headers = [(file, read_header(file)) for file in files]
    images = [(file, header) for file, header in headers if is_image(header)]
    if not images:
        raise SegForgeError(f"{folder} holds no DICOM image. Name the folder of a series.")
    _check_alike(folder, images)
    if len(images) == 1 and "ImagePositionPatient" not in images[0][1]:
        return [_Slice(*images[0], np.zeros(3), 0.0)]
    normal = _axes(images[0][1])[:, 2]
    positions = [_numbers(header, "ImagePositionPatient", 3, file) for file, header in images]
    slices = [
        _Slice(file, header, position, float(position @ normal))
        for (file, header), position in zip(images, positions, strict=True)
    ]
    slices.sort(key=lambda item: item.height)
    _check_grid(folder, slices, normal)
    return slices


def _has_images(folder: Path) -> bool:
    return any(_may_be_image(file) for file in dicom_files(folder))


def _may_be_image(file: Path) -> bool:
    try:
        return is_image(read_header(file))
    except SegForgeError:  # it is named when the folder is read
        return True


def _check_alike(folder: Path, images: Sequence[tuple[Path, Any]]) -> None:
    """Whole headers, one series, one frame per file, and one orientation, size and pixel size for all."""
    for path, header in images:
        if not (header.get("Rows") and header.get("Columns")):
            raise SegForgeError(f"{path} is truncated: its header ends before the size of its image. Copy or export it again.")
    series = Counter((header.get("SeriesDescription", "unnamed"), header.get("SeriesInstanceUID")) for _, header in images)
    if len(series) > 1:
        found = "; ".join(f"{name} ({uid}): {count} files" for (name, uid), count in series.items())
        raise SegForgeError(f"{folder} holds {len(series)} series: {found}. Put each into a folder of its own.")
    first_path, first = images[0]
    for path, header in images:
        if int(header.get("NumberOfFrames") or 1) > 1:
            raise SegForgeError(f"{path} holds several frames; SegForge reads one file per slice. Convert it to NIfTI.")
        if (header.Rows, header.Columns) != (first.Rows, first.Columns):
            raise SegForgeError(
                f"{path} has {header.Rows} x {header.Columns} pixels, {first_path.name} {first.Rows} x {first.Columns}. "
                "Take slices of another size out of the folder."
            )
        for tag, count in (("ImageOrientationPatient", 6), ("PixelSpacing", 2)) if len(images) > 1 else ():
            numbers, expected = _numbers(header, tag, count, path), _numbers(first, tag, count, first_path)
            if not np.allclose(numbers, expected, rtol=1e-3, atol=1e-3):
                raise SegForgeError(
                    f"{path} has the {tag} {numbers.tolist()}, {first_path.name} {expected.tolist()}. "
                    "Take slices of another orientation or size out of the folder."
                )


def _check_grid(folder: Path, slices: Sequence[_Slice], normal: Vector) -> None:
    if len(slices) < 2:
        return
    heights = np.array([item.height for item in slices])
    gaps = np.diff(heights)
    gap = float(np.median(gaps))
    for index in np.flatnonzero(gaps <= _TOLERANCE * gap).tolist():
        raise SegForgeError(
            f"{folder}: {slices[index].path.name} and {slices[index + 1].path.name} lie at the same place "
            f"({heights[index]:g} mm). Take one of them away."
        )
    for index in np.flatnonzero(gaps > 1.5 * gap).tolist():
        raise SegForgeError(
            f"{folder}: {max(1, round(gaps[index] / gap) - 1)} slices are missing between {slices[index].path.name} and "
            f"{slices[index + 1].path.name} ({gaps[index]:g} mm apart, the others {gap:g}). Export the whole series."
        )
    regular = np.linspace(heights[0], heights[-1], len(heights))
    worst = int(np.abs(heights - regular).argmax())
    if abs(heights[worst] - regular[worst]) > _TOLERANCE * gap:
        raise SegForgeError(
            f"{folder}: {slices[worst].path.name} lies {abs(heights[worst] - regular[worst]):.3g} mm off a regular "
            f"distance of {gap:g} mm. Resample the series to even slices."
        )
    _check_tilt(folder, slices, normal)


def _check_tilt(folder: Path, slices: Sequence[_Slice], normal: Vector) -> None:
    start = slices[0]
    sideways = [item.position - start.position - normal * (item.height - start.height) for item in slices]
    shifts = np.linalg.norm(sideways, axis=1)
    worst = int(shifts.argmax())
    if shifts[worst] > _TOLERANCE * min(_numbers(start.header, "PixelSpacing", 2, start.path)):
        raise SegForgeError(
            f"{folder}: the slices are tilted: {slices[worst].path.name} lies {shifts[worst]:.3g} mm beside the normal "
            f"through {start.path.name}. Correct the gantry tilt, for example with dcm2niix."
        )


def _numbers(header: Any, tag: str, count: int, path: Path) -> Vector:
    value = header.get(tag)
    try:
        numbers = np.array([float(number) for number in value or ()])
    except (TypeError, ValueError) as error:
        raise SegForgeError(f"{path} has the {tag} {value}, which are no numbers. Export it again.") from error
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise SegForgeError(f"{path} has the {tag} {value}; {count} finite numbers are needed. Export it again.")
    return numbers


def _axes(header: Any) -> Vector:
    """Columns: the directions of x (along a row), y (down a column) and the slices' normal."""
    orientation = _numbers(header, "ImageOrientationPatient", 6, Path(header.filename))
    return np.column_stack([orientation[:3], orientation[3:], np.cross(orientation[:3], orientation[3:])])


def _values(path: Path, header: Any) -> Array:
    """A slice `(C, Y, X)` with its rescale slope and intercept applied."""
    import SimpleITK as sitk

    read_whole(path)
    with naming(path):
        image = sitk.ReadImage(str(path))
        values = np.asarray(sitk.GetArrayFromImage(image)).reshape(header.Rows, header.Columns, -1)
    return values.transpose(2, 0, 1)


def _grid(folder: Path, slices: Sequence[_Slice]) -> Geometry:
    return checked(_geometry(slices), folder)


def _geometry(slices: Sequence[_Slice]) -> Geometry:
    first = slices[0]
    z, y, x = len(slices), int(first.header.Rows), int(first.header.Columns)
    tag = "PixelSpacing" if "PixelSpacing" in first.header else "ImagerPixelSpacing"
    row, column = _numbers(first.header, tag, 2, first.path) if tag in first.header else (1.0, 1.0)
    if "ImagePositionPatient" not in first.header:
        return Geometry((z, y, x), (PLANE_THICKNESS * max(row, column), row, column), is_2d=True)
    if len(slices) > 1:
        distance = (slices[-1].height - first.height) / (len(slices) - 1)
    else:
        distance = float(first.header.get("SpacingBetweenSlices") or first.header.get("SliceThickness") or 1)
    return Geometry(
        shape=(z, y, x),
        spacing=(distance, float(row), float(column)),
        origin=(float(first.position[0]), float(first.position[1]), float(first.position[2])),
        direction=tuple(_axes(first.header).ravel().tolist()),
    )
