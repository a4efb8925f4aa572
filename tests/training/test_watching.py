"""Scores of whole cases during a training, a warning where nothing is learned, and what is said about time."""

import json
import logging
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_jobs import job

from segforge.errors import SegForgeError
from segforge.networks.checkpoint import load_checkpoint
from segforge.training.collapse import advice, not_found, patience
from segforge.training.history import EpochRecord, History
from segforge.training.report import Report
from segforge.training.trainer import Trainer

FINAL, BEST = "checkpoint_final.safetensors", "checkpoint_best.safetensors"


class WholeCases:
    """Gives scores that are known beforehand, and remembers who asked."""

    cases = ("b", "c")

    def __init__(self, *scores: float) -> None:
        self.scores, self.asked = list(scores), []

    def dice(self, case: str, network: torch.nn.Module) -> dict[str, float]:
        assert not network.training
        self.asked.append(case)
        torch.rand(1)  # even if it drew something
        return {"a": self.scores[(len(self.asked) - 1) // 2], "b": math.nan if case == "b" else 0.5}


def run(folder: Path, validator: WholeCases | None = None, **settings) -> Trainer:
    trainer = Trainer(replace(job(folder, **settings), full_volume=validator))
    trainer.run()
    return trainer


def test_whole_cases_are_scored_every_few_epochs_and_in_the_last(tmp_path: Path) -> None:
    validator = WholeCases(0.1, 0.3, 0.2)
    records = run(tmp_path, validator, epochs=5, iterations=1, validate_every=2).history.read()
    assert validator.asked == ["b", "c"] * 3
    assert [record.full_volume_dice for record in records] == [
        None, {"a": 0.1, "b": 0.5}, None, {"a": 0.3, "b": 0.5}, {"a": 0.2, "b": 0.5},
    ]  # fmt: skip
    assert [record.mean_full_volume_dice for record in records] == pytest.approx([None, 0.3, None, 0.4, 0.35])
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert ["full_volume_dice" in line for line in lines] == [False, True, False, True, True]


@pytest.mark.parametrize("every", [1, 2])
def test_the_weights_are_the_same_with_and_without(tmp_path: Path, every: int) -> None:
    run(tmp_path / "without", epochs=3)
    run(tmp_path / "with", WholeCases(0.1, 0.2, 0.3), epochs=3, validate_every=every)
    assert (tmp_path / "with" / FINAL).read_bytes() == (tmp_path / "without" / FINAL).read_bytes()
    assert (tmp_path / "with" / BEST).read_bytes() == (tmp_path / "without" / BEST).read_bytes()


def test_the_best_checkpoint_may_be_chosen_by_whole_cases(tmp_path: Path) -> None:
    run(tmp_path, WholeCases(0.2, 0.6, 0.4, 0.6), epochs=4, validate_every=1, best_by="full-volume")
    facts = load_checkpoint(tmp_path / BEST).facts
    assert facts.epoch == 2
    assert facts.best_ema == pytest.approx((0.6 + 0.5) / 2)


class Dies(Trainer):
    """Is gone after some epochs."""

    def on_epoch_end(self, record: EpochRecord) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt


def test_going_on_remembers_the_best_score_of_whole_cases(tmp_path: Path) -> None:
    settings = {"epochs": 4, "validate_every": 1, "best_by": "full-volume"}
    with pytest.raises(KeyboardInterrupt):
        Dies(replace(job(tmp_path, **settings), full_volume=WholeCases(0.2, 0.6, 0.4))).run()
    trainer = run(tmp_path, WholeCases(0.4, 0.5), **settings)
    assert load_checkpoint(tmp_path / BEST).facts.epoch == 2
    assert [record.full_volume_dice["a"] for record in trainer.history.read()] == [0.2, 0.6, 0.4, 0.5]


def test_best_by_whole_cases_needs_whole_cases(tmp_path: Path) -> None:
    with pytest.raises(SegForgeError, match="--best-by full-volume needs whole cases; add --validate-every"):
        job(tmp_path, best_by="full-volume")


def test_scores_of_whole_cases_are_drawn(tmp_path: Path, monkeypatch) -> None:
    drawn = []
    monkeypatch.setattr("segforge.training.history.draw_panels", lambda path, x, label, panels: drawn.append(panels))
    run(tmp_path / "with", WholeCases(0.1, 0.3), epochs=4, validate_every=2)
    run(tmp_path / "without")
    titles = [[panel.title for panel in panels] for panels in drawn]
    common = ["loss", "pseudo-Dice (validation patches)", "learning rate", "seconds per epoch"]
    assert titles[-1] == common
    assert titles[0] == [*common[:2], "full-volume Dice (whole validation cases)", *common[2:]]
    curves = {curve.name: curve.values for curve in drawn[0][2].curves}
    assert curves["a"] == [None, 0.1, 0.1, 0.3]
    assert curves["mean"] == pytest.approx([None, 0.3, 0.3, 0.4])


def records(*dice: tuple[float | None, float | None]) -> list[EpochRecord]:
    return [
        EpochRecord(number, 0.01, 0.5, 0.5, {"a": a, "b": b}, 0.1, 0.1, 1.0) for number, (a, b) in enumerate(dice)
    ]  # fmt: skip


@pytest.mark.parametrize(("epochs", "expected"), [(1000, 50), (400, 20), (100, 20), (30, 15), (12, 6), (2, 5)])
def test_one_waits_longer_in_a_longer_training(epochs: int, expected: int) -> None:
    assert patience(epochs) == expected


def test_a_structure_is_named_once_when_it_has_been_0_long_enough() -> None:
    found = [not_found(records(*[(0.5, 0.0)] * count), 12) for count in range(1, 12)]
    assert found == [[]] * 5 + [["b"]] + [[]] * 5
    assert not_found(records(*[(0.0, 0.0)] * 6), 12) == ["a", "b"]


def test_a_structure_that_fails_later_or_does_not_occur_now_and_then_is_named_too() -> None:
    assert not_found(records((0.5, 0.1), *[(0.5, 0.0)] * 6), 12) == ["b"]
    assert not_found(records((0.5, 0.1), *[(0.5, 0.0)] * 3, (0.5, None), *[(0.5, 0.0)] * 3), 12) == ["b"]
    assert not_found(records((0.5, 0.1), *[(0.5, 0.0)] * 3, (0.5, 0.01), *[(0.5, 0.0)] * 3), 12) == []
    assert not_found(records(*[(0.5, None)] * 7), 12) == []
    assert not_found(records(*[(0.5, 0.0)] * 6, (0.5, None)), 12) == []


def test_the_advice_says_what_and_what_to_try() -> None:
    assert "pseudo-Dice of b has been 0 for 20 epochs" in advice(["b"], 2, 100)
    assert "pseudo-Dice of every structure has been 0" in advice(["a", "b"], 2, 100)
    assert "--lr" in advice(["b"], 2, 100) and "segforge verify" in advice(["b"], 2, 100)


def test_a_training_that_finds_nothing_says_so_once(tmp_path: Path, caplog) -> None:
    run(tmp_path, epochs=12, iterations=1, learning_rate=1e-9, augmentation="none")
    warnings = [record.message for record in caplog.records if "has been 0" in record.message]
    history = History(tmp_path).read()
    due = [names for count in range(1, 13) if (names := not_found(history[:count], 12))]
    assert due
    assert warnings == [advice(names, 2, 12) for names in due]


class Diverges(Trainer):
    """Goes wrong in the third epoch."""

    def train_step(self, images: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        loss = super().train_step(images, target)
        if self.epoch == 2:
            with torch.no_grad():
                next(self.network.parameters()).fill_(math.nan)
        return loss


@pytest.mark.parametrize("every", [0, 1])
def test_a_training_that_diverges_says_so_and_the_last_good_checkpoint_stays(tmp_path: Path, every: int) -> None:
    good = Trainer(job(tmp_path / "good", epochs=4))
    with pytest.raises(SegForgeError, match=r"no longer finite in epoch 2.*last good checkpoint is in .*lower --lr"):
        Diverges(replace(job(tmp_path / "bad", epochs=4, validate_every=every), full_volume=WholeCases(0.1, 0.2, 0.3))).run()
    kept = load_checkpoint(tmp_path / "bad" / "checkpoint_latest.safetensors")
    assert kept.facts.epoch == 2
    assert all(torch.isfinite(weight).all() for weight in kept.weights.values())
    assert not (tmp_path / "bad" / FINAL).exists()
    good.run()
    if not every:
        run(tmp_path / "bad", epochs=4)
        assert (tmp_path / "bad" / FINAL).read_bytes() == (tmp_path / "good" / FINAL).read_bytes()


@pytest.fixture
def said(caplog) -> list[str]:
    caplog.set_level(logging.INFO, "segforge")
    return caplog.messages


def test_before_the_first_epoch_it_says_what_with_what_and_how_much_memory(tmp_path: Path, said, caplog) -> None:
    run(tmp_path, epochs=1)
    first = caplog.messages[0]
    assert first.startswith("2d, fold 0: 1 cases to train, 1 to validate; 1 epochs of 2 steps, batch 2 of 8x8; plain_unet, ")
    assert " parameters; cpu (" in first and "threads), fp32, about " in first and first.endswith(" GB of memory")


def test_the_time_of_an_epoch_is_told_after_a_few_steps_and_after_the_first_epoch(tmp_path: Path, caplog, monkeypatch) -> None:
    caplog.set_level(logging.INFO, "segforge")
    clock = iter(range(0, 100_000, 7))
    monkeypatch.setattr(Report, "_now", lambda self: float(next(clock)))
    run(tmp_path, epochs=3, iterations=20, validation_iterations=3)
    lines = [line for line in caplog.messages if "An epoch takes" in line]
    assert len(lines) == 2
    # 10 steps in 7 s by that clock; 20 steps, and 3 that cost a third
    assert lines[0].startswith(f"An epoch takes about {0.7 * 21:.1f} s; the last of 3 ends about 20")
    positions = [caplog.messages.index(line) for line in lines]
    epochs = [number for number, line in enumerate(caplog.messages) if line.startswith("epoch ")]
    assert positions[0] < epochs[0] < positions[1] < epochs[1]


def test_an_epoch_in_a_line_has_its_losses_scores_rate_and_time(tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.INFO, "segforge")
    run(tmp_path, WholeCases(0.25), epochs=1, validate_every=1)
    (line,) = [line for line in caplog.messages if line.startswith("epoch 0")]
    for word in (
        "loss ",
        "validation ",
        "pseudo-Dice a 0.",
        ", b 0.",
        "average ",
        "; full-volume Dice a 0.250, b 0.500; lr 0.01",
    ):
        assert word in line
    assert line.endswith(" s")
