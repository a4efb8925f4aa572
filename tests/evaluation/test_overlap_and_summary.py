import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from segforge.compute.executors import Resources, inline
from segforge.dataset.labels import LabelScheme
from segforge.errors import CasesFailed, SegForgeError
from segforge.evaluation.case_table import case_table
from segforge.evaluation.evaluate import evaluate_folders, median_spacing
from segforge.evaluation.measure import Measures
from segforge.evaluation.overlap import Overlap, overlap_of_case
from segforge.evaluation.summary import CaseMetrics, Summary, summarize
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
    assert Summary.read(tmp_path / "summary.json").to_json() == summary.to_json()


def case(name: str, **scores: float) -> CaseMetrics:
    """A case with the same scores for both labels."""
    counts = dict.fromkeys(("TP", "FP", "FN", "TN", "n_pred", "n_ref"), 1)
    overlap = Overlap.model_validate({"Dice": 0.5, "IoU": 0.5} | counts | scores)
    return CaseMetrics(
        prediction_file=f"p/{name}.nii.gz", reference_file=f"r/{name}.nii.gz", metrics={"1": overlap, "2": overlap}
    )


def test_median_and_interval_stand_beside_the_mean() -> None:
    dice = np.random.default_rng(0).random(30)
    summary = summarize([case(str(number), Dice=value) for number, value in enumerate(dice)], LABELS)
    assert summary.median["1"]["Dice"] == pytest.approx(np.median(dice))
    low, high = summary.interval["1"]["Dice"]
    error = dice.std() / math.sqrt(30)
    assert low == pytest.approx(dice.mean() - 1.96 * error, abs=0.3 * error)
    assert high == pytest.approx(dice.mean() + 1.96 * error, abs=0.3 * error)
    assert summary.foreground_interval["Dice"] == pytest.approx(summary.interval["1"]["Dice"])
    assert "TP" not in summary.interval["1"]


def test_an_infinite_distance_stays_infinite_in_the_file(tmp_path: Path) -> None:
    scores = {"HD95 (voxels)": math.inf, "NSD": math.nan}
    summary = summarize([case("x", **scores), case("y", **{"HD95 (voxels)": 2.0, "NSD": 0.5})], LABELS)
    assert summary.mean["1"]["HD95 (voxels)"] == summary.foreground_mean["HD95 (voxels)"] == math.inf
    assert summary.mean["1"]["NSD"] == 0.5
    summary.write(tmp_path / "summary.json")
    read = Summary.read(tmp_path / "summary.json")
    metrics = read.metric_per_case[0].metrics["1"].scores
    assert metrics["HD95 (voxels)"] == math.inf
    assert math.isnan(metrics["NSD"])
    assert read.mean["1"]["HD95 (voxels)"] == math.inf
    assert json.loads((tmp_path / "summary.json").read_text())["metric_per_case"][0]["metrics"]["1"]["HD95 (voxels)"] == "inf"


def test_summaries_with_different_metrics_are_brought_together_by_what_they_share() -> None:
    summary = summarize([case("x", extra=1.0), case("y")], LABELS)
    assert "extra" not in summary.mean["1"]
    assert summary.mean["1"]["Dice"] == 0.5


def test_without_cases_there_are_no_numbers() -> None:
    summary = summarize([], LABELS)
    assert math.isnan(summary.dice)
    assert summary.interval == {}


def test_an_older_summary_without_intervals_is_read() -> None:
    summary = summarize([case("x")], LABELS)
    content = json.loads(summary.to_json())
    for key in ("median", "interval", "foreground_interval"):
        del content[key]
    assert Summary.parse(content, "old").dice == 0.5


def test_the_table_of_cases_has_a_row_for_each_structure_of_each_case() -> None:
    summary = summarize([case("b,1", NSD=math.nan, HD95=math.inf), case("c", NSD=0.25, HD95=3.0)], LABELS)
    rows = list(csv.DictReader(io.StringIO(case_table(summary))))
    assert [(row["case"], row["structure"], row["key"]) for row in rows] == [
        ("b,1", "a", "1"), ("b,1", "b", "2"), ("c", "a", "1"), ("c", "b", "2"),
    ]  # fmt: skip
    assert [(row["Dice"], row["NSD"], row["HD95"]) for row in rows[1:3]] == [("0.5", "", "inf"), ("0.5", "0.25", "3.0")]
    assert rows[0]["prediction_file"] == "p/b,1.nii.gz"


def test_a_case_keeps_the_dots_in_its_name() -> None:
    assert case("scan.v2").case == "scan.v2"


def test_surfaces_and_lesions_are_measured_in_files_with_the_spacing_of_the_reference(tmp_path: Path) -> None:
    for folder, index in (("ref", 1), ("pred", 3)):
        mask = np.zeros((4, 5, 6), np.uint8)
        mask[1, 1, index] = 1
        write_volume(tmp_path / folder / "x.nii.gz", mask, Geometry((4, 5, 6), (1.0, 1.0, 2.5)))
    labels = LabelScheme.from_description({"background": 0, "a": 1})
    measures = Measures(tolerances=(5.0,), lesions=True)
    summary = evaluate_folders(tmp_path / "ref", tmp_path / "pred", labels, inline, Resources(), measures)
    assert summary.mean["1"]["HD95 (voxels)"] == pytest.approx(5.0)
    assert summary.mean["1"]["NSD at 5 mm (voxels)"] == 1
    assert summary.mean["1"]["Lesion false positives"] == 1
    assert summary.mean["1"]["Volume of reference"] == pytest.approx(2.5)


def test_the_median_spacing_leaves_out_the_thickness_of_planes(tmp_path: Path) -> None:
    for name, shape, spacing in (
        ("a.nii.gz", (4, 5, 6), (3.0, 1.0, 1.0)),
        ("b.nii.gz", (4, 5, 6), (5.0, 0.5, 0.5)),
        ("c.nii.gz", (1, 5, 6), (900.0, 0.75, 0.75)),
    ):
        write_volume(tmp_path / name, np.zeros(shape, np.uint8), Geometry(shape, spacing))
    assert median_spacing(sorted(tmp_path.iterdir()), inline, Resources()) == pytest.approx(
        np.median([3, 1, 1, 5, 0.5, 0.5, 0.75, 0.75])
    )


def test_a_failed_metric_names_the_case(folders: tuple[Path, Path]) -> None:
    with pytest.raises(CasesFailed, match=r"(?s)x\.nii\.gz: the metric numpy:loadtxt failed.*y\.nii\.gz: the metric"):
        evaluate_folders(*folders, LABELS, inline, Resources(), Measures(own=("numpy:loadtxt",)))


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
