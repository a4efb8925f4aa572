"""`segforge evaluate` and `segforge postprocess`: what they write and say, and how they end."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from postprocessing_sets import SETS

import segforge as package
from segforge.cli.main import main
from segforge.images.files import read_labels, write_volume
from segforge.images.image import Geometry

NAME = "an island outside the foreground goes"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`labels/` with references and `dataset.json` beside it, `predictions/` with an island too many."""
    constructed = SETS[NAME]
    for reference, prediction in constructed.write(tmp_path):
        for number in (0, 1):
            for path, place in ((reference, "labels"), (prediction, "predictions")):
                image = read_labels(path)
                write_volume(tmp_path / place / f"case_{number}.nii.gz", image.array[0], image.geometry)
    description = {"channel_names": {"0": "CT"}, "labels": constructed.labels, "numTraining": 2, "file_ending": ".nii.gz"}
    (tmp_path / "dataset.json").write_text(json.dumps(description))
    return tmp_path


def test_two_folders_give_a_table_a_summary_and_a_row_for_each_case(folder: Path, segforge) -> None:
    done = segforge("evaluate labels predictions", folder)
    assert "mean Dice  95 % interval" in done.stdout
    assert "worst cases" in done.stdout
    assert "Mean foreground Dice 0.9286 over 2 cases." in done.stdout
    assert "All numbers: predictions/summary.json; a row per case: predictions/cases.csv" in done.stdout
    summary = json.loads((folder / "predictions" / "summary.json").read_text())
    with (folder / "predictions" / "cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    assert float(rows[0]["Dice"]) == summary["metric_per_case"][0]["metrics"]["1"]["Dice"]
    assert "NSD" not in str(summary)


def test_surfaces_lesions_and_own_metrics_are_measured_when_asked_for(folder: Path, segforge) -> None:
    (folder / "mine.py").write_text("def share(reference, prediction, spacing):\n    return reference.mean() * spacing[0]\n")
    command = "evaluate -r labels -p predictions --tolerance 1 2.5 --lesions --metrics mine:share -np 2 -o out/all.json"
    done = segforge(command, folder)
    for name in ("HD95 (voxels)", "NSD at 2.5 mm (area)", "Lesion F1", "share"):
        assert name in done.stdout
    assert "Lesion false positives" in (folder / "out" / "all_cases.csv").read_text()
    assert not (folder / "predictions" / "summary.json").exists()
    same = package.evaluate(
        folder / "labels", folder / "predictions", tolerances=[1, 2.5], lesions=True, output=folder / "again.json", workers=0
    )
    summary = json.loads((folder / "out" / "all.json").read_text())
    found = {name: value for name, value in summary["mean"]["1"].items() if name != "share"}
    assert found == json.loads(same.to_json())["mean"]["1"]
    assert summary["mean"]["1"]["share"] == pytest.approx((SETS[NAME].cases[0][0] == 1).mean())


def test_the_default_tolerance_is_named(folder: Path, segforge) -> None:
    done = segforge("evaluate labels predictions --surface", folder)
    assert "Surfaces agree within 1 mm, the median voxel size" in done.stdout
    assert "NSD at 1 mm (voxels)" in done.stdout


def test_nnunets_commands_are_understood(folder: Path, segforge) -> None:
    done = segforge("evaluate labels predictions -djfile dataset.json -pfile plans.json -np 2 --chill", folder)
    assert "Mean foreground Dice 0.9286" in done.stdout
    (folder / "dataset.json").unlink()
    done = segforge("evaluate labels predictions -l 1 2 -o simple.json", folder)
    assert "Mean foreground Dice 0.9286" in done.stdout
    ignoring = segforge("evaluate labels predictions -l 1 -il 2 -o simple.json --json", folder)
    assert list(json.loads(ignoring.stdout)["mean"]) == ["1"]


def test_a_trainings_validation_is_not_written_over(folder: Path, segforge) -> None:
    segforge("evaluate labels predictions", folder)
    path = folder / "predictions" / "summary.json"
    content = json.loads(path.read_text()) | {"made_from": {"checkpoint_final.safetensors": "0"}}
    path.write_text(json.dumps(content))
    (folder / "predictions" / "cases.csv").unlink()
    done = segforge("evaluate labels predictions", folder)
    assert "stays as it is. Write these numbers elsewhere with -o FILE.json" in done.stdout
    assert json.loads(path.read_text()) == content
    assert not (folder / "predictions" / "cases.csv").exists()


def test_a_summary_of_nnunets_is_replaced(folder: Path, segforge) -> None:
    path = folder / "predictions" / "summary.json"
    path.write_text('{"foreground_mean": {"Dice": 0.1}, "mean": {}, "metric_per_case": []}')
    segforge("evaluate labels predictions", folder)
    assert json.loads(path.read_text())["foreground_mean"]["Dice"] == pytest.approx(0.92857, abs=1e-5)


@pytest.mark.parametrize(
    ("command", "status", "message"),
    [
        ("evaluate labels", 2, "Give two folders: segforge evaluate REFERENCES PREDICTIONS"),
        ("evaluate labels predictions -r labels", 2, "Give two folders"),
        ("evaluate labels nowhere", 2, "nowhere is missing"),
        ("evaluate labels predictions -l 1 -djfile dataset.json", 2, "-djfile and -l each say what the labels are"),
        ("evaluate labels predictions -il 3", 2, "-il 3 goes with -l VALUE"),
        ("evaluate labels predictions -l 0 1", 2, "none of them 0"),
        ("evaluate labels predictions --metrics dice", 2, "dice is not among the metrics here"),
        ("evaluate labels predictions --metrics nowhere:metric", 2, "nowhere:metric, one of the metrics, cannot be loaded"),
        ("evaluate labels predictions --tolerance -1", 2, "A tolerance is a distance in mm"),
        ("evaluate labels predictions -o result.txt", 2, "The results are JSON"),
        ("evaluate labels predictions --tolerances 1", 2, "Did you mean --tolerance?"),
        (
            "evaluate labels predictions --metrics numpy:loadtxt",
            1,
            "predictions/case_0.nii.gz: the metric numpy:loadtxt failed",
        ),
        ("postprocess", 2, "VERB"),
        ("postprocess determin -i a -r b -o c.json", 2, "Did you mean determine?"),
        ("postprocess determine -i nowhere -r labels -o steps.json", 2, "nowhere is missing"),
        ("postprocess determine -i predictions -r labels -o steps.pkl", 2, "Postprocessing is written as JSON"),
        ("postprocess apply -i predictions -o out --steps nowhere.json", 2, "nowhere.json is missing"),
        ("postprocess apply -i predictions -o out -pp_pkl_file postprocessing.pkl", 2, "is a pickle, which can run code"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    folder: Path, command: str, status: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    try:
        found = main([*command.split(), *(["-np", "0"] if status == 1 else [])])
    except SystemExit as ended:
        found = ended.code
    shown = capsys.readouterr().err
    assert found == status
    assert message in shown
    assert "Traceback" not in shown


def test_postprocessing_is_determined_and_applied(folder: Path, segforge) -> None:
    done = segforge("postprocess determine -i predictions -r labels -o steps.json -np 2", folder)
    assert "foreground            0.9286       1.0000  kept" in done.stdout
    assert "1 step in steps.json." in done.stdout
    assert json.loads((folder / "steps.json").read_text())["steps"] == [
        {"step": "keep_largest_component", "structure": "foreground", "values": [1, 2]}
    ]
    done = segforge("postprocess apply -i predictions -o out --steps steps.json", folder)
    assert "Postprocessed 2 cases into out." in done.stdout
    assert "over 2 cases" in segforge("evaluate labels out", folder).stdout
    summary = json.loads((folder / "out" / "summary.json").read_text())
    assert summary["foreground_mean"]["Dice"] == 1
    again = segforge("postprocess apply -i predictions -o out --steps steps.json", folder)
    assert "2 of 2 cases are postprocessed already." in again.stdout
    assert segforge("postprocess apply -i predictions -o predictions --steps steps.json", folder, status=2)


def test_a_case_that_fails_is_named_with_status_1(folder: Path, segforge) -> None:
    write_volume(folder / "predictions" / "case_1.nii.gz", np.zeros((1, 2, 3), np.uint8), Geometry((1, 2, 3), (1.0, 1.0, 1.0)))
    for command in ("evaluate labels predictions", "postprocess determine -i predictions -r labels -o steps.json"):
        done = segforge(command, folder, status=1)
        assert "predictions/case_1.nii.gz and labels/case_1.nii.gz differ in shape" in done.stderr
    assert not (folder / "steps.json").exists()


def test_both_are_there_in_python(folder: Path) -> None:
    found = package.determine_postprocessing(folder / "predictions", folder / "labels", folder / "steps.json", workers=0)
    assert [step.structure for step in found.steps] == ["foreground"]
    assert package.apply_postprocessing(folder / "predictions", folder / "out", folder / "steps.json", workers=0) == 2
