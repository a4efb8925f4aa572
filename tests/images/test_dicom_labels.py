"""DICOM segmentations as label maps on the grid of their series; the reference is highdicom."""

from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from dicom_samples import change, copy_series, save_segmentation, volume_of

from segforge.errors import SegForgeError
from segforge.images.dicom_labels import read_segmentations
from segforge.images.dicom_segmentation import write_segmentation
from segforge.images.files import read_image
from segforge.images.image import Geometry

ANGLE = np.radians(20)
ROW, COLUMN = [np.cos(ANGLE), np.sin(ANGLE), 0.0], [np.sin(ANGLE), -np.cos(ANGLE), 0.0]


@pytest.fixture
def series(shared: Path, tmp_path: Path) -> Path:
    """A series with oblique slices that run towards the feet."""
    folder = copy_series(shared, tmp_path / "series")

    def edit(dataset: Any, number: int) -> None:
        dataset.ImageOrientationPatient = [*ROW, *COLUMN]
        dataset.ImagePositionPatient = [10.0, 20.0, 30.0 - 2.5 * number]
        dataset.PixelSpacing = [0.5, 0.75]

    change(folder, edit)
    return folder


@pytest.fixture
def geometry(series: Path) -> Any:
    return read_image(series).geometry


def some_labels(shape: tuple[int, int, int]) -> np.ndarray:
    """Values 0, 1 and 2, in a part of the slices only."""
    labels = np.zeros(shape, np.uint8)
    labels[5:20:2] = np.random.default_rng(0).integers(0, 3, labels[5:20:2].shape)
    return labels


def masks(labels: np.ndarray) -> np.ndarray:
    return np.stack([labels == 1, labels == 2], axis=-1).astype(np.uint8)


def test_what_is_written_is_read_and_is_what_highdicom_reads(series: Path, geometry: Any, tmp_path: Path) -> None:
    labels = some_labels(geometry.shape)
    write_segmentation(tmp_path / "seg.dcm", series, labels, {"front": (1,), "back": (2,)})
    found = read_segmentations([tmp_path / "seg.dcm"], geometry)
    np.testing.assert_array_equal(found.array, labels)
    assert found.labels == {"front": 1, "back": 2}
    volume = highdicom.seg.segread(tmp_path / "seg.dcm").get_volume(combine_segments=True)
    reference = volume.match_geometry(volume_of(geometry, labels), tol=1e-4).array
    np.testing.assert_array_equal(found.array, reference)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("flipped", [[], [0], [1, 2]])
def test_frames_may_run_along_any_axis_in_any_direction(
    series: Path, geometry: Any, tmp_path: Path, axes: tuple[int, ...], flipped: list[int]
) -> None:
    labels = some_labels(geometry.shape)
    volume = volume_of(geometry, masks(labels)).permute_spatial_axes(axes)
    path = save_segmentation(tmp_path / "seg.dcm", series, volume.flip_spatial(flipped) if flipped else volume, ["a", "b"])
    np.testing.assert_array_equal(read_segmentations([path], geometry).array, labels)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("LABELMAP", {}),
        ("LABELMAP", {"transfer_syntax_uid": pydicom.uid.RLELossless}),
        ("FRACTIONAL", {"max_fractional_value": 200}),
        ("BINARY", {"omit_empty_frames": False}),
    ],
)
def test_all_kinds_of_segmentations_are_read(series: Path, geometry: Any, tmp_path: Path, kind: str, options: Any) -> None:
    labels = some_labels(geometry.shape)
    path = save_segmentation(tmp_path / "seg.dcm", series, volume_of(geometry, masks(labels)), ["a", "b"], kind, **options)
    np.testing.assert_array_equal(read_segmentations([path], geometry).array, labels)


def test_segments_without_voxels_are_left_out(series: Path, geometry: Any, tmp_path: Path) -> None:
    labels = (some_labels(geometry.shape) == 2) * np.uint8(2)
    path = save_segmentation(tmp_path / "seg.dcm", series, volume_of(geometry, masks(labels)), ["a", "b"])
    found = read_segmentations([path], geometry)
    assert found.labels == {"b": 2}
    np.testing.assert_array_equal(found.array, labels // 2)


def test_segments_of_one_name_are_one_label_and_may_touch(series: Path, geometry: Any, tmp_path: Path) -> None:
    pair = np.zeros((*geometry.shape, 2), np.uint8)
    pair[3:6, 4:9, :, 0] = pair[5:8, 6:11, :, 1] = 1
    path = save_segmentation(tmp_path / "seg.dcm", series, volume_of(geometry, pair), ["lesion", "lesion"])
    found = read_segmentations([path], geometry)
    np.testing.assert_array_equal(found.array, pair.any(axis=-1))
    assert found.labels == {"lesion": 1}


def test_overlapping_segments_are_named(series: Path, geometry: Any, tmp_path: Path) -> None:
    pair = np.zeros((*geometry.shape, 2), np.uint8)
    pair[3:9, ..., 0] = pair[5:6, 2:4, 2:4, 1] = 1
    path = save_segmentation(tmp_path / "seg.dcm", series, volume_of(geometry, pair), ["organ", "lesion"])
    with pytest.raises(SegForgeError, match=r"seg\.dcm: the segments (organ and lesion|lesion and organ) overlap"):
        read_segmentations([path], geometry)


def test_several_files_are_put_together_unless_they_overlap(series: Path, geometry: Any, tmp_path: Path) -> None:
    labels = some_labels(geometry.shape)
    for value, name in ((1, "liver"), (2, "spleen")):
        write_segmentation(tmp_path / f"{name}.dcm", series, labels, {name: (value,)})
    paths = [tmp_path / "liver.dcm", tmp_path / "spleen.dcm"]
    found = read_segmentations(paths, geometry)
    np.testing.assert_array_equal(found.array, labels)
    assert found.labels == {"liver": 1, "spleen": 1}
    write_segmentation(tmp_path / "again.dcm", series, labels, {"liver": (1,)})
    with pytest.raises(SegForgeError, match=r"liver in .*liver\.dcm and liver in .*again\.dcm overlap"):
        read_segmentations([*paths, tmp_path / "again.dcm"], geometry)


def shift(groups: Any, header: Any) -> None:
    x, y, z = groups.PlanePositionSequence[0].ImagePositionPatient
    groups.PlanePositionSequence[0].ImagePositionPatient = [x, y, z + 1.2]


def stretch(groups: Any, header: Any) -> None:
    header.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [1.0, 1.5]


def turn(groups: Any, header: Any) -> None:
    header.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]


def move_away(groups: Any, header: Any) -> None:
    x, y, z = groups.PlanePositionSequence[0].ImagePositionPatient
    groups.PlanePositionSequence[0].ImagePositionPatient = [x, y, z - 250]


def lose_place(groups: Any, header: Any) -> None:
    del groups.PlanePositionSequence


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (shift, r"does not lie on the grid of its series: .* a frame begins at \(\d+\.\d+, 0\.0, 0\.0\)"),
        (stretch, r"its next row \(0\.0, 2\.0, 0\.0\) and its next column \(0\.0, 0\.0, 2\.0\)"),
        (turn, "does not lie on the grid of its series"),
        (move_away, r"\d+ voxels of a frame lie outside of its series"),
        (lose_place, "cannot be read as DICOM"),
    ],
)
def test_frames_elsewhere_are_refused(series: Path, geometry: Any, tmp_path: Path, edit: Any, message: str) -> None:
    path = tmp_path / "seg.dcm"
    write_segmentation(path, series, some_labels(geometry.shape), {"front": (1,), "back": (2,)})
    dataset = pydicom.dcmread(path)
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        edit(groups, dataset)
    dataset.save_as(path)
    with pytest.raises(SegForgeError, match=rf"seg\.dcm.*{message}"):
        read_segmentations([path], geometry)


def test_a_plane_without_a_place_is_covered_pixel_by_pixel(series: Path, geometry: Any, tmp_path: Path) -> None:
    labels = np.zeros(geometry.shape, np.uint8)
    labels[7, 3:9, 4:6] = 1
    write_segmentation(tmp_path / "seg.dcm", series, labels, {"a": (1,)})
    plane = Geometry((1, *geometry.shape[1:]), geometry.spacing, is_2d=True)
    np.testing.assert_array_equal(read_segmentations([tmp_path / "seg.dcm"], plane).array[0], labels[7])


def test_fractions_are_refused(series: Path, geometry: Any, tmp_path: Path) -> None:
    shares = np.zeros((*geometry.shape, 1), np.float32)
    shares[4] = 0.4
    path = save_segmentation(tmp_path / "seg.dcm", series, volume_of(geometry, shares), ["a"], "FRACTIONAL")
    with pytest.raises(SegForgeError, match=r"seg\.dcm holds fractions of voxels"):
        read_segmentations([path], geometry)


def test_every_truncation_is_found(series: Path, geometry: Any, tmp_path: Path) -> None:
    path = tmp_path / "seg.dcm"
    write_segmentation(path, series, some_labels(geometry.shape), {"front": (1,), "back": (2,)})
    content = path.read_bytes()
    for size in [*range(0, len(content), 1777), *range(len(content) - 300, len(content), 7)]:
        path.write_bytes(content[:size])
        with pytest.raises(SegForgeError, match=r"seg\.dcm"):
            read_segmentations([path], geometry)
