import math

import pytest

from segforge.cli.scores import table
from segforge.dataset.labels import LabelScheme
from segforge.evaluation.overlap import Overlap
from segforge.evaluation.summary import CaseMetrics, Summary, summarize

LABELS = LabelScheme.from_description({"background": 0, "organ": 1, "lesion": 2})


def case(name: str, organ: float, lesion: float, **further: float) -> CaseMetrics:
    counts = {"IoU": 0.1, "TP": 1, "FP": 1, "FN": 1, "TN": 1, "n_pred": 1, "n_ref": 1}
    metrics = {key: Overlap.model_validate(counts | {"Dice": dice} | further) for key, dice in (("1", organ), ("2", lesion))}
    return CaseMetrics(prediction_file=f"{name}.nii.gz", reference_file=f"{name}.nii.gz", metrics=metrics)


@pytest.fixture
def summary() -> Summary:
    cases = [case(f"case_{number}", 0.9, 0.1 * number) for number in range(1, 8)]
    return summarize([*cases, case("empty", 0.95, math.nan)], LABELS)


def test_each_structure_has_mean_interval_median_and_number_of_cases(summary: Summary) -> None:
    lines = table(summary).splitlines()
    assert lines[0].split() == ["mean", "Dice", "95", "%", "interval", "median", "cases"]
    low, high = summary.interval["2"]["Dice"]
    assert lines[2].split() == ["lesion", "0.4000", f"{low:.4f}", "-", f"{high:.4f}", "0.4000", "7"]
    assert lines[1].split()[-2:] == ["0.9000", "8"]
    assert lines[3].startswith("mean of all")
    assert lines[-1] == f"Mean foreground Dice {summary.dice:.4f} over 8 cases."


def test_the_five_worst_cases_come_with_the_structure_that_is_worst(summary: Summary) -> None:
    lines = table(summary).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("worst cases"))
    rows = [line.split() for line in lines[start + 1 : start + 6]]
    assert rows == [[f"case_{n}", f"{0.1 * n:.4f}", "lesion", f"{(0.9 + 0.1 * n) / 2:.4f}"] for n in range(1, 6)]
    assert lines[start + 6] == ""


def test_what_was_asked_for_besides_is_shown_by_structure() -> None:
    distances = [1.0, 2.0, math.inf]
    cases = [case("x", 1, 1, **{"HD95 (area)": distance, "NSD at 1 mm (area)": math.nan}) for distance in distances]
    lines = table(summarize(cases, LABELS)).splitlines()
    found = next(line for line in lines if line.startswith("HD95"))
    assert found.split() == ["HD95", "(area)", *["inf,", "median", "2.0000"] * 2, "inf"]
    assert next(line for line in lines if line.startswith("NSD")).split()[-3:] == ["-", "-", "-"]


def test_a_structure_that_never_occurs_has_no_numbers() -> None:
    lines = table(summarize([case("x", 0.5, math.nan)], LABELS)).splitlines()
    assert lines[2].split() == ["lesion", "-", "-", "-", "0"]
    assert "Mean foreground Dice nan over 1 case." in lines[-1]
