"""What a few steps say of a whole training: its time, what bounds it, and what to change."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_jobs import job

from segforge.training import estimate, measurement
from segforge.training.estimate import estimate_of
from segforge.training.measurement import Measured, measure
from segforge.training.trainer import Trainer

GB = 10**9
MEASURED = Measured(
    opening=5.0, reading=0.01, reading_processor=0.01, augmenting=0.02, network=0.4, step=0.45, validation_step=0.15,
    saving=2.0, whole_case=3.0, host_bytes=GB, case_bytes=3 * GB, device_bytes=None,
)  # fmt: skip


def found(measured: Measured = MEASURED, **settings) -> estimate.Estimate:
    lengths = {"epochs": 1000, "iterations": 250, "validation_iterations": 50} | settings
    return estimate_of(measured, job(Path(), **lengths), "cpu (2 threads)")


def test_an_epoch_is_its_steps_its_validation_and_its_checkpoints() -> None:
    it = found(epochs=10)
    assert it.epoch_seconds == pytest.approx(250 * 0.45 + 50 * 0.15 + 2)
    assert it.training_seconds == pytest.approx(10 * it.epoch_seconds + 5)
    assert (it.epochs, it.host_memory, it.case_memory, it.device_memory) == (10, 4 * GB, 3 * GB, None)
    assert it.advice == ()


def test_whole_cases_count_in_the_epochs_that_predict_them() -> None:
    class Validator:
        cases = ("a", "b")

    it = replace(job(Path(), epochs=10, validate_every=5), full_volume=Validator())
    usual = estimate_of(MEASURED, job(Path(), epochs=10), "cpu")
    assert estimate_of(MEASURED, it, "cpu").epoch_seconds == pytest.approx(usual.epoch_seconds + 2 * 3.0 / 5)


def test_a_time_is_what_it_takes_and_has_so_many_epochs() -> None:
    it = found(epochs=None, budget_seconds=3600.0)
    assert it.training_seconds == pytest.approx(3605, abs=1)
    assert it.epochs == pytest.approx(3600 / it.epoch_seconds, abs=1)
    assert it.epoch_seconds <= 72


@pytest.mark.parametrize(
    ("changes", "bound"),
    [
        ({}, "network"),
        ({"augmenting": 0.5, "step": 1.0}, "augmentation"),
        ({"reading": 2.0, "reading_processor": 0.1, "step": 2.0}, "disk"),
        ({"reading": 2.0, "reading_processor": 3.8, "step": 2.0}, "processor"),
        ({"step": 0.3}, "network"),  # on another moment of a busy machine
    ],
)
def test_what_bounds_it_is_what_a_step_waits_for(changes: dict, bound: str) -> None:
    assert found(replace(MEASURED, **changes)).bound_by == bound


def test_what_is_hopeless_gets_ways_out() -> None:
    (advice,) = found(replace(MEASURED, network=27.0, step=28.0)).advice
    assert advice.startswith("81.1 days on cpu: give a time with --budget")
    for words in ("segforge plan -d DATASET --features", "use a GPU"):
        assert words in advice
    assert found(replace(MEASURED, network=27.0, step=28.0), epochs=None, budget_seconds=3600.0).advice == ()


def test_slow_reading_and_full_memory_get_advice(monkeypatch) -> None:
    assert "local SSD" in found(replace(MEASURED, reading=2.0, reading_processor=0.1, step=2.0), epochs=9).advice[0]
    assert "more processor cores" in found(replace(MEASURED, reading=2.0, reading_processor=3.8, step=2.0), epochs=9).advice[0]
    assert "--augmentation default" in found(replace(MEASURED, augmenting=0.5, step=1.0), epochs=9).advice[0]
    monkeypatch.setattr(estimate, "available_memory", lambda: GB // 100)
    assert "smaller --batch-size" in found(epochs=9).advice[0]
    monkeypatch.setattr(estimate, "available_memory", lambda: GB)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (0, 10 * GB))
    assert "nearly full" in found(replace(MEASURED, device_bytes=int(9.8 * GB)), epochs=9).advice[0]
    assert not found(replace(MEASURED, device_bytes=9 * GB), epochs=9).advice


class Counting(Trainer):
    """Notes what is done, in order."""

    def train_step(self, images, target):
        self.done = [*getattr(self, "done", []), "train"]
        return super().train_step(images, target)

    def validation_step(self, images, target):
        assert not self.network.training
        self.done.append("validate")
        return super().validation_step(images, target)


@pytest.mark.usefixtures("no_pictures")
def test_measuring_does_what_a_training_does_and_writes_only_into_its_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(measurement, "_MOST", 4)
    monkeypatch.chdir(tmp_path)
    trainer = Counting(job(tmp_path / "here" / "fold_0"))
    it = measure(trainer)
    assert trainer.done == ["train"] * 12 + ["validate"] * 6
    for name in ("opening", "reading", "augmenting", "network", "step", "validation_step", "saving"):
        assert getattr(it, name) > 0, name
    assert it.whole_case == 0 and it.device_bytes is None
    assert it.case_bytes == sum(case.image.nbytes + case.classes.nbytes for case in trainer.job.cases.values())
    assert it.host_bytes > 10**8
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


@pytest.mark.usefixtures("no_pictures")
def test_a_slow_machine_is_measured_by_few_steps(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(measurement, "_SECONDS", 0.0)
    trainer = Counting(job(tmp_path / "fold_0"))
    measure(trainer)
    assert trainer.done == ["train"] * 8 + ["validate"] * 4
