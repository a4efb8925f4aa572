"""How long a training takes, from the command line: a time, an extension, a request to stop, an estimate, no memory."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from e2e_environment import environment

from segforge.cli.main import main
from segforge.networks.checkpoint import load_checkpoint
from segforge.training.history import History
from segforge.training.trainer import Trainer

MODELS = Path("results/Dataset900_Phantom")
SHORT = "--iterations 2 --validation-iterations 1 --batch-size 2"


@pytest.fixture
def workspace(planned: Path, tmp_path: Path) -> Path:
    shutil.copytree(planned, tmp_path / "w")
    return tmp_path / "w"


def typed(words: str, workspace: Path, capsys: pytest.CaptureFixture[str], status: int = 0) -> str:
    """What a command prints, run in this process."""
    capsys.readouterr()
    assert main([*words.split(), "--workspace", str(workspace)]) == status
    printed = capsys.readouterr()
    return printed.out + printed.err


def test_a_training_in_a_time_is_a_model_like_any_other(workspace: Path, capsys) -> None:
    words = "train 900 2d 0 --batch-size 2 --budget 2s"
    assert "2 s in epochs of up to 250 steps" in typed(words, workspace, capsys)
    model = workspace / MODELS / "default__default__2d"
    settings = json.loads((model / "settings.json").read_text())
    assert (settings["budget_seconds"], settings["epochs"]) == (2, None)
    records = History(model / "fold_0").read()
    assert records[-1].learning_rate < records[0].learning_rate  # how far it falls is test_budget's, by a clock of its own
    assert (model / "fold_0/validation/summary.json").is_file()
    assert "is trained already" in typed(words, workspace, capsys)
    assert "--budget left out, not 2.0" in typed("train 900 2d 0 --batch-size 2", workspace, capsys, 2)
    assert "--budget 60.0, not 2.0" in typed("train 900 2d 1 --batch-size 2 --budget 1m", workspace, capsys, 2)


def test_a_finished_training_is_extended_once_by_the_same_words(workspace: Path, capsys) -> None:
    words = f"train 900 2d 0 --epochs 2 {SHORT}"
    fold = workspace / MODELS / "default__default__2d/fold_0"
    assert "Train it to its end first, without --extend" in typed(f"{words} --extend 2", workspace, capsys, 2)
    assert not fold.parent.exists()
    typed(words, workspace, capsys)
    before = (fold / "validation/summary.json").read_bytes()
    printed = typed(f"{words} --extend 2", workspace, capsys)
    assert "2 epochs of 2 steps after the first 2" in printed and "Validation of fold 0" in printed
    assert (fold / "validation/summary.json").read_bytes() != before
    assert [record.epoch for record in History(fold).read()] == [0, 1, 2, 3]
    assert "is extended by 2 epochs already" in typed(f"{words} --extend 2", workspace, capsys)
    assert "is trained already" in typed(words, workspace, capsys)
    assert load_checkpoint(fold / "checkpoint_final.safetensors").facts.epoch == 4
    for wrong, message in (
        ("--extend 2 --restart", "Choose one"),
        ("--extend 2 --val", "Choose one"),
        ("--extend -1", "Give 1 or"),
    ):
        assert message in typed(f"{words} {wrong}", workspace, capsys, 2)


def begun(workspace: Path, words: str) -> subprocess.Popen[str]:
    """A training that has done its first epoch, in a process of its own."""
    command = [sys.executable, "-m", "segforge", *words.split()]
    process = subprocess.Popen(command, cwd=workspace, env=environment(), stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if any(path.stat().st_size for path in workspace.glob("results/*/*/fold_0/history.jsonl")):
            return process
        time.sleep(0.02)
    raise AssertionError(process.communicate())


def test_a_running_training_is_stopped_with_a_valid_model(workspace: Path, capsys) -> None:
    words = f"train 900 2d 0 --epochs 100000 {SHORT}"
    assert "No process trains" in typed("stop 900 2d 0", workspace, capsys, 2)
    process = begun(workspace, words)
    assert f"is being trained by process {process.pid} on" in typed(words, workspace, capsys, 75)
    assert "No process trains" in typed("stop 900 3d_fullres 0", workspace, capsys, 2)
    printed = typed("stop 900 2d 0 --within 1s", workspace, capsys)
    assert f"Asked process {process.pid} on" in printed and "to end within 1 s" in printed
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "Asked to end within 1 s: the learning rate falls from" in output and "Validation of fold 0" in output
    fold = workspace / MODELS / "default__default__2d/fold_0"
    assert len(History(fold).read()) == load_checkpoint(fold / "checkpoint_final.safetensors").facts.epoch
    assert "It is trained to its end" in typed("stop 900 2d 0", workspace, capsys, 2)
    assert "is trained already" in typed(words, workspace, capsys)
    assert "Did you mean 3d_fullres?" in typed("stop 900 3d_fulres 0", workspace, capsys, 2)


def test_an_estimate_leaves_nothing_behind(workspace: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr("segforge.training.measurement._MOST", 3)
    before = sorted(workspace.rglob("*"))
    found = json.loads(typed("estimate 900 2d --batch-size 2 --json", workspace, capsys))
    assert found["epochs"] == 1000
    assert found["training_seconds"] > found["epoch_seconds"] > 250 * found["step_seconds"] > 0
    table = typed("estimate 900 2d 1 --batch-size 2 --budget 6h", workspace, capsys)
    for words in ("a training step", "network alone", "reading alone", "6.0 h in ", "memory"):
        assert words in table
    assert sorted(workspace.rglob("*")) == before
    assert "Did you mean 2d" in typed("estimate 900 2dd", workspace, capsys, 2)


class Full(Trainer):
    def train_step(self, images, target):
        if self.epoch:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB.")
        return super().train_step(images, target)


def test_a_full_device_is_a_message_with_ways_out(workspace: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(
        "segforge.training.run.TRAINERS", {"default": "segforge.training.trainer:Trainer", "full": f"{__name__}:Full"}
    )
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Full.__module__])
    printed = typed(f"train 900 2d 0 -tr full --epochs 3 {SHORT}", workspace, capsys, 2)
    assert "There is not enough memory on this machine; 2.68 GB more were asked for." in printed
    assert "smaller --batch-size" in printed and "Traceback" not in printed
    assert load_checkpoint(workspace / MODELS / "full__default__2d/fold_0/checkpoint_latest.safetensors").facts.epoch == 1
    assert "No process trains" in typed("stop 900 2d 0 -tr full", workspace, capsys, 2)
