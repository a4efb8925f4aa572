"""One process trains a fold; another one can see that, and ask it to end soon."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from clocks import Clock, ClockedTrainer
from e2e_environment import environment
from training_jobs import job

from segforge.errors import SegForgeError
from segforge.networks.checkpoint import load_checkpoint
from segforge.training.extension import course_facts
from segforge.training.history import EpochRecord
from segforge.training.sole_run import STOP_FILE, Run, ask_to_end

FINAL, LATEST = "checkpoint_final.safetensors", "checkpoint_latest.safetensors"

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "fold_0").mkdir()
    return tmp_path / "fold_0"


def test_a_second_run_of_a_fold_is_refused_with_who_trains_it(folder: Path) -> None:
    with Run(folder).alone():
        with (
            pytest.raises(SegForgeError, match=f"is being trained by process {os.getpid()} on .*segforge stop"),
            Run(folder).alone(),
        ):
            raise AssertionError
        with Run(folder.with_name("fold_1")).alone():
            pass
    with Run(folder).alone():
        pass


def test_who_is_asked_ends_within_the_time_that_was_asked_for_last(folder: Path) -> None:
    run = Run(folder)
    with run.alone():
        assert run.asked_to_end() is None
        assert ask_to_end(folder, 600).process == os.getpid()
        ask_to_end(folder, 20)
        assert run.asked_to_end() == 20
        run.heeded()
        assert run.asked_to_end() is None


def test_nobody_is_asked_where_nobody_trains(folder: Path) -> None:
    with pytest.raises(SegForgeError, match="No process trains .*fold_0 now; there is nothing to stop"):
        ask_to_end(folder, 20)
    with Run(folder).alone():
        ask_to_end(folder, 20)
    assert not (folder / STOP_FILE).exists()
    with pytest.raises(SegForgeError, match="No process trains"):
        ask_to_end(folder, 20)


KILLED = """
import os, sys
from pathlib import Path
from segforge.training.sole_run import Run, ask_to_end
folder = Path(sys.argv[1])
with Run(folder).alone():
    ask_to_end(folder, 20)
    print("it runs", flush=True)
    sys.stdin.read()
"""


def test_what_was_asked_of_a_killed_run_concerns_no_later_one(folder: Path) -> None:
    words = [sys.executable, "-c", KILLED, str(folder)]
    process = subprocess.Popen(words, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "it runs\n"
    with pytest.raises(SegForgeError, match=f"is being trained by process {process.pid} on"), Run(folder).alone():
        raise AssertionError
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with pytest.raises(SegForgeError, match="No process trains"):
        ask_to_end(folder, 20)
    assert (folder / STOP_FILE).is_file()
    run = Run(folder)
    with run.alone():
        assert run.asked_to_end() is None
        assert not (folder / STOP_FILE).exists()


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"run": "x"}), json.dumps({"run": 3, "seconds": "soon"})])
def test_a_damaged_request_is_removed(folder: Path, content: str) -> None:
    run = Run(folder)
    with run.alone():
        (folder / STOP_FILE).write_text(content)
        assert run.asked_to_end() is None
        assert not (folder / STOP_FILE).exists()


class Asked(ClockedTrainer):
    """Is asked to end at some step, and again at others."""

    requests: dict[int, float]

    def train_step(self, images, target):
        loss = super().train_step(images, target)
        if (seconds := self.requests.get(len(self.rates))) is not None:
            ask_to_end(self.job.folder, seconds)
            self.asked_at = self.clock.now
        return loss


def trained(
    folder: Path, patch: pytest.MonkeyPatch, requests: dict[int, float], kind: type[Asked] = Asked, **settings
) -> Asked:
    clock = Clock()
    clock.rule(patch)
    patch.setattr("segforge.training.trainer.time.monotonic", clock)
    run = Run(folder)
    lengths = {"epochs": 50, "iterations": 10, "validation_iterations": 3} | settings
    trainer = kind(replace(job(folder, **lengths), run=run))
    trainer.clock, trainer.requests = clock, requests
    with run.alone():
        trainer.run()
    return trainer


def test_a_training_that_is_asked_runs_its_schedule_out_in_time(folder: Path, monkeypatch, caplog) -> None:
    caplog.set_level("INFO", "segforge")
    trainer = trained(folder, monkeypatch, {25: 20.0})
    assert sum("Asked to end" in message for message in caplog.messages) == 1
    assert 16 < trainer.clock.now - trainer.asked_at <= 20
    assert (folder / FINAL).is_file() and not (folder / STOP_FILE).exists() and not (folder / LATEST).exists()
    assert trainer.rates == sorted(trainer.rates, reverse=True)
    assert trainer.rates[25] == trainer.rates[24] > 0.009
    assert trainer.rates[-1] < 0.15 * trainer.rates[24]
    assert [record.epoch for record in trainer.history.read()] == list(range(trainer.epoch))


def test_a_second_request_shortens_the_first_but_never_lengthens_it(folder: Path, monkeypatch) -> None:
    trainer = trained(folder, monkeypatch, {15: 60.0, 20: 10.0, 22: 500.0})
    asked_at = trainer.asked_at - 2
    assert 7 < trainer.clock.now - asked_at <= 10
    assert trainer.rates == sorted(trainer.rates, reverse=True)


def test_the_validation_of_a_long_epoch_does_not_take_the_time(folder: Path, monkeypatch) -> None:
    trainer = trained(folder, monkeypatch, {55: 20.0}, iterations=60, validation_iterations=60)
    assert 16 < trainer.clock.now - trainer.asked_at <= 20
    assert trainer.rates[-1] < 0.2 * trainer.rates[54]


def test_at_once_means_no_further_step(folder: Path, monkeypatch) -> None:
    trainer = trained(folder, monkeypatch, {14: 0.0})
    assert len(trainer.rates) == 14
    assert trainer.epoch == 2
    assert (folder / FINAL).is_file()


def test_a_training_that_ends_sooner_by_itself_goes_on_as_it_is(folder: Path, monkeypatch, caplog) -> None:
    caplog.set_level("INFO", "segforge")
    trainer = trained(folder, monkeypatch, {35: 3600.0}, epochs=4)
    assert "Asked to end within 60 min: the training ends sooner by itself." in caplog.messages
    assert len(trainer.rates) == 40
    assert load_checkpoint(folder / FINAL).facts.course is None


def test_one_in_a_time_of_its_own_is_asked_too(folder: Path, monkeypatch) -> None:
    trainer = trained(folder, monkeypatch, {10: 12.0, 14: 3600.0}, epochs=None, budget_seconds=500.0)
    assert 8 < trainer.clock.now - 1000 - 10 < 14
    assert course_facts(load_checkpoint(folder / FINAL).facts).countdown.seconds == 12


class DiesAtOnce(Asked):
    """Is gone before the next step after it was asked."""

    def train_step(self, images, target):
        if hasattr(self, "asked_at"):
            raise KeyboardInterrupt
        return super().train_step(images, target)


class DiesLater(Asked):
    """Is gone some time after it was asked."""

    def on_epoch_end(self, record: EpochRecord) -> None:
        if hasattr(self, "asked_at") and self.clock.now - self.asked_at > 8:
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", [DiesAtOnce, DiesLater])
def test_what_was_asked_for_outlives_a_kill(folder: Path, monkeypatch, kind: type[Asked]) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(folder, monkeypatch, {12: 20.0}, kind)
    saved = course_facts(load_checkpoint(folder / LATEST).facts).countdown
    assert saved.seconds == 20 and 0 <= saved.spent <= 10
    trainer = trained(folder, monkeypatch, {})
    assert 16 < saved.spent + trainer.clock.now - 1000 <= 20
    assert trainer.rates == sorted(trainer.rates, reverse=True)
    assert trainer.epoch < 50
