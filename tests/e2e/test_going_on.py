"""A training that is killed or interrupted goes on, and ends with the numbers of one that was not."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from e2e_environment import environment

TRAIN = "train 900 3d_fullres 0 --epochs 7 --iterations 6 --validation-iterations 2 --batch-size 2"
FOLD = Path("results/Dataset900_Phantom/default__default__3d_fullres/fold_0")


def history(workspace: Path) -> list[dict]:
    records = [json.loads(line) for line in (workspace / FOLD / "history.jsonl").read_text().splitlines()]
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


@pytest.fixture(scope="module")
def undisturbed(planned: Path, tmp_path_factory: pytest.TempPathFactory, segforge) -> Path:
    workspace = tmp_path_factory.mktemp("undisturbed") / "w"
    shutil.copytree(planned, workspace)
    segforge(TRAIN, workspace)
    return workspace


def stopped_by(number: signal.Signals, workspace: Path, epoch: int) -> subprocess.CompletedProcess[str]:
    """Start the training and send a signal in the given epoch."""
    words = [sys.executable, "-u", "-m", "segforge", *TRAIN.split()]
    process = subprocess.Popen(
        words,
        cwd=workspace,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        path = workspace / FOLD / "history.jsonl"
        if path.is_file() and len(path.read_text().splitlines()) >= epoch:
            break
        time.sleep(0.005)
    os.killpg(process.pid, number)
    stdout, stderr = process.communicate(timeout=120)
    return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)


def test_after_kill_9_in_epoch_4_the_same_command_goes_on_to_the_same_numbers(
    planned: Path, undisturbed: Path, tmp_path: Path, segforge
) -> None:
    workspace = tmp_path / "w"
    shutil.copytree(planned, workspace)
    killed = stopped_by(signal.SIGKILL, workspace, epoch=4)
    assert killed.returncode == -signal.SIGKILL
    second = segforge(TRAIN, workspace)
    (line,) = [line for line in second.stdout.splitlines() if line.startswith("Going on at epoch")]
    begun = int(line.split()[4].strip(","))
    assert begun >= 4
    trained_again = [int(line.split()[1].strip(":")) for line in second.stdout.splitlines() if line.startswith("epoch ")]
    assert trained_again == list(range(begun, 7))
    assert history(workspace) == history(undisturbed)
    name = "checkpoint_final.safetensors"
    assert (workspace / FOLD / name).read_bytes() == (undisturbed / FOLD / name).read_bytes()
    assert not list(workspace.rglob(".*partial*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_training_saves_within_the_epoch_and_exits_130(
    planned: Path, undisturbed: Path, tmp_path: Path, segforge, number: signal.Signals
) -> None:
    workspace = tmp_path / "w"
    shutil.copytree(planned, workspace)
    stopped = stopped_by(number, workspace, epoch=2)
    assert stopped.returncode == 130, stopped.stderr
    assert "Type the command again to go on" in stopped.stderr
    segforge(TRAIN, workspace)
    assert history(workspace) == history(undisturbed)


def test_other_settings_are_refused_with_the_difference(undisturbed: Path, segforge) -> None:
    done = segforge(TRAIN.replace("--epochs 7", "--epochs 9"), undisturbed, status=2)
    assert "epochs 9, not 7" in done.stderr
    assert "--name" in done.stderr


SHORT = "train 900 3d_fullres 0 --epochs 1 --iterations 1 --validation-iterations 1 --batch-size 2"


def test_restart_keeps_the_old_result_aside_where_nothing_uses_it(planned: Path, tmp_path: Path, segforge) -> None:
    workspace = tmp_path / "w"
    shutil.copytree(planned, workspace)
    segforge(SHORT, workspace)
    segforge(SHORT.replace("--iterations 1", "--iterations 2") + " --restart", workspace)
    folds = sorted(path.name for path in (workspace / FOLD).parent.iterdir() if path.is_dir())
    assert folds == ["fold_0", "fold_0.old-1"]
    assert "folds 0." in segforge("find-best -d 900", workspace).stdout
    done = segforge("predict -d 900 -i raw/Dataset900_Phantom/imagesTs -o out", workspace)
    assert "3d_fullres, folds 0" in done.stdout


def test_restart_with_settings_that_other_folds_do_not_have_is_refused_and_loses_nothing(
    planned: Path, tmp_path: Path, segforge
) -> None:
    workspace = tmp_path / "w"
    shutil.copytree(planned, workspace)
    segforge(SHORT, workspace)
    as_begun = segforge("train 900 3d_fullres 1", workspace).stdout
    assert "As default__default__3d_fullres was begun: --epochs 1, not 1000, --iterations 1, not 250" in as_begun
    done = segforge(SHORT.replace("--iterations 1", "--iterations 2") + " --restart", workspace, status=2)
    assert "iterations 2, not 1. Use the same, or a --name of its own" in done.stderr
    assert (workspace / FOLD / "checkpoint_final.safetensors").is_file()


def test_a_fold_whose_cases_have_changed_is_refused(planned: Path, tmp_path: Path, segforge) -> None:
    workspace = tmp_path / "w"
    shutil.copytree(planned, workspace)
    stopped_by(signal.SIGTERM, workspace, epoch=1)
    path = workspace / "preprocessed/Dataset900_Phantom/splits_final.json"
    splits = json.loads(path.read_text())
    splits[0]["train"].append(splits[0]["val"].pop())
    path.write_text(json.dumps(splits))
    done = segforge(TRAIN, workspace, status=2)
    assert "was begun with other cases" in done.stderr


def test_a_label_that_is_corrected_is_evaluated_again_and_nothing_is_predicted_again(
    planned: Path, tmp_path: Path, segforge
) -> None:
    workspace = tmp_path / "w"
    shutil.copytree(planned, workspace)
    segforge(SHORT, workspace)
    validation = workspace / FOLD / "validation"
    before = {path.name: path.stat().st_mtime_ns for path in validation.glob("*.nii.gz")}
    summary = json.loads((validation / "summary.json").read_text())
    held_out = Path(summary["metric_per_case"][0]["reference_file"])
    shutil.copy(validation / held_out.name, workspace / "raw/Dataset900_Phantom/labelsTr" / held_out.name)
    segforge("find-best -d 900", workspace)
    again = json.loads((validation / "summary.json").read_text())
    assert again["metric_per_case"][0]["metrics"] != summary["metric_per_case"][0]["metrics"]
    assert before == {path.name: path.stat().st_mtime_ns for path in validation.glob("*.nii.gz")}


def test_a_damaged_latest_checkpoint_falls_back_to_the_one_before(
    planned: Path, undisturbed: Path, tmp_path: Path, segforge
) -> None:
    workspace = tmp_path / "w"
    shutil.copytree(planned, workspace)
    stopped_by(signal.SIGKILL, workspace, epoch=3)
    latest = workspace / FOLD / "checkpoint_latest.safetensors"
    latest.write_bytes(latest.read_bytes()[:-50])
    done = segforge(TRAIN, workspace)
    assert "is damaged" in done.stderr
    assert history(workspace) == history(undisturbed)


def test_a_preprocessing_that_is_killed_at_any_moment_ends_with_the_same_bytes(planned: Path, tmp_path: Path, segforge) -> None:
    """Kill after kill, a little later each time, and then to the end."""
    workspace, data = tmp_path / "w", Path("preprocessed/Dataset900_Phantom/default_3d_fullres")
    shutil.copytree(planned / "raw", workspace / "raw")
    words = [sys.executable, "-m", "segforge", *["plan", "-d", "900", "--features", "2"]]
    begun = 0
    for wanted in (1, 6, 11, 16):  # files that are there when it is killed
        process = subprocess.Popen(words, cwd=workspace, env=environment(), stdout=subprocess.DEVNULL)
        while process.poll() is None and len(list((workspace / data).glob("*"))) < wanted:
            time.sleep(0.001)
        process.kill()
        process.wait()
        begun += bool(list((workspace / data).glob("*")))
    segforge("plan -d 900 --features 2", workspace)
    assert begun
    expected = {path.name: path.read_bytes() for path in (planned / data).iterdir() if path.suffix != ".json"}
    found = {path.name: path.read_bytes() for path in (workspace / data).iterdir() if path.suffix != ".json"}
    assert found == expected
    assert not [path for path in (workspace / data).iterdir() if path.name.startswith(".")]
