"""Tasks of the Medical Segmentation Decathlon and of nnU-Net v1."""

import json
import logging
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
import pytest

from segforge.api.conversion import convert_msd, convert_nnunet_v1
from segforge.dataset.cases import open_dataset, read_case_classes, read_case_image
from segforge.errors import CasesFailed, SegForgeError

RANDOM = np.random.default_rng(0)
AFFINE = np.array([[-1.5, 0, 0, 10], [0, -1.5, 0, 20], [0, 0, 3, -30], [0, 0, 0, 1]])
DESCRIPTION = {
    "name": "BRATS",
    "description": "gliomas",
    "licence": "CC-BY-SA 4.0",
    "tensorImageSize": "4D",
    "modality": {"0": "FLAIR", "1": "T1w"},
    "labels": {"0": "Background", "1": "edema", "2": "tumour"},
    "numTraining": 2,
    "numTest": 1,
    "training": [{"image": f"./imagesTr/BRATS_{i:03d}.nii.gz", "label": f"./labelsTr/BRATS_{i:03d}.nii.gz"} for i in (1, 2)],
    "test": ["./imagesTs/BRATS_003.nii.gz"],
}


def save(path: Path, array: np.ndarray) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, AFFINE), path)
    return array


def make_task(folder: Path, description: dict, channels: int | None) -> Path:
    """A task with one file for each case and so many channels in it, or with None two files for each case."""
    shape = (5, 4, 3) if channels is None or channels == 1 else (5, 4, 3, channels)
    for number, kind in ((1, "Tr"), (2, "Tr"), (3, "Ts")):
        for suffix in ("",) if channels else ("_0000", "_0001"):
            save(
                folder / f"images{kind}" / f"BRATS_{number:03d}{suffix}.nii.gz",
                RANDOM.integers(-99, 999, shape).astype(np.int16),
            )
        if kind == "Tr":
            save(folder / "labelsTr" / f"BRATS_{number:03d}.nii.gz", RANDOM.integers(0, 3, (5, 4, 3)).astype(np.uint8))
    (folder / "imagesTr" / "._BRATS_001.nii.gz").write_bytes(b"a Mac's")
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def msd(workspace: Path):
    return partial(convert_msd, workers=0, workspace=workspace)


@pytest.fixture
def v1(workspace: Path):
    return partial(convert_nnunet_v1, workers=0, workspace=workspace)


def test_files_with_four_axes_are_split_into_channels_on_the_same_grid(tmp_path: Path, msd) -> None:
    task = make_task(tmp_path / "Task01_BrainTumour", DESCRIPTION, channels=2)
    dataset = msd(task)
    assert dataset.folder.name == "Dataset001_BrainTumour"
    assert sorted(path.name for path in (dataset.folder / "imagesTs").iterdir()) == [
        "BRATS_003_0000.nii.gz",
        "BRATS_003_0001.nii.gz",
    ]
    for case in dataset.cases:
        stored = nibabel.load(task / "imagesTr" / f"{case.id}.nii.gz")
        assert len(case.images) == 2
        for channel, path in enumerate(case.images):
            written = nibabel.load(path)
            np.testing.assert_array_equal(np.asarray(written.dataobj), np.asarray(stored.dataobj)[..., channel])
            assert written.get_data_dtype() == stored.get_data_dtype()
            np.testing.assert_array_equal(written.affine, stored.affine)
        assert case.label.read_bytes() == (task / "labelsTr" / case.label.name).read_bytes()
        read_case_classes(case, read_case_image(case, dataset.description), dataset.description)


def test_the_description_is_spelled_as_today_and_keeps_where_the_data_come_from(tmp_path: Path, msd) -> None:
    dataset = msd(make_task(tmp_path / "Task01_BrainTumour", DESCRIPTION, channels=2))
    assert json.loads((dataset.folder / "dataset.json").read_text()) == {
        "name": "BRATS",
        "description": "gliomas",
        "licence": "CC-BY-SA 4.0",
        "channel_names": {"0": "FLAIR", "1": "T1w"},
        "labels": {"background": 0, "edema": 1, "tumour": 2},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }


def test_files_with_three_axes_are_copied(tmp_path: Path, msd) -> None:
    task = make_task(tmp_path / "Task04_Hippocampus", DESCRIPTION | {"modality": {"0": "MRI"}}, channels=1)
    dataset = msd(task, dataset=44, name="Mine", test=False)
    assert dataset.folder.name == "Dataset044_Mine"
    assert dataset.cases[0].images[0].read_bytes() == (task / "imagesTr" / "BRATS_001.nii.gz").read_bytes()
    assert not (dataset.folder / "imagesTs").exists()


def test_typed_again_it_goes_on(tmp_path: Path, msd, caplog) -> None:
    task = make_task(tmp_path / "Task01_BrainTumour", DESCRIPTION, channels=2)
    dataset = msd(task)
    dataset.cases[1].images[1].unlink()
    with caplog.at_level(logging.INFO):
        msd(task)
    assert "2 of 3 cases are there already." in caplog.text
    assert dataset.cases[1].images[1].is_file()


def test_a_wrong_number_of_channels_fails_that_case(tmp_path: Path, msd) -> None:
    task = make_task(tmp_path / "Task01_BrainTumour", DESCRIPTION, channels=2)
    save(task / "imagesTr" / "BRATS_002.nii.gz", np.zeros((5, 4, 3, 3), np.int16))
    with pytest.raises(CasesFailed, match=r"BRATS_002: .*BRATS_002\.nii\.gz has 3 channels, dataset\.json names 2"):
        msd(task)


def test_a_listed_file_that_is_missing_and_a_file_that_is_not_listed_are_named(tmp_path: Path, msd, workspace, caplog) -> None:
    task = make_task(tmp_path / "Task01_BrainTumour", DESCRIPTION, channels=2)
    (task / "imagesTr" / "BRATS_002.nii.gz").rename(task / "imagesTr" / "other.nii.gz")
    with caplog.at_level(logging.INFO), pytest.raises(CasesFailed, match=r"BRATS_002\.nii\.gz is missing"):
        msd(task)
    assert "left: images that dataset.json does not list: 1 (other.nii.gz)" in caplog.text
    assert [case.id for case in open_dataset(workspace / "raw" / "Dataset001_BrainTumour").cases] == ["BRATS_001"]


def test_a_label_that_is_not_named_is_shown(tmp_path: Path, msd, caplog) -> None:
    task = make_task(tmp_path / "Task01_BrainTumour", DESCRIPTION | {"labels": {"0": "background", "1": "edema"}}, channels=2)
    with caplog.at_level(logging.INFO):
        msd(task)
    assert "label 2 (not named in dataset.json): in 2 of 2 cases" in caplog.text


def test_nnunet_v1_keeps_its_files_and_gets_todays_description(tmp_path: Path, v1) -> None:
    task = make_task(tmp_path / "Task500_Old", DESCRIPTION, channels=None)
    dataset = v1(task)
    assert dataset.folder.name == "Dataset500_Old"
    assert [path.name for path in dataset.cases[0].images] == ["BRATS_001_0000.nii.gz", "BRATS_001_0001.nii.gz"]
    for path in (*task.glob("imagesT?/BRATS*"), *task.glob("labelsTr/*")):
        assert (dataset.folder / path.relative_to(task)).read_bytes() == path.read_bytes()
    assert dataset.description.channels == ("FLAIR", "T1w")
    assert dataset.description.labels == {"background": 0, "edema": 1, "tumour": 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (DESCRIPTION | {"training": 3}, r"dataset\.json is not valid\. training"),
        ({"labels": {}}, "does not list its training cases"),
        (DESCRIPTION | {"labels": {"0": "a", "1": "a"}}, r"labels"),
        (DESCRIPTION | {"labels": {"background": 0, "a": 1, "b": 1}}, r"BrainTumour/dataset\.json: labels must have different"),
        ([], "does not list its training cases"),
    ],
)
def test_a_wrong_description_is_refused(tmp_path: Path, msd, content, message: str) -> None:
    task = make_task(tmp_path / "Task01_BrainTumour", content, channels=2)
    with pytest.raises(SegForgeError, match=message):
        msd(task)


def test_a_folder_that_is_called_otherwise_needs_number_and_name(tmp_path: Path, msd) -> None:
    task = make_task(tmp_path / "brains", DESCRIPTION, channels=2)
    with pytest.raises(SegForgeError, match=r"brains is not called like Task04_Name"):
        msd(task)
    assert msd(task, dataset=3, name="Brains").folder.name == "Dataset003_Brains"
