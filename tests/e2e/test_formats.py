"""Data of other formats through the whole of SegForge."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image as Picture

TINY = "--epochs 1 --iterations 2"


@pytest.fixture(scope="module")
def hippocampus(shared: Path, tmp_path_factory: pytest.TempPathFactory, segforge) -> Path:
    """A workspace with a model trained, very shortly, on twelve cases of Dataset004."""
    workspace = tmp_path_factory.mktemp("hippocampus")
    source, target = shared / "data" / "Dataset004_Hippocampus", workspace / "raw" / "Dataset004_Hippocampus"
    for path in sorted((source / "labelsTr").glob("*.nii.gz"))[:12]:
        for file in (path, source / "imagesTr" / path.name.replace(".nii", "_0000.nii")):
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    description = json.loads((source / "dataset.json").read_text())
    (target / "dataset.json").write_text(json.dumps(description | {"numTraining": 12}))
    segforge("plan -d 4 -c 2d --features 2", workspace)
    segforge(f"train 4 2d 0 {TINY}", workspace)
    return workspace


def test_a_dicom_series_is_predicted_as_the_same_series_as_nifti(hippocampus: Path, shared: Path, segforge) -> None:
    highdicom = pytest.importorskip("highdicom")
    series = shared / "data" / "dicom_hippocrop"
    (hippocampus / "nifti").mkdir()
    for folder in series.iterdir():
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
        sitk.WriteImage(reader.Execute(), str(hippocampus / "nifti" / f"{folder.name}_0000.nii.gz"))
    segforge(f"predict -i {series} -o from_dicom", hippocampus)
    segforge("predict -i nifti -o from_nifti", hippocampus)
    segforge(f"predict -i {series} -o segmentations --format dicom-seg", hippocampus)
    for folder in series.iterdir():
        from_dicom, from_nifti = (
            sitk.ReadImage(str(hippocampus / name / f"{folder.name}.nii.gz")) for name in ("from_dicom", "from_nifti")
        )
        labels = sitk.GetArrayFromImage(from_nifti)
        assert len(np.unique(labels)) > 1
        np.testing.assert_array_equal(sitk.GetArrayFromImage(from_dicom), labels)
        assert from_dicom.GetOrigin() == from_nifti.GetOrigin()
        assert from_dicom.GetSpacing() == from_nifti.GetSpacing()
        assert from_dicom.GetDirection() == from_nifti.GetDirection()
        read = highdicom.seg.segread(hippocampus / "segmentations" / f"{folder.name}.dcm")
        grid = highdicom.Volume.from_components(
            np.zeros(labels.shape),
            direction=np.array(from_nifti.GetDirection()).reshape(3, 3)[:, ::-1],
            position=from_nifti.GetOrigin(),
            spacing=from_nifti.GetSpacing()[::-1],
            coordinate_system="PATIENT",
        )
        volume = read.get_volume(combine_segments=True).match_geometry(grid)
        np.testing.assert_array_equal(volume.array, labels)
    refused = segforge("predict -i nifti -o wrong --format dicom-seg", hippocampus, status=2)
    assert "needs DICOM series as input; 13_HCropVolume is none" in refused.stderr


def test_other_formats_than_the_training_s_are_predicted_alike(hippocampus: Path, segforge) -> None:
    case = sorted((hippocampus / "raw" / "Dataset004_Hippocampus" / "imagesTr").iterdir())[0]
    name = case.name.removesuffix("_0000.nii.gz")
    for ending in (".nii.gz", ".nrrd", ".mha", ".mhd"):
        folder = hippocampus / f"in{ending}"
        folder.mkdir()
        sitk.WriteImage(sitk.ReadImage(str(case)), str(folder / f"{name}_0000{ending}"))
        segforge(f"predict -i in{ending} -o out{ending} --format {ending}", hippocampus)
    expected = sitk.ReadImage(str(hippocampus / "out.nii.gz" / f"{name}.nii.gz"))
    for ending in (".nrrd", ".mha", ".mhd"):
        written = sitk.ReadImage(str(hippocampus / f"out{ending}" / f"{name}{ending}"))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(written), sitk.GetArrayFromImage(expected))
        np.testing.assert_allclose(written.GetOrigin(), expected.GetOrigin(), atol=1e-5)
    refused = segforge("predict -i in.nrrd -o wrong --format jpg", hippocampus, status=2)
    assert "Label maps cannot be written as .jpg" in refused.stderr


def test_canonical_axes_lead_back_to_each_file_s_own(tmp_path: Path, hippocampus: Path, segforge) -> None:
    """The same case in another orientation gets the same labels, on its own grid."""
    shutil.copytree(hippocampus / "raw", tmp_path / "raw")
    path = tmp_path / "raw" / "Dataset004_Hippocampus" / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"overwrite_image_reader_writer": "SimpleITKIOWithReorient"}))
    segforge("plan -d 4 -c 2d --features 2", tmp_path)
    segforge(f"train 4 2d 0 {TINY}", tmp_path)
    image = sitk.ReadImage(str(sorted((path.parent / "imagesTr").iterdir())[0]))
    turned = sitk.Flip(sitk.PermuteAxes(image, (2, 0, 1)), (True, False, True))
    (tmp_path / "in").mkdir()
    sitk.WriteImage(image, str(tmp_path / "in" / "a_0000.nii.gz"))
    sitk.WriteImage(turned, str(tmp_path / "in" / "b_0000.nii.gz"))
    segforge("predict -i in -o out", tmp_path)
    first, second = (sitk.ReadImage(str(tmp_path / "out" / f"{name}.nii.gz")) for name in "ab")
    assert len(np.unique(sitk.GetArrayFromImage(first))) > 1
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(sitk.Flip(sitk.PermuteAxes(first, (2, 0, 1)), (True, False, True))),
        sitk.GetArrayFromImage(second),
    )
    np.testing.assert_allclose(second.GetOrigin(), turned.GetOrigin(), atol=1e-5)


def test_colour_photographs_with_labels_0_and_255(tmp_path: Path, segforge) -> None:
    """JPEG images, PNG labels: the predictions are 8-bit PNG with the labels' own values."""
    random = np.random.default_rng(0)
    folder = tmp_path / "raw" / "Dataset001_Photographs"
    for number in range(6):
        mask = np.zeros((48, 64), bool)
        mask[10 + number : 30, 20:50] = True
        picture = np.where(mask[..., None], (200, 80, 60), (60, 90, 120)) + random.normal(0, 10, (48, 64, 3))
        for name, array in (("imagesTr", picture.clip(0, 255)), ("labelsTr", mask * 255)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            path = folder / name / (f"c{number}_0000.jpg" if name == "imagesTr" else f"c{number}.png")
            Picture.fromarray(array.astype(np.uint8)).save(path)
    channels = {"0": "red", "1": "green", "2": "blue"}
    labels = {"background": 0, "thing": 255}
    description = {"channel_names": channels, "labels": labels, "numTraining": 6, "file_ending": ".png"}
    (folder / "dataset.json").write_text(json.dumps(description))
    segforge("plan -d 1 --features 2", tmp_path)
    segforge(f"train 1 2d 0 {TINY}", tmp_path)
    segforge(f"predict -i {folder / 'imagesTr'} -o out", tmp_path)
    with Picture.open(tmp_path / "out" / "c0.png") as picture:
        assert picture.mode == "L"
        assert set(np.unique(np.asarray(picture))) <= {0, 255}
    summary = json.loads(next((tmp_path / "results").rglob("summary.json")).read_text())
    assert list(summary["mean"]) == ["255"]
