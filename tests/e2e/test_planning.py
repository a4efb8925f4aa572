"""Planning from the command line: shown, explained, checked, kept, moved, without the data, by a planner of one's own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_environment import environment

from segforge.dataset.phantom import write_phantom

FOLDER = Path("preprocessed/Dataset900_Phantom")


@pytest.fixture
def workspace(planned: Path, tmp_path: Path) -> Path:
    shutil.copytree(planned, tmp_path / "w")
    return tmp_path / "w"


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content["configurations"])
    path.write_text(json.dumps(content))


def test_show_and_explain_write_nothing(workspace: Path, segforge) -> None:
    before = {path.name: path.read_bytes() for path in (workspace / FOLDER / "plans").iterdir()}
    done = segforge("plan -d 900 --show --explain", workspace)
    assert (workspace / FOLDER / "plans/default.md").read_text() in done.stdout
    (row,) = [line.split() for line in done.stdout.splitlines() if line.startswith("3d_fullres ")]
    plans = json.loads((workspace / FOLDER / "plans/default.json").read_text())
    assert [int(word) for word in row[7:10]] == plans["configurations"]["3d_fullres"]["patch_size"]
    assert any(word.startswith("2-") for word in row)
    done = segforge("plan -d 900 --features 5 --show", workspace)
    assert "not written" in done.stdout
    assert "5-" in done.stdout
    assert before == {path.name: path.read_bytes() for path in (workspace / FOLDER / "plans").iterdir()}


def test_a_configuration_of_ones_own_inherits_is_kept_and_trains(workspace: Path, segforge) -> None:
    path = workspace / FOLDER / "plans/default.json"
    edit(
        path,
        lambda c: c.update(mine={"inherits_from": "3d_fullres", "batch_size": 3, "architecture": {"features": [3, 4, 5, 6]}}),
    )
    stages = len(json.loads(path.read_text())["configurations"]["3d_fullres"]["architecture"]["features"])
    edit(path, lambda c: c["mine"]["architecture"].update(features=list(range(3, 3 + stages))))
    assert "mine" in segforge("plan --check " + str(path), workspace).stdout
    segforge("plan -d 900 --features 2", workspace)
    kept = json.loads(path.read_text())["configurations"]["mine"]
    assert set(kept) == {"inherits_from", "batch_size", "architecture"}
    done = segforge("train 900 mine 0 --epochs 1 --iterations 1 --validation-iterations 1", workspace)
    assert "batch 3" in done.stdout
    segforge("predict -d 900 -c mine -i raw/Dataset900_Phantom/imagesTs -o out", workspace)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda c: c["3d_fullres"].update(patch_size=[7, 8, 9]),
            "configurations.3d_fullres: patch_size [7, 8, 9] must be divisible by",
        ),
        (lambda c: c["3d_fullres"]["architecture"]["strides"].pop(), "configurations.3d_fullres.architecture: strides has"),
        (
            lambda c: c["2d"]["normalization"][0].update(name="zscor"),
            "zscor is not among the normalizations here. Did you mean zscore?",
        ),
        (lambda c: c.update(a={"inherits_from": "b"}, b={"inherits_from": "a"}), "inherits from itself (a from b from a)"),
        (lambda c: c.update(a={"inherits_from": "nobody"}), "configurations.a.inherits_from: there is no configuration nobody"),
        (lambda c: c["3d_fullres"].update(previous_stage="nobody"), "there is no configuration nobody"),
        (lambda c: c["3d_fullres"].update(data="../../elsewhere"), "configurations.3d_fullres.data"),
        (lambda c: c["3d_fullres"].update(batch_size="two"), "configurations.3d_fullres.batch_size"),
        (lambda c: c["2d"].update(normalization=c["2d"]["normalization"] * 2), "configurations.2d.normalization has 2 entries"),
        (lambda c: c["2d"]["architecture"]["strides"][0].__setitem__(0, 2), "first stage must have stride 1"),
        (lambda c: c["2d"]["architecture"].update(input_channels=7), "configurations.2d.architecture.input_channels is 7"),
        (lambda c: c["2d"]["architecture"].update(network="foo"), "foo is not among the networks"),
        (lambda c: c["3d_fullres"].update(spacing=[-1, 1, 1]), "configurations.3d_fullres.spacing.0"),
        (lambda c: c["3d_fullres"].update(previous_stage="3d_fullres"), "there is no configuration 3d_fullres"),
        (lambda c: c.update(a={"inherits_from": ["2d"]}), "configurations.a.inherits_from"),
        (lambda c: c.update({"../../x": c["2d"]}), "../../x"),
        (lambda c: c["3d_fullres"].update(data="plans"), "data cannot be plans"),
        (lambda c: c["3d_fullres"].update(data=c["2d"]["data"]), "is also the folder of"),
        (lambda c: c.clear(), "configurations"),
        (lambda c: c["3d_fullres"].update(pach_size=[8, 8, 8]), "configurations.3d_fullres.pach_size"),
    ],
)
def test_plans_that_cannot_work_are_refused_with_the_field(workspace: Path, segforge, change, message: str) -> None:
    path = workspace / FOLDER / "plans/default.json"
    edit(path, change)
    done = segforge(f"plan --check {path}", workspace, status=2)
    assert message in done.stderr


def test_plans_without_the_data_are_those_with_it(workspace: Path, segforge, tmp_path: Path) -> None:
    description = workspace / "raw/Dataset900_Phantom/dataset.json"
    facts = f"--fingerprint {workspace / FOLDER}/dataset_fingerprint.json --description {description}"
    segforge(f"plan {facts} --features 2 --output plans.json", tmp_path)
    assert (tmp_path / "plans.json").read_text() == (workspace / FOLDER / "plans/default.json").read_text()
    segforge(f"plan {facts} --features 2 --layout nnunet --output nnunet.json", tmp_path)
    theirs = json.loads((tmp_path / "nnunet.json").read_text())["configurations"]["3d_fullres"]
    ours = json.loads((tmp_path / "plans.json").read_text())["configurations"]["3d_fullres"]
    assert theirs["architecture"]["arch_kwargs"]["features_per_stage"] == ours["architecture"]["features"]
    assert theirs["patch_size"] == ours["patch_size"]


def test_the_fingerprint_is_taken_once(workspace: Path, segforge) -> None:
    path = workspace / FOLDER / "dataset_fingerprint.json"
    before = path.stat().st_mtime_ns
    assert "6 cases" in segforge("fingerprint -d 900", workspace).stdout
    assert path.stat().st_mtime_ns == before
    label = workspace / "raw/Dataset900_Phantom/labelsTr/phantom_000.nii.gz"
    shutil.copy(label.with_name("phantom_001.nii.gz"), label)
    shutil.copy(label.parents[1] / "imagesTr/phantom_001_0000.nii.gz", label.parents[1] / "imagesTr/phantom_000_0000.nii.gz")
    segforge("fingerprint -d 900", workspace)
    assert path.stat().st_mtime_ns != before


def test_plans_move_to_another_data_set(workspace: Path, segforge) -> None:
    write_phantom(workspace / "raw/Dataset901_Other", training=3, testing=0, seed=5)
    segforge("plan --move-from 900 -d 901 --name shared", workspace)
    moved = json.loads((workspace / "preprocessed/Dataset901_Other/plans/shared.json").read_text())
    source = json.loads((workspace / FOLDER / "plans/default.json").read_text())
    assert moved["dataset"] == "Dataset901_Other"
    assert moved["configurations"]["3d_fullres"]["spacing"] == source["configurations"]["3d_fullres"]["spacing"]
    assert moved["configurations"]["3d_fullres"]["architecture"] == source["configurations"]["3d_fullres"]["architecture"]
    assert len(list((workspace / "preprocessed/Dataset901_Other/shared_3d_fullres").glob("*_seg.npy"))) == 3


def test_the_example_planner_plans(workspace: Path) -> None:
    examples = Path(__file__).parents[2] / "examples"
    words = [
        sys.executable,
        "-m",
        "segforge",
        "plan",
        "-d",
        "900",
        "--planner",
        "custom_planner:WindowPlanner",
        "--no-preprocess",
    ]
    path = f"{examples}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    subprocess.run(words, cwd=workspace, env=environment() | {"PYTHONPATH": path}, check=True)
    plans = json.loads((workspace / FOLDER / "plans/window.json").read_text())
    assert plans["planner"] == "window"
    for configuration in plans["configurations"].values():
        assert configuration["architecture"]["features"][0] == 16
        assert all(size % 16 == 0 for size in configuration["patch_size"])


def test_plans_are_not_moved_over_others_or_to_other_channels(workspace: Path, segforge) -> None:
    write_phantom(workspace / "raw/Dataset901_Other", training=3, testing=0, seed=5)
    segforge("plan -d 901 --features 3 --no-preprocess", workspace)
    done = segforge("plan --move-from 900 -d 901 --name default", workspace, status=2)
    assert "exists already" in done.stderr
    done = segforge("plan --move-from 900 -d 901 --name ../evil", workspace, status=2)
    assert "cannot be part of a folder name" in done.stderr
    path = workspace / FOLDER / "plans/default.json"
    content = json.loads(path.read_text())
    content["intensities"] *= 2
    for item in content["configurations"].values():
        item["normalization"] *= 2
        item["architecture"]["input_channels"] = 2
    path.write_text(json.dumps(content))
    done = segforge("plan --move-from 900 -d 901 --name shared", workspace, status=2)
    assert "are for 2 image channels, Dataset901_Other has 1" in done.stderr


def test_planning_anew_keeps_what_was_edited_aside(workspace: Path, segforge) -> None:
    path = workspace / FOLDER / "plans/default.json"
    edit(path, lambda c: c["3d_fullres"].update(batch_size=7))
    done = segforge("plan -d 900 --features 2", workspace)
    assert "change in 3d_fullres; the old ones are kept as default.json.old-1" in done.stderr
    assert json.loads(path.with_name("default.json.old-1").read_text())["configurations"]["3d_fullres"]["batch_size"] == 7


def test_an_heir_with_another_spacing_gets_data_of_its_own(workspace: Path, segforge) -> None:
    path = workspace / FOLDER / "plans/default.json"
    edit(path, lambda c: c.update(coarse={"inherits_from": "3d_fullres", "spacing": [4, 4, 4]}))
    segforge("plan -d 900 --features 2 -c 3d_fullres coarse", workspace)
    assert len(list((workspace / FOLDER / "default_coarse").glob("*_seg.npy"))) == 6
    segforge("train 900 coarse 0 --epochs 1 --iterations 1 --validation-iterations 1", workspace)
    segforge("train 900 3d_fullres 0 --epochs 1 --iterations 1 --validation-iterations 1", workspace)


def test_a_validation_uses_the_data_that_its_model_was_trained_on(workspace: Path, segforge) -> None:
    train = "train 900 3d_fullres 0 --epochs 1 --iterations 1 --validation-iterations 1"
    segforge(train, workspace)
    shutil.rmtree(workspace / "results/Dataset900_Phantom/default__default__3d_fullres/fold_0/validation")
    segforge("plan -d 900 --features 2 --spacing 5 4 4", workspace)
    assert "begun with other plans" in segforge(train, workspace, status=2).stderr
    segforge("find-best -d 900", workspace)


def test_several_data_sets_are_planned_one_after_the_other(workspace: Path, segforge) -> None:
    write_phantom(workspace / "raw/Dataset901_Other", training=3, testing=0, seed=5)
    segforge("plan -d 900 901 --features 2 --no-preprocess", workspace)
    assert (workspace / "preprocessed/Dataset901_Other/plans/default.json").is_file()


def test_nnunets_plans_are_imported_and_trained(workspace: Path, segforge) -> None:
    facts = f"--fingerprint {FOLDER}/dataset_fingerprint.json --description raw/Dataset900_Phantom/dataset.json"
    segforge(f"plan {facts} --features 2 --batch-size 2 --layout nnunet --output theirs.json", workspace)
    segforge("plan -d 900 --import theirs.json --name theirs -c 3d_fullres", workspace)
    ours = json.loads((workspace / FOLDER / "plans/default.json").read_text())
    imported = json.loads((workspace / FOLDER / "plans/theirs.json").read_text())
    assert imported["intensities"] == ours["intensities"]
    assert imported["configurations"]["3d_fullres"]["batch_size"] == 2
    assert "Imported from the plans of nnU-Net's, theirs.json" in (workspace / FOLDER / "plans/theirs.md").read_text()
    segforge("train 900 3d_fullres 0 -p theirs --epochs 1 --iterations 1 --validation-iterations 1", workspace)
    segforge("plan -d 900 --import theirs.json --name theirs -c 3d_fullres", workspace)


def test_plans_that_name_something_else_are_not_imported(workspace: Path, segforge) -> None:
    plans = json.loads((workspace / FOLDER / "plans/default.json").read_text())
    plans["configurations"]["3d_fullres"]["architecture"]["network"] = "subprocess:Popen"
    (workspace / "evil.json").write_text(json.dumps(plans))
    done = segforge("plan -d 900 --import evil.json --name evil", workspace, status=2)
    assert "subprocess:Popen is not among the networks" in done.stderr
    assert not (workspace / FOLDER / "plans/evil.json").exists()
