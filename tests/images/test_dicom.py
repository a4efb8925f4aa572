import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_samples import SERIES, change, copy_series, volume_of

from segforge.errors import SegForgeError
from segforge.images.dicom import series_folders
from segforge.images.dicom_segmentation import write_segmentation
from segforge.images.files import files_of, read_image, write_volume


@pytest.fixture
def series(shared: Path, tmp_path: Path) -> Path:
    return copy_series(shared, tmp_path / "series")


@pytest.mark.parametrize("name", SERIES)
def test_a_series_is_what_itk_reads(shared: Path, name: str) -> None:
    folder = shared / "data" / "dicom_hippocrop" / name
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    itk, ours = reader.Execute(), read_image(folder)
    np.testing.assert_array_equal(ours.array[0], sitk.GetArrayFromImage(itk))
    assert ours.geometry.spacing[::-1] == itk.GetSpacing()
    assert ours.geometry.origin == itk.GetOrigin()
    np.testing.assert_allclose(ours.geometry.direction, itk.GetDirection(), atol=1e-12)
    assert len(files_of(folder)) == ours.geometry.shape[0]


def test_oblique_slices_in_any_order_of_files_with_a_slope(series: Path) -> None:
    angle = np.radians(20)
    row, column = np.array([np.cos(angle), np.sin(angle), 0]), np.array([-np.sin(angle), np.cos(angle), 0])
    plain = read_image(series).array

    def edit(dataset: Any, number: int) -> None:
        dataset.ImageOrientationPatient = [*row, *(-column)]
        dataset.ImagePositionPatient = [10.0, 20.0, 30.0 + 2.5 * number]
        dataset.PixelSpacing = [0.5, 0.75]
        dataset.RescaleSlope, dataset.RescaleIntercept = (0.5, -7) if number else (2, 3)

    change(series, edit)
    image = read_image(series)
    np.testing.assert_allclose(image.geometry.spacing, (2.5, 0.5, 0.75))
    np.testing.assert_allclose(image.geometry.direction, np.column_stack([row, -column, [0, 0, -1]]).ravel(), atol=1e-9)
    assert image.geometry.origin == (10.0, 20.0, 30.0 + 2.5 * 31)
    np.testing.assert_allclose(image.array[0, -1], plain[0, 0] * 2 + 3)
    np.testing.assert_allclose(image.array[0, :-1], plain[0, :0:-1] * 0.5 - 7)


def number_of(path: Path) -> int:
    return round(float(pydicom.dcmread(path).ImagePositionPatient[2])) - 1


def at(series: Path, number: int) -> Path:
    return next(path for path in series.iterdir() if number_of(path) == number)


def test_missing_slices_are_named_by_their_neighbours(series: Path) -> None:
    before, after = at(series, 9).name, at(series, 12).name
    at(series, 10).unlink()
    at(series, 11).unlink()
    with pytest.raises(SegForgeError, match=rf"2 slices are missing between {before} and {after} \(3 mm apart, the others 1\)"):
        read_image(series)


def test_doubled_slices_are_named(series: Path) -> None:
    path = at(series, 9)
    shutil.copy(path, series / "again.dcm")
    with pytest.raises(SegForgeError, match=rf"({path.name} and again\.dcm|again\.dcm and {path.name}) lie at the same place"):
        read_image(series)


def test_tilted_slices_are_named(series: Path) -> None:
    def tilt(dataset: Any, number: int) -> None:
        dataset.ImagePositionPatient = [0, 0.2 * number, 1 + number]

    change(series, tilt)
    with pytest.raises(SegForgeError, match=rf"{at(series, 31).name} lies 6\.2 mm beside the normal"):
        read_image(series)


def test_an_uneven_slice_is_named(series: Path) -> None:
    path = at(series, 9)
    dataset = pydicom.dcmread(path)
    dataset.ImagePositionPatient = [0, 0, 10.3]
    dataset.save_as(path)
    with pytest.raises(SegForgeError, match=rf"{path.name} lies 0\.3 mm off a regular distance of 1 mm"):
        read_image(series)


@pytest.mark.parametrize(
    ("tag", "value", "message"),
    [
        ("ImageOrientationPatient", [0, 1, 0, 1, 0, 0], "has the ImageOrientationPatient"),
        ("PixelSpacing", [2, 1], "has the PixelSpacing"),
        ("PixelSpacing", None, r"has the PixelSpacing None; 2 finite numbers are needed"),
        ("ImagePositionPatient", [0, float("nan"), 3], "finite numbers are needed"),
        ("NumberOfFrames", 4, "several frames"),
        ("SeriesInstanceUID", "1.2.3", "holds 2 series"),
        ("Rows", 7, "pixels"),
    ],
)
def test_a_slice_that_does_not_belong_is_named(series: Path, tag: str, value: Any, message: str) -> None:
    path = sorted(series.iterdir())[5]
    dataset = pydicom.dcmread(path)
    setattr(dataset, tag, value)
    dataset.save_as(path)
    with pytest.raises(SegForgeError, match=message) as raised:
        read_image(series)
    assert (path.name if tag != "SeriesInstanceUID" else str(series)) in str(raised.value)


@pytest.mark.parametrize("number", [5, 31])
def test_truncated_slices_are_named_wherever_they_end(series: Path, number: int) -> None:
    path = at(series, number)
    content = path.read_bytes()
    for size in range(0, len(content), 97):
        path.write_bytes(content[:size])
        with pytest.raises(SegForgeError, match=path.name):
            read_image(series)


def test_other_objects_of_a_study_are_passed_over(series: Path) -> None:
    labels = (read_image(series).array[0] > 300).astype(np.uint8)
    write_segmentation(series / "seg.dcm", series, labels, {"bright": (1,)})
    (series / "notes.txt").write_text("hello")
    (series / "DICOMDIR").write_bytes(b"\0" * 200)
    assert read_image(series).geometry.shape == labels.shape


@pytest.mark.filterwarnings("ignore")
def test_flipped_bits_end_in_an_error_that_names_a_slice_or_in_an_image(series: Path) -> None:
    random = np.random.default_rng(0)
    for path in series.iterdir():
        if number_of(path) > 3:
            path.unlink()
    names = {path.name for path in series.iterdir()}
    path = at(series, 2)
    content = path.read_bytes()
    for _ in range(int(os.environ.get("SEGFORGE_FUZZ", "150"))):
        damaged = bytearray(content)
        damaged[random.integers(128, len(content) - 3570)] ^= 1 << random.integers(8)
        path.write_bytes(damaged)
        try:
            image = read_image(series)
        except SegForgeError as error:
            assert any(name in str(error) for name in names) or "holds 2 series" in str(error)
            assert "\n" not in str(error)
        else:
            assert image.array.shape == (1, *image.geometry.shape)


def test_an_object_without_an_image_that_says_so_by_its_class_alone_is_passed_over(series: Path) -> None:
    path = sorted(series.iterdir())[0]
    dataset = pydicom.dcmread(path)
    for tag in ("Rows", "Columns", "PixelData"):
        delattr(dataset, tag)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66"  # raw data
    dataset.save_as(series / "raw.dcm")
    assert read_image(series).geometry.shape[0] == 32


def test_a_folder_with_segmentations_alone_is_no_series(series: Path) -> None:
    labels = (read_image(series).array[0] > 300).astype(np.uint8)
    write_segmentation(series.parent / "study" / "seg" / "1.dcm", series, labels, {"bright": (1,)})
    series.rename(series.parent / "study" / "t1")
    assert [name for name, _ in series_folders(series.parent / "study")] == ["t1"]


def test_folders_of_series_are_found_at_any_depth(series: Path) -> None:
    (series.parent / "all" / "patient 1").mkdir(parents=True)
    series.rename(series.parent / "all" / "patient 1" / "t1")
    root = series.parent / "all"
    assert list(series_folders(root)) == [("patient 1_t1", root / "patient 1" / "t1")]
    assert list(series_folders(root / "patient 1" / "t1")) == [("t1", root / "patient 1" / "t1")]
    assert list(series_folders(root / "patient 1" / "t1" / "..")) == [("t1", root / "patient 1" / "t1" / ".." / "t1")]


def test_a_single_radiograph_is_a_plane(series: Path, tmp_path: Path) -> None:
    (tmp_path / "xray").mkdir()
    dataset = pydicom.dcmread(sorted(series.iterdir())[0])
    for tag in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(dataset, tag)
    dataset.ImagerPixelSpacing = [0.2, 0.1]
    dataset.save_as(tmp_path / "xray" / "a.dcm")
    image = read_image(tmp_path / "xray")
    assert image.geometry.is_2d
    assert image.geometry.spacing == pytest.approx((999 * 0.2, 0.2, 0.1))


def test_a_segmentation_holds_the_structures_on_the_grid_of_the_series(series: Path, tmp_path: Path) -> None:
    import highdicom

    image = read_image(series)
    labels = np.zeros(image.geometry.shape, np.uint8)
    labels[3:9, 10:20, 5:15] = 1
    labels[9:12, 10:20, 5:15] = 2
    structures = {"front": (1,), "whole": (1, 2)}
    write_segmentation(tmp_path / "seg.dcm", series, labels, structures)
    read = highdicom.seg.segread(tmp_path / "seg.dcm")
    assert [read.get_segment_description(number).segment_label for number in (1, 2)] == ["front", "whole"]
    assert read.PatientID == "PGBM-002"
    for number, values in enumerate(structures.values(), 1):
        volume = read.get_volume(segment_numbers=[number], combine_segments=True).match_geometry(
            volume_of(image.geometry, labels)
        )
        np.testing.assert_array_equal(volume.array > 0, np.isin(labels, values))
    write_segmentation(tmp_path / "empty.dcm", series, np.zeros_like(labels), structures)
    assert not pydicom.dcmread(tmp_path / "empty.dcm").pixel_array.any()


def test_a_folder_is_not_written_to(series: Path) -> None:
    image = read_image(series)
    with pytest.raises(SegForgeError, match="Write label maps as"):
        write_volume(series, np.zeros(image.geometry.shape, np.uint8), image.geometry)
