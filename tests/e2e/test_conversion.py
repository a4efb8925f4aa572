"""Real pictures from the command line to a data set: photographs with their label maps in one folder, slices of a stack."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from dicom_samples import change, copy_series
from e2e_environment import environment
from PIL import Image as Picture

from segforge.images.dicom_segmentation import write_segmentation
from segforge.images.files import read_image, read_labels


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path


def test_photographs_become_a_data_set_with_one_command(workspace: Path, shared: Path, segforge) -> None:
    source = shared / "data" / "chase_db1_source"
    done = segforge(f"convert images {source} -d 20 --name Chase --label-names vessel", workspace)
    assert "20 training cases" in done.stdout
    assert "paired by their names, Image_01L.jpg with Image_01L_1stHO.png for example" in done.stdout
    assert "20 images were decoded (.jpg) and written without loss (.png)" in done.stdout
    assert "Next: segforge verify -d 20, then segforge plan -d 20" in done.stdout
    folder = workspace / "raw" / "Dataset020_Chase"
    assert json.loads((folder / "dataset.json").read_text())["labels"] == {"background": 0, "vessel": 1}
    for path in sorted(source.glob("*.jpg")):
        image = read_image(folder / "imagesTr" / f"{path.stem}_0000.png").array[:, 0]
        np.testing.assert_array_equal(image.transpose(1, 2, 0), Picture.open(path))
        label = source / f"{path.stem}_1stHO.png"
        assert (folder / "labelsTr" / f"{path.stem}.png").read_bytes() == label.read_bytes()
    share = np.mean([np.asarray(Picture.open(path)).mean() for path in source.glob("*.png")])
    assert f"label 1 vessel: in 20 of 20 cases, {share:.2%} of all voxels" in done.stdout
    segforge("verify -d 20", workspace)
    assert "20 of 20 cases are there already." in segforge(f"convert images {source} -d 20 --name Chase", workspace).stdout


def test_slices_become_planes_or_a_stack(workspace: Path, shared: Path, segforge) -> None:
    source = shared / "data" / "membrane_source"
    segforge(f"convert images --images {source}/image --labels {source}/label -d 21 --name Planes", workspace)
    segforge(f"convert images {source} -d 22 --name Stack --stack --spacing 50 4 4 --label-names membrane", workspace)
    planes = workspace / "raw" / "Dataset021_Planes"
    assert len(list((planes / "imagesTr").iterdir())) == 30
    assert json.loads((planes / "dataset.json").read_text())["labels"] == {"background": 0, "label_255": 255}
    stack = workspace / "raw" / "Dataset022_Stack"
    image = read_image(stack / "imagesTr" / "membrane_source_0000.tif")
    labels = read_labels(stack / "labelsTr" / "membrane_source.tif")
    assert image.geometry.spacing == labels.geometry.spacing == (50.0, 4.0, 4.0)
    for number in range(30):
        np.testing.assert_array_equal(image.array[0, number], Picture.open(source / "image" / f"{number}.png"))
        np.testing.assert_array_equal(labels.array[0, number], Picture.open(source / "label" / f"{number}.png"))
    for number in (21, 22):
        segforge(f"verify -d {number}", workspace)
        segforge(f"plan -d {number} --no-preprocess", workspace)
    spacings = json.loads((workspace / "preprocessed/Dataset022_Stack/dataset_fingerprint.json").read_text())["spacings"]
    assert spacings == [[50.0, 4.0, 4.0]]


def test_ctrl_c_leaves_no_data_set_and_the_same_command_goes_on(workspace: Path, shared: Path, segforge) -> None:
    command = f"convert images {shared}/data/chase_db1_source -d 20 --name Chase -np 0"
    folder = workspace / "raw" / "Dataset020_Chase"
    words = [sys.executable, "-m", "segforge", *command.split()]
    for _ in range(10):  # on a busy machine it may be done before it is interrupted
        process = subprocess.Popen(words, cwd=workspace, env=environment(), stderr=subprocess.PIPE, text=True)
        while process.poll() is None and len(list(folder.glob("imagesTr/*.png"))) < 3:
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=60)[1]
        if process.returncode:
            break
        shutil.rmtree(folder)
    assert "interrupted" in errors
    assert process.returncode == 130
    assert not (folder / "dataset.json").exists()
    before = len(list(folder.glob("imagesTr/Image*.png")))
    done = segforge(command, workspace)
    (line,) = [line for line in done.stdout.splitlines() if "are there already" in line]
    assert 2 <= int(line.split()[0]) <= before < 20
    assert len(list((folder / "imagesTr").iterdir())) == 20
    assert not list(folder.rglob(".*"))


def give_uids(series: Path, uid: str) -> None:
    def edit(dataset, number: int) -> None:
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = uid, f"{uid}.{number}"

    change(series, edit)


def test_series_and_segmentations_become_a_data_set_that_can_be_planned(workspace: Path, shared: Path, segforge) -> None:
    studies = workspace / "studies"
    for number, patient in enumerate(("Ada", "Bob", "Cem")):
        series = copy_series(shared, studies / patient / "t1", number % 2)
        give_uids(series, f"1.2.{number}")
        image = read_image(series).array[0]
        write_segmentation(studies / patient / "seg.dcm", series, np.uint8(image > image.mean()), {"bright": (1,)})
    (studies / "Cem" / "seg.dcm").unlink()
    done = segforge(f"convert dicom {studies} -d 12 --name Hippo -np 2", workspace)
    assert "2 training cases and 1 test case" in done.stdout
    assert "99 DICOM slices became 3 volumes (.nii.gz)" in done.stdout
    assert "label 1 bright: in 2 of 2 cases" in done.stdout
    assert "Next: segforge verify -d 12, then segforge plan -d 12" in done.stdout
    segforge("verify -d 12", workspace)
    segforge("plan -d 12 --no-preprocess", workspace)
    (studies / "Ada" / "t1" / "15.dcm").unlink()
    done = segforge(f"convert dicom {studies} -d 12 --name Hippo", workspace, status=1)
    assert "1 of 3 cases failed" in done.stderr
    assert "Ada_t1" in done.stderr
    assert "1 slices are missing between 14.dcm and 16.dcm" in done.stderr
    (studies / "Bob" / "seg.dcm").unlink()
    shutil.rmtree(studies / "Ada")
    done = segforge(f"convert dicom {studies} -d 13", workspace)
    assert "2 test cases." in done.stdout
    assert "Next: draw label maps, put both into imagesTr and labelsTr, then segforge describe" in done.stdout


def test_a_bad_case_is_named_with_status_1_and_wrong_input_with_status_2(workspace: Path, shared: Path, segforge) -> None:
    source = workspace / "photographs"
    source.mkdir()
    for path in sorted((shared / "data" / "chase_db1_source").glob("Image_0[12]L*")):
        content = path.read_bytes()
        (source / path.name).write_bytes(content[:50_000] if path.name == "Image_02L.jpg" else content)
    done = segforge(f"convert images {source} -d 20", workspace, status=1)
    assert "1 of 2 cases failed" in done.stderr
    assert "Image_02L.jpg is truncated" in done.stderr
    assert "1 training case." in done.stdout
    done = segforge(f"convert images {source}/nowhere -d 30", workspace, status=2)
    assert "nowhere is no folder" in done.stderr
    assert not list((workspace / "raw").glob("Dataset030*"))
    done = segforge(f"convert images {source} -d 20 --name Other", workspace, status=2)
    assert "The number 20 belongs to Dataset020_photographs" in done.stderr


def test_describe_writes_the_description_that_conversion_wrote(workspace: Path, shared: Path, segforge) -> None:
    source = shared / "data" / "membrane_source"
    segforge(f"convert images {source} -d 21 --name M --label-names membrane", workspace)
    path = workspace / "raw" / "Dataset021_M" / "dataset.json"
    written = path.read_text()
    assert "is there already" in segforge("describe -d 21", workspace, status=2).stderr
    path.unlink()
    done = segforge("describe -d 21 --label-names membrane --channel-names grey", workspace)
    assert path.read_text() == written
    assert done.stdout.endswith(written)
