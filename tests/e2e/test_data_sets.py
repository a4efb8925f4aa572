"""`verify` and `split` from the command line: exit status, what they say, and what they write."""

import json
import shutil
from pathlib import Path

import pytest

from segforge import split, verify
from segforge.dataset.phantom import write_phantom
from segforge.errors import SegForgeError

RAW = Path("raw/Dataset900_Phantom")
SPLITS = Path("preprocessed/Dataset900_Phantom/splits_final.json")


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = tmp_path_factory.mktemp("phantom")
    write_phantom(workspace / RAW, training=6, testing=0)
    return workspace


@pytest.fixture
def workspace(phantom: Path, tmp_path: Path) -> Path:
    shutil.copytree(phantom, tmp_path / "w")
    return tmp_path / "w"


def folds(workspace: Path) -> list[dict[str, list[str]]]:
    return json.loads((workspace / SPLITS).read_text())


def begin_training(workspace: Path) -> None:
    folder = workspace / "results/Dataset900_Phantom/default__default__2d/fold_0"
    folder.mkdir(parents=True)
    (folder / "cases.json").write_text(json.dumps(folds(workspace)[0]))


def test_verify_finds_no_problem_in_a_clean_data_set(workspace: Path, segforge) -> None:
    assert segforge("verify -d 900", workspace).stdout == "No problems in 6 cases.\n"
    assert json.loads(segforge("verify -d Phantom --json -np 0", workspace).stdout) == {
        "dataset": "Dataset900_Phantom", "cases": 6, "with_float_noise": 0, "problems": [],
    }  # fmt: skip


def test_verify_names_all_problems_and_exits_with_1(workspace: Path, segforge) -> None:
    (workspace / RAW / "labelsTr/phantom_001.nii.gz").unlink()
    (workspace / RAW / "imagesTr/phantom_003_0000.nii.gz").write_bytes(b"no image")
    (workspace / RAW / "dataset.json").write_text(
        (workspace / RAW / "dataset.json").read_text().replace('"labels"', '"lables"')
    )
    done = segforge("verify -d 900", workspace, status=2)
    assert "dataset.json is not valid. labels is missing" in done.stderr
    (workspace / RAW / "dataset.json").write_text(
        (workspace / RAW / "dataset.json").read_text().replace('"lables"', '"labels"')
    )
    done = segforge("verify -d 900", workspace, status=1)
    assert "missing label: Add the label map" in done.stdout
    assert "  labelsTr/phantom_001.nii.gz  is missing\n" in done.stdout
    assert "  imagesTr/phantom_003_0000.nii.gz  " in done.stdout
    assert done.stdout.endswith("2 problems in 6 cases.\n")
    content = json.loads(segforge("verify -d 900 --json", workspace, status=1).stdout)
    assert [problem["file"] for problem in content["problems"]] == [
        "labelsTr/phantom_001.nii.gz",
        "imagesTr/phantom_003_0000.nii.gz",
    ]
    assert len(verify(900, workspace=workspace).problems) == 2


def test_plan_names_all_missing_files_and_warns_of_what_is_too_much(workspace: Path, segforge) -> None:
    for case in ("phantom_001", "phantom_004"):
        (workspace / RAW / f"imagesTr/{case}_0000.nii.gz").rename(workspace / f"{case}_0000.nii.gz")
    done = segforge("plan -d 900 --no-preprocess", workspace)
    assert "warning: labelsTr/phantom_001.nii.gz: has no image in imagesTr (and 1 more; segforge verify" in done.stderr
    assert "warning: dataset.json: numTraining is 6, there are 4 cases." in done.stderr
    for case in ("phantom_000", "phantom_002"):
        (workspace / RAW / f"labelsTr/{case}.nii.gz").unlink()
    done = segforge("plan -d 900 --no-preprocess", workspace, status=2)
    assert "labelsTr/phantom_000.nii.gz: is missing\nlabelsTr/phantom_002.nii.gz: is missing\n" in done.stderr


def test_split_without_options_writes_the_folds_that_plan_writes(workspace: Path, segforge) -> None:
    done = segforge("split -d 900", workspace)
    assert done.stdout.splitlines()[1:3] == ["fold  training  validation", "0     4         2"]
    made = folds(workspace)
    before = (workspace / SPLITS).stat().st_mtime_ns
    assert "has these folds already" in segforge("split -d 900", workspace).stdout
    assert (workspace / SPLITS).stat().st_mtime_ns == before
    (workspace / SPLITS).unlink()
    segforge("plan -d 900 --no-preprocess", workspace)
    assert folds(workspace) == made


def test_split_keeps_groups_together_and_moves_other_folds_aside(workspace: Path, segforge) -> None:
    segforge("split -d 900", workspace)
    first = folds(workspace)
    rows = "".join(f"phantom_{number:03d},{'ABC'[number // 2]}\n" for number in range(6))
    (workspace / "groups.csv").write_text("case,group\n" + rows)
    raw = sorted(path.stat().st_mtime_ns for path in (workspace / RAW).rglob("*"))
    done = segforge("split -d 900 --group-by groups.csv", workspace)
    assert "Only 3 groups: 3 folds instead of 5." in done.stderr
    assert f"kept in {workspace.resolve() / SPLITS}.old-1" in done.stdout
    assert "fold  training  validation  groups\n0     4         2           1\n" in done.stdout
    assert json.loads((workspace / SPLITS).with_name("splits_final.json.old-1").read_text()) == first
    assert sorted({int(case[-3:]) // 2 for case in fold["val"]} for fold in folds(workspace)) == [{0}, {1}, {2}]
    assert sorted(path.stat().st_mtime_ns for path in (workspace / RAW).rglob("*")) == raw


def test_split_by_an_expression_and_stratified_shows_the_labels(workspace: Path, segforge) -> None:
    done = segforge("split -d 900 --folds 2 --group-by _00([0-5]) --stratify", workspace)
    assert done.stdout.splitlines()[1:] == [
        "fold  training  validation  groups  organ  lesion",
        "0     3         3           3       3      3",
        "1     3         3           3       3      3",
    ]
    done = segforge("split -d 900 --group-by _00([0-4])", workspace, status=2)
    assert "finds no group in phantom_005" in done.stderr


def test_split_leaves_the_folds_of_trained_models(workspace: Path, segforge) -> None:
    segforge("split -d 900", workspace)
    begin_training(workspace)
    before = folds(workspace)
    assert "already" in segforge("split -d 900", workspace).stdout
    done = segforge("split -d 900 --folds 3", workspace, status=2)
    assert "results/Dataset900_Phantom/default__default__2d was trained on the folds in" in done.stderr
    assert "--restart" in done.stderr
    assert folds(workspace) == before
    segforge("split -d 900 --folds 3 --restart", workspace)
    assert len(folds(workspace)) == 3


def test_split_replaces_a_file_that_is_wrong(workspace: Path, segforge) -> None:
    (workspace / SPLITS).parent.mkdir(parents=True)
    (workspace / SPLITS).write_text('[{"train": ["nobody"], "val": []}]')
    assert "kept in" in segforge("split -d 900", workspace).stdout
    assert len(folds(workspace)) == 5


def test_split_leaves_folds_that_came_with_the_data(workspace: Path, segforge) -> None:
    (workspace / RAW / "splits_final.json").write_text("[]")
    done = segforge("split -d 900", workspace, status=2)
    assert f"{RAW}/splits_final.json came with the data and is used as it is. Leave it so, or remove it" in done.stderr


def test_check_names_groups_on_both_sides_and_exits_with_1(workspace: Path, segforge) -> None:
    segforge("split -d 900 --folds 3", workspace)
    assert "fold  training  validation\n0     4         2\n" in segforge("split -d 900 --check", workspace).stdout
    assert "groups" in segforge("split -d 900 --check --group-by phantom_.*", workspace).stdout
    (workspace / "groups.csv").write_text("case,group\n" + "".join(f"phantom_{n:03d},{'AB'[n // 5]}\n" for n in range(6)))
    done = segforge("split -d 900 --check --group-by groups.csv", workspace, status=1)
    leaks = [line for line in done.stdout.splitlines() if "on both sides" in line]
    assert len(leaks) == 3
    validated = ", ".join(case for case in folds(workspace)[0]["val"] if case != "phantom_005")
    assert leaks[0].startswith("fold 0 has the group A on both sides: ")
    assert leaks[0].endswith(f" in training, {validated} in validation")


def test_folds_brought_by_the_user_are_checked_too(workspace: Path, segforge) -> None:
    brought = [{"train": [f"phantom_{n:03d}" for n in range(5)], "val": ["phantom_005"]}]
    (workspace / RAW / "splits_final.json").write_text(json.dumps(brought))
    assert "0     5         1" in segforge("split -d 900 --check", workspace).stdout
    brought[0]["val"] = ["phantom_004"]
    (workspace / RAW / "splits_final.json").write_text(json.dumps(brought))
    done = segforge("split -d 900 --check", workspace, status=2)
    assert "fold 0 has phantom_004 on both sides" in done.stderr


def test_split_from_python_returns_the_folds(workspace: Path) -> None:
    division = split(900, folds=3, group_by=r"\d+$", workspace=workspace)
    assert [list(fold.val) for fold in division.splits] == [fold["val"] for fold in folds(workspace)]
    assert division.leaks == []
    with pytest.raises(SegForgeError, match="at least 2 folds, not 1"):
        split(900, folds=1, workspace=workspace)
