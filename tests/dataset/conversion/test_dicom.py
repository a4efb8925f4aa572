"""Series and segmentations in folders of any kind, as a raw data set."""

import json
import logging
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_samples import change, copy_series, save_segmentation, volume_of

from segforge.api.conversion import convert_dicom, describe
from segforge.dataset.cases import read_case_classes, read_case_image
from segforge.errors import CasesFailed, SegForgeError
from segforge.images.dicom_segmentation import write_segmentation
from segforge.images.files import read_image, read_labels, write_volume
from segforge.images.image import geometry_difference


def labels_for(series: Path) -> np.ndarray:
    """0, 1 and 2 at random in the upper slices."""
    shape = read_image(series).geometry.shape
    labels = np.random.default_rng(0).integers(0, 3, shape).astype(np.uint8)
    labels[:4] = 0
    return labels


@pytest.fixture
def studies(shared: Path, source: Path) -> Path:
    """Two patients; the segmentation of each lies in a folder of its own."""
    for number, patient in enumerate(("Ada", "Bob")):
        series = copy_series(shared, source / patient / "t1", number, slices=9 + number)
        write_segmentation(
            source / patient / "seg" / "1.dcm", series, labels_for(series), {"Anterior": (1,), "Posterior": (2,)}
        )
    return source


@pytest.fixture
def convert(tmp_path: Path) -> Any:
    (tmp_path / "work").mkdir()
    return partial(convert_dicom, dataset=12, name="Hippo", workers=0, workspace=tmp_path / "work")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "work" / "raw" / "Dataset012_Hippo"


def edit_series(series: Path, **values: Any) -> None:
    def edit(dataset: Any, number: int) -> None:
        for name, value in values.items():
            setattr(dataset, name, value)

    change(series, edit)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_series_with_segmentations_become_training_cases_on_the_grid_of_the_series(studies: Path, convert) -> None:
    dataset = convert(studies)
    assert json.loads((dataset.folder / "dataset.json").read_text()) == {
        "channel_names": {"0": "MR"},
        "labels": {"background": 0, "Anterior": 1, "Posterior": 2},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    assert [case.id for case in dataset.cases] == ["Ada_t1", "Bob_t1"]
    for case, patient in zip(dataset.cases, ("Ada", "Bob"), strict=True):
        series, image = read_image(studies / patient / "t1"), read_image(case.images[0])
        np.testing.assert_array_equal(image.array, series.array)
        assert image.array.dtype == series.array.dtype
        assert geometry_difference(image.geometry, series.geometry, tolerance=1e-5) is None
        labels = read_labels(case.label)
        np.testing.assert_array_equal(labels.array[0], labels_for(studies / patient / "t1"))
        assert labels.array.dtype == np.uint8
        assert geometry_difference(labels.geometry, image.geometry, tolerance=1e-9) is None
        read_case_classes(case, read_case_image(case, dataset.description), dataset.description)


def test_a_series_is_turned_as_its_slices_say(studies: Path, convert) -> None:
    angle = np.radians(20)

    def turn(dataset: Any, number: int) -> None:
        dataset.ImageOrientationPatient = [np.cos(angle), np.sin(angle), 0, np.sin(angle), -np.cos(angle), 0]
        dataset.ImagePositionPatient = [10.0, 20.0, 30.0 - 2.5 * number]
        dataset.PixelSpacing = [0.5, 0.75]

    series = studies / "Ada" / "t1"
    change(series, turn)
    labels = labels_for(series)
    write_segmentation(studies / "Ada" / "seg" / "1.dcm", series, labels, {"Anterior": (1,), "Posterior": (2,)})
    dataset = convert(studies)
    image = read_image(dataset.cases[0].images[0])
    assert geometry_difference(image.geometry, read_image(series).geometry, tolerance=1e-5) is None
    np.testing.assert_array_equal(read_labels(dataset.cases[0].label).array[0], labels)


def test_a_label_has_one_value_in_all_cases_whatever_the_number_of_its_segment(studies: Path, convert) -> None:
    series = studies / "Bob" / "t1"
    labels = labels_for(series)
    write_segmentation(studies / "Bob" / "seg" / "1.dcm", series, labels, {"Posterior": (2,), "Lesion": (1,)})
    dataset = convert(studies)
    assert dataset.description.labels == {"background": 0, "Anterior": 1, "Posterior": 2, "Lesion": 3}
    expected = np.array([0, 3, 2])[labels]
    np.testing.assert_array_equal(read_labels(dataset.cases[1].label).array[0], expected)


def test_labels_and_the_channel_are_called_as_the_user_says(studies: Path, convert, caplog) -> None:
    with caplog.at_level(logging.INFO):
        dataset = convert(studies, label_names=["back=2"], channel_names=["T1"])
    assert dataset.description.labels == {"background": 0, "Anterior": 1, "back": 2}
    assert dataset.description.channels == ("T1",)
    assert "label 2 back (Posterior): in 2 of 2 cases" in caplog.text
    with pytest.raises(SegForgeError, match=r"--label-names has 1 names besides background, the label maps 2 values"):
        convert(studies, label_names=["front"])


def test_a_segment_that_is_called_background_needs_another_name(studies: Path, convert) -> None:
    for patient in ("Ada", "Bob"):
        series = studies / patient / "t1"
        write_segmentation(studies / patient / "seg" / "1.dcm", series, labels_for(series), {"organ": (1,), "background": (2,)})
    with pytest.raises(
        SegForgeError, match=r"other than background; found organ, background\. Give other names with --label-names"
    ):
        convert(studies)
    assert convert(studies, label_names=["rest=2"]).description.labels == {"background": 0, "organ": 1, "rest": 2}


def test_series_without_a_segmentation_become_test_cases(studies: Path, convert, folder: Path) -> None:
    shutil.rmtree(studies / "Bob" / "seg")
    assert [case.id for case in convert(studies).cases] == ["Ada_t1"]
    assert names(folder / "imagesTs") == ["Bob_t1_0000.nii.gz"]
    convert(studies, test=False)
    assert names(folder / "imagesTs") == []


def test_without_any_segmentation_there_are_test_cases_and_no_description(studies: Path, convert, folder: Path, caplog) -> None:
    for patient in ("Ada", "Bob"):
        shutil.rmtree(studies / patient / "seg")
    with caplog.at_level(logging.INFO):
        assert convert(studies) is None
    assert names(folder / "imagesTs") == ["Ada_t1_0000.nii.gz", "Bob_t1_0000.nii.gz"]
    assert not (folder / "dataset.json").exists()
    assert (
        "No segmentation (SEG) refers to these series: they become test cases, and no dataset.json is written." in caplog.text
    )
    assert "2 test cases." in caplog.text
    with pytest.raises(SegForgeError, match=r"No segmentation \(SEG\) refers to a series in .*Without --no-test"):
        convert(studies, test=False)


def test_test_cases_that_were_labelled_by_hand_can_be_described(studies: Path, convert, folder: Path) -> None:
    labels = labels_for(studies / "Ada" / "t1")
    for patient in ("Ada", "Bob"):
        shutil.rmtree(studies / patient / "seg")
    convert(studies)
    (folder / "imagesTs").rename(folder / "imagesTr")
    shutil.rmtree(studies / "Bob")
    (folder / "imagesTr" / "Bob_t1_0000.nii.gz").unlink()
    write_volume(folder / "labelsTr" / "Ada_t1.nii.gz", labels, read_image(folder / "imagesTr" / "Ada_t1_0000.nii.gz").geometry)
    assert describe(folder, workers=0).num_training == 1


def test_several_series_in_one_folder_are_cases_called_by_their_numbers_or_uids(studies: Path, convert, folder: Path) -> None:
    flat = studies / "flat"
    flat.mkdir()
    for patient in ("Ada", "Bob"):
        for path in sorted((studies / patient).rglob("*.dcm")):
            path.rename(flat / f"{patient}_{path.parent.name}_{path.name}")
        shutil.rmtree(studies / patient)
    uids = sorted({str(pydicom.dcmread(path).SeriesInstanceUID) for path in flat.glob("*_t1_*")})
    assert [case.id for case in convert(studies).cases] == [f"flat_{uid}" for uid in uids]
    for path in flat.glob("*_t1_*"):
        dataset = pydicom.dcmread(path)
        dataset.SeriesNumber = 3 if path.name.startswith("Ada") else 12
        dataset.save_as(path)
    dataset = convert(studies)
    assert [case.id for case in dataset.cases] == ["flat_12", "flat_3"]
    assert [read_image(case.images[0]).array.shape[1] for case in dataset.cases] == [10, 9]
    assert names(folder / "labelsTr") == ["flat_12.nii.gz", "flat_3.nii.gz"]


def test_one_folder_may_hold_a_series_and_its_segmentation(studies: Path, convert) -> None:
    shutil.copyfile(studies / "Ada" / "seg" / "1.dcm", studies / "Ada" / "t1" / "seg.dcm")
    assert [case.id for case in convert(studies / "Ada" / "t1").cases] == ["t1"]


def test_a_segmentation_that_names_its_slices_alone_belongs_to_them(studies: Path, convert) -> None:
    path = studies / "Ada" / "seg" / "1.dcm"
    dataset = pydicom.dcmread(path)
    del dataset.ReferencedSeriesSequence
    dataset.save_as(path)
    assert [case.id for case in convert(studies).cases] == ["Ada_t1", "Bob_t1"]


def test_several_segmentations_of_a_series_are_put_together(studies: Path, convert) -> None:
    series = studies / "Ada" / "t1"
    labels = labels_for(series)
    for number, name in ((1, "Anterior"), (2, "Posterior")):
        write_segmentation(studies / "Ada" / "seg" / f"{number}.dcm", series, labels, {name: (number,)})
    dataset = convert(studies)
    np.testing.assert_array_equal(read_labels(dataset.cases[0].label).array[0], labels)


def test_overlapping_segments_fail_their_case_alone(studies: Path, convert, folder: Path) -> None:
    series = studies / "Ada" / "t1"
    geometry = read_image(series).geometry
    both = np.zeros((*geometry.shape, 2), np.uint8)
    both[4:9, 3:9, 3:9] = 1
    save_segmentation(studies / "Ada" / "seg" / "1.dcm", series, volume_of(geometry, both), ["organ", "lesion"])
    with pytest.raises(CasesFailed, match=r"(?s)1 of 2 cases failed.*Ada_t1: .*1\.dcm: the segments organ and lesion overlap"):
        convert(studies)
    assert names(folder / "imagesTr") == ["Bob_t1_0000.nii.gz"]
    assert json.loads((folder / "dataset.json").read_text())["labels"] == {"background": 0, "Anterior": 1, "Posterior": 2}


def test_a_series_with_missing_slices_fails_alone_and_is_done_when_it_is_mended(studies: Path, convert, folder, caplog) -> None:
    away = studies.parent / "away.dcm"
    (studies / "Ada" / "t1" / "5.dcm").rename(away)
    with pytest.raises(CasesFailed, match=r"(?s)1 of 2 cases failed.*Ada_t1: .*1 slices are missing between 4\.dcm and 6\.dcm"):
        convert(studies)
    assert names(folder / "imagesTr") == ["Bob_t1_0000.nii.gz"]
    away.rename(studies / "Ada" / "t1" / "5.dcm")
    with caplog.at_level(logging.INFO):
        convert(studies)
    assert "1 of 2 cases are there already." in caplog.text
    assert "2 training cases." in caplog.text


@pytest.mark.parametrize("name", ["Ada/t1/9.dcm", "Ada/seg/1.dcm"])
@pytest.mark.parametrize("size", [60, 400, 700])
def test_a_damaged_file_fails_the_series_of_its_folder(studies: Path, convert, folder: Path, name: str, size: int) -> None:
    path = studies / name
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(
        CasesFailed, match=rf"(?s)1 of [23] cases failed.*{path.parent.parent.name}_{path.parent.name}: .*{path.name}"
    ):
        convert(studies)
    assert names(folder / "labelsTr") == ["Bob_t1.nii.gz"]


def test_when_nothing_can_be_read_the_reasons_are_given(studies: Path, convert, folder: Path) -> None:
    for path in studies.rglob("*.dcm"):
        path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(CasesFailed, match=r"(?s)No case can be read:\nAda_seg: .*truncated.*Bob_t1: .*truncated"):
        convert(studies)
    assert not (folder / "dataset.json").exists()


def test_empty_segmentations_make_no_data_set(studies: Path, convert) -> None:
    for patient in ("Ada", "Bob"):
        series = studies / patient / "t1"
        write_segmentation(studies / patient / "seg" / "1.dcm", series, np.zeros_like(labels_for(series)), {"Anterior": (1,)})
    with pytest.raises(SegForgeError, match="The label maps hold nothing but 0"):
        convert(studies)


def test_series_of_several_modalities_are_refused_unless_one_is_chosen(studies: Path, convert, caplog) -> None:
    edit_series(studies / "Bob" / "t1", Modality="CT")
    with pytest.raises(
        SegForgeError, match=r"several modalities: CT \(.*Bob/t1\), MR \(.*Ada/t1\)\. Choose one, --modality CT"
    ):
        convert(studies)
    with pytest.raises(SegForgeError, match=r"has no series of the modality PT; it has CT, MR"):
        convert(studies, modality="PT")
    with caplog.at_level(logging.INFO):
        dataset = convert(studies, modality="ct")
    assert [case.id for case in dataset.cases] == ["Bob_t1"]
    assert dataset.description.channels == ("CT",)
    assert "left: series of other modalities: 1 (t1)" in caplog.text


def test_what_is_not_used_is_listed(studies: Path, convert, caplog) -> None:
    edit_series(shutil_copy(studies / "Ada" / "t1", studies / "Ada" / "scout"), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    edit_series(shutil_copy(studies / "Ada" / "t1", studies / "Ada" / "rt"), Modality="RTSTRUCT")
    edit_series(shutil_copy(studies / "Ada" / "t1", studies / "Ada" / "report"), Modality="SR")
    other = shutil_copy(studies / "Bob" / "t1", studies.parent / "other")
    edit_series(other, SeriesInstanceUID="1.2.3", SOPInstanceUID="1.2.4")
    write_segmentation(studies / "Bob" / "lost" / "lost.dcm", other, labels_for(other), {"x": (1,)})
    (studies / "notes.txt").write_text("hello")
    (studies / "DICOMDIR").write_bytes(b"index")
    (studies / ".hidden").mkdir()
    (studies / ".hidden" / "x.dcm").write_bytes(b"x")
    with caplog.at_level(logging.INFO):
        assert len(convert(studies).cases) == 2
    left = [record.message.strip() for record in caplog.records if "left:" in record.message]
    assert left == [
        "left: segmentations that refer to no series here: 1 (lost.dcm)",
        "left: localizers: 9 (1.dcm, 2.dcm, 3.dcm and 6 more)",
        "left: contours (RTSTRUCT), which are not read: 9 (1.dcm, 2.dcm, 3.dcm and 6 more)",
        "left: DICOM files without an image: 9 (1.dcm, 2.dcm, 3.dcm and 6 more)",
        "left: other files: 1 (notes.txt)",
    ]


def shutil_copy(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


def test_names_of_folders_become_names_of_files(studies: Path, convert) -> None:
    (studies / "Ada").rename(studies / "Müller, Ada (1)")
    assert [case.id for case in convert(studies).cases] == ["Bob_t1", "Muller__Ada__1__t1"]
    shutil.copytree(studies / "Bob", studies / "Bob_t1")
    for path in list((studies / "Bob_t1" / "t1").iterdir()):
        path.rename(studies / "Bob_t1" / path.name)
    with pytest.raises(SegForgeError, match=r"would both be the case Bob_t1\. Rename one of their folders\."):
        convert(studies)


def test_typed_again_it_writes_nothing_and_a_changed_segmentation_is_converted_again(studies: Path, convert, caplog) -> None:
    dataset = convert(studies)
    before = {path: path.stat().st_mtime_ns for path in dataset.folder.rglob("*.nii.gz")}
    with caplog.at_level(logging.INFO):
        convert(studies)
    assert "2 of 2 cases are there already." in caplog.text
    assert before == {path: path.stat().st_mtime_ns for path in dataset.folder.rglob("*.nii.gz")}
    series = studies / "Ada" / "t1"
    labels = np.roll(labels_for(series), 1, axis=2)
    write_segmentation(studies / "Ada" / "seg" / "1.dcm", series, labels, {"Anterior": (1,), "Posterior": (2,)})
    caplog.clear()
    with caplog.at_level(logging.INFO):
        dataset = convert(studies)
    assert "1 of 2 cases are there already." in caplog.text
    np.testing.assert_array_equal(read_labels(dataset.cases[0].label).array[0], labels)


def test_threads_and_processes_make_the_same_files(studies: Path, convert, folder: Path, tmp_path: Path) -> None:
    convert(studies)
    for workers in (None, 2):
        (tmp_path / f"workers_{workers}").mkdir()
        other = convert(studies, workers=workers, workspace=tmp_path / f"workers_{workers}").folder
        for path in (*folder.rglob("*.nii.gz"), folder / "dataset.json"):
            assert (other / path.relative_to(folder)).read_bytes() == path.read_bytes()


def test_colours_and_several_frames_fail_their_case(studies: Path, convert) -> None:
    def colour(dataset: Any, number: int) -> None:
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelRepresentation = 7, 0
        dataset.PixelData = bytes(dataset.Rows * dataset.Columns * 3 + 1)

    change(studies / "Ada" / "t1", colour)
    with pytest.raises(CasesFailed, match=r"Ada_t1: .*1\.dcm has colours \(3 channels\)"):
        convert(studies)
    edit_series(studies / "Ada" / "t1", NumberOfFrames=4)
    with pytest.raises(CasesFailed, match=r"Ada_t1: .*1\.dcm holds several frames"):
        convert(studies)


def test_without_the_packages_for_dicom_they_are_named(studies: Path, convert, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(SegForgeError, match=r"^DICOM needs the packages of the extra dicom: pip install"):
        convert(studies)


def test_a_folder_without_series_is_refused(tmp_path: Path, convert) -> None:
    with pytest.raises(SegForgeError, match=r"nowhere is no folder"):
        convert(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SegForgeError, match=r"empty holds no DICOM image at any depth"):
        convert(tmp_path / "empty")
