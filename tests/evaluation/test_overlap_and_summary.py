import json
import math
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from segforge.compute.executors import Resources, inline
from segforge.dataset.labels import LabelScheme
from segforge.errors import CasesFailed, SegForgeError
from segforge.evaluation.evaluate import evaluate_folders
from segforge.evaluation.overlap import overlap_of_case
from segforge.evaluation.summary import Summary, table
from segforge.images.files import write_volume
from segforge.images.image import Geometry

LABELS = LabelScheme.from_description({"background": 0, "a": 1, "b": 2})
GEOMETRY = Geometry((4, 5, 6), (1.0, 1.0, 1.0))


def test_overlap_by_hand() -> None:
    overlap = overlap_of_case(np.array([1, 1, 1, 0, 2, 0]), np.array([1, 1, 0, 1, 2, 0]), LABELS)
    assert overlap["1"].model_dump() == {
        "Dice": 4 / 6, "IoU": 2 / 4, "TP": 2, "FP": 1, "FN": 1, "TN": 2, "n_pred": 3, "n_ref": 3,
    }  # fmt: skip
    assert overlap["2"].Dice == 1


def test_overlap_equals_simple_itk() -> None:
    random = np.random.default_rng(0)
    reference, prediction = random.integers(0, 3, (2, 6, 7, 8))
    measures = sitk.LabelOverlapMeasuresImageFilter()
    measures.Execute(sitk.GetImageFromArray(reference), sitk.GetImageFromArray(prediction))
    overlap = overlap_of_case(reference, prediction, LABELS)
    for label in (1, 2):
        assert overlap[str(label)].Dice == pytest.approx(measures.GetDiceCoefficient(label))
        assert overlap[str(label)].IoU == pytest.approx(measures.GetJaccardCoefficient(label))


def test_a_structure_in_neither_map_has_no_score_and_in_one_only_zero() -> None:
    overlap = overlap_of_case(np.array([0, 0, 1]), np.array([0, 0, 0]), LABELS)
    assert math.isnan(overlap["2"].Dice)
    assert math.isnan(overlap["2"].IoU)
    assert overlap["1"].Dice == 0


def test_ignored_voxels_do_not_count() -> None:
    labels = LabelScheme.from_description({"background": 0, "a": 1, "ignore": 2})
    overlap = overlap_of_case(np.array([1, 2, 2, 0]), np.array([1, 1, 0, 0]), labels)
    assert overlap["1"].Dice == 1
    assert overlap["1"].TN == 1


def test_regions_overlap() -> None:
    labels = LabelScheme.from_description({"background": 0, "whole": (1, 2), "core": (2,)}, (1, 2))
    overlap = overlap_of_case(np.array([1, 2, 0]), np.array([2, 2, 0]), labels)
    assert overlap["(1, 2)"].Dice == 1
    assert overlap["(2,)"].Dice == pytest.approx(2 / 3)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    random = np.random.default_rng(0)
    for name in ("x", "y"):
        write_volume(tmp_path / "ref" / f"{name}.nii.gz", random.integers(0, 3, (4, 5, 6)).astype(np.uint8), GEOMETRY)
        write_volume(tmp_path / "pred" / f"{name}.nii.gz", random.integers(0, 2, (4, 5, 6)).astype(np.uint8), GEOMETRY)
    write_volume(tmp_path / "ref" / "not_predicted.nii.gz", np.zeros((4, 5, 6), np.uint8), GEOMETRY)
    return tmp_path / "ref", tmp_path / "pred"


def evaluate(folders: tuple[Path, Path]) -> Summary:
    return evaluate_folders(*folders, LABELS, inline, Resources())


def test_means_run_over_cases_and_then_over_structures(folders: tuple[Path, Path], tmp_path: Path) -> None:
    summary = evaluate(folders)
    dice = [[case.metrics[key].Dice for case in summary.metric_per_case] for key in ("1", "2")]
    assert summary.mean["1"]["Dice"] == pytest.approx(np.mean(dice[0]))
    assert summary.dice == pytest.approx(np.mean([np.mean(dice[0]), np.mean(dice[1])]))
    summary.write(tmp_path / "summary.json")
    content = json.loads((tmp_path / "summary.json").read_text())
    assert {"metric_per_case", "mean", "foreground_mean"} <= set(content)
    assert Summary.read(tmp_path / "summary.json") == summary


def test_the_table_shows_the_worst_case_first(folders: tuple[Path, Path]) -> None:
    lines = table(evaluate(folders)).splitlines()
    names = [line.split()[0] for line in lines]
    summary = evaluate(folders)
    worst = min(summary.metric_per_case, key=lambda case: min(overlap.Dice for overlap in case.metrics.values()))
    assert names[2] == Path(worst.reference_file).name.split(".")[0]
    assert f"{summary.mean['1']['Dice']:.4f}" in next(line for line in lines if line.startswith("mean Dice"))


def test_a_prediction_without_reference_is_an_error(folders: tuple[Path, Path]) -> None:
    (folders[0] / "x.nii.gz").unlink()
    with pytest.raises(SegForgeError, match="no label map for x"):
        evaluate(folders)


def test_maps_of_different_shapes_and_unknown_labels_are_named(folders: tuple[Path, Path]) -> None:
    write_volume(folders[1] / "x.nii.gz", np.zeros((4, 5, 7), np.uint8), Geometry((4, 5, 7), (1.0, 1.0, 1.0)))
    write_volume(folders[1] / "y.nii.gz", np.full((4, 5, 6), 9, np.uint8), GEOMETRY)
    with pytest.raises(
        CasesFailed, match=r"(?s)x\.nii\.gz.*shape \(4, 5, 6\) against \(4, 5, 7\).*y\.nii\.gz holds the label value 9"
    ):
        evaluate(folders)


def test_an_empty_folder_is_an_error(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(SegForgeError, match="has no label maps"):
        evaluate((folders[0], tmp_path / "none"))
