"""One training over several processes: the same numbers as alone, one log, one checkpoint, and one message at its end."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_environment import environment

NUMBERS = "--iterations 4 --batch-size 5 --validation-iterations 2 --device cpu"
MODULE = ["-m", "segforge"]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *MODULE]


@pytest.fixture(scope="module")
def workspace(planned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several") / "workspace"
    shutil.copytree(planned, folder)
    return folder


def fold(workspace: Path, name: str) -> Path:
    return workspace / "results" / "Dataset900_Phantom" / f"{name}__default__2d" / "fold_0"


def records(workspace: Path, name: str) -> list[dict]:
    lines = (fold(workspace, name) / "history.jsonl").read_text().splitlines()
    return [json.loads(line) | {"seconds": None} for line in lines]


def begun(workspace: Path, launcher: list[str], command: str) -> subprocess.Popen[str]:
    """A training that has told of one epoch."""
    process = subprocess.Popen(
        [sys.executable, *launcher, *command.split()],
        cwd=workspace,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert any(line.startswith("epoch") for line in process.stdout), process.communicate()[1]
    return process


def test_stopped_under_torchrun_and_gone_on_with_gpus_it_has_the_numbers_of_one_process(workspace: Path, segforge) -> None:
    segforge(f"train 900 2d 0 --epochs 5 --name alone {NUMBERS}", workspace)
    stopped = begun(workspace, TORCHRUN, f"train 900 2d 0 --epochs 5 --name several {NUMBERS}")
    os.kill(stopped.pid, signal.SIGTERM)
    shown, said = stopped.communicate(timeout=120)
    assert 1 <= said.count("Type the command again to go on.") <= 2 and not (fold(workspace, "several") / "validation").exists()
    assert all(shown.count(f"epoch {number}: loss") <= 1 for number in range(5))
    told = segforge(f"train 900 2d 0 --epochs 5 --name several --gpus 2 {NUMBERS}", workspace).stdout
    assert told.count("Going on at epoch") == 1 and told.count("epoch 4: loss") == 1
    together, alone = records(workspace, "several"), records(workspace, "alone")
    assert [record["epoch"] for record in together] == [0, 1, 2, 3, 4]
    for record, expected in zip(together, alone, strict=True):
        for key in ("train_loss", "validation_loss", "ema", "learning_rate"):
            assert record[key] == pytest.approx(expected[key], rel=1e-4, abs=1e-5), (record["epoch"], key)
    names = {path.name for path in fold(workspace, "several").iterdir()}
    assert names == {path.name for path in fold(workspace, "alone").iterdir()}


def test_one_that_is_killed_is_named_and_what_was_saved_goes_on(workspace: Path) -> None:
    running = begun(workspace, MODULE, f"train 900 2d 0 --epochs 500 --name killed --gpus 2 {NUMBERS}")
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    (follower,) = [child for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]
    os.kill(int(follower), signal.SIGKILL)
    said = running.communicate(timeout=120)[1]
    assert running.returncode == 2
    assert said == "segforge: Process 1 of the training failed: It was killed by SIGKILL. What was saved before stays.\n"
    assert (fold(workspace, "killed") / "checkpoint_latest.safetensors").is_file()
    again = begun(workspace, MODULE, f"train 900 2d 0 --epochs 500 --name killed --gpus 2 {NUMBERS}")
    os.killpg(again.pid, signal.SIGINT)  # as a terminal does
    said = again.communicate(timeout=120)[1]
    assert again.returncode == 130
    assert said.startswith("segforge: Stopped in epoch") and said.count("\n") == 1
