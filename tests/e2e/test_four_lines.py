"""The mission's four lines as they stand, on real data, in a fresh workspace with one fold trained."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

CASES = 5


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    folder = tmp_path_factory.mktemp("workspace")
    source = shared / "data" / "Dataset004_Hippocampus"
    target = folder / "raw" / "Dataset004_Hippocampus"
    names = sorted(path.name for path in (source / "labelsTr").glob("*.nii.gz"))
    for kind in ("imagesTr", "labelsTr"):
        (target / kind).mkdir(parents=True)
    for name in names[:CASES]:
        shutil.copy(source / "labelsTr" / name, target / "labelsTr")
        shutil.copy(source / "imagesTr" / name.replace(".nii.gz", "_0000.nii.gz"), target / "imagesTr")
    (folder / "imagesTs").mkdir()
    for name in names[CASES : CASES + 1]:
        shutil.copy(source / "imagesTr" / name.replace(".nii.gz", "_0000.nii.gz"), folder / "imagesTs")
    description = json.loads((source / "dataset.json").read_text()) | {"numTraining": CASES}
    (target / "dataset.json").write_text(json.dumps(description))
    return folder


def test_the_four_lines(workspace: Path, segforge) -> None:
    segforge("plan -d 4", workspace)
    trained = segforge("train 4 3d_fullres 0 --epochs 1 --iterations 2 --validation-iterations 1 --batch-size 2", workspace)
    best = segforge("find-best -d 4", workspace)
    segforge("predict -i imagesTs -o out", workspace)

    model = workspace / "results" / "Dataset004_Hippocampus" / "default__default__3d_fullres"
    splits = json.loads((workspace / "preprocessed" / "Dataset004_Hippocampus" / "splits_final.json").read_text())
    validated = sorted(path.name.removesuffix(".nii.gz") for path in (model / "fold_0" / "validation").glob("*.nii.gz"))
    assert validated == splits[0]["val"]
    assert "Anterior" in trained.stdout
    assert "1. default__default__3d_fullres" in best.stdout
    assert (model / "fold_0" / "progress.png").stat().st_size > 5000

    images = sorted((workspace / "imagesTs").iterdir())
    predictions = sorted((workspace / "out").glob("*.nii.gz"))
    assert [path.name for path in predictions] == [path.name.replace("_0000", "") for path in images]
    for image, prediction in zip(images, predictions, strict=True):
        before, after = sitk.ReadImage(image), sitk.ReadImage(prediction)
        assert (before.GetSize(), before.GetSpacing()) == (after.GetSize(), after.GetSpacing())
        assert (before.GetOrigin(), before.GetDirection()) == (after.GetOrigin(), after.GetDirection())
        assert set(np.unique(sitk.GetArrayFromImage(after))) <= {0, 1, 2}


def test_typed_again_they_say_that_it_is_done(workspace: Path, segforge) -> None:
    again = segforge("plan -d 4", workspace)
    assert "5 of 5 cases are preprocessed already" in again.stdout
    again = segforge("train 4 3d_fullres 0 --epochs 1 --iterations 2 --validation-iterations 1 --batch-size 2", workspace)
    assert "is trained already" in again.stdout
    before = {path: path.stat().st_mtime_ns for path in (workspace / "out").glob("*.nii.gz")}
    again = segforge("predict -i imagesTs -o out", workspace)
    assert "1 of 1 cases are predicted already" in again.stdout
    assert before == {path: path.stat().st_mtime_ns for path in before}
