"""A finished training that is extended has the end of a longer one, and may be interrupted like any other."""

from dataclasses import replace
from pathlib import Path

import pytest
from training_jobs import job

from segforge.errors import SegForgeError
from segforge.networks.checkpoint import load_checkpoint
from segforge.training.extension import course_facts, is_finished
from segforge.training.history import EpochRecord
from segforge.training.schedule import scheduled_learning_rate
from segforge.training.trainer import Trainer

FINAL, BEST, LATEST = (f"checkpoint_{name}.safetensors" for name in ("final", "best", "latest"))

pytestmark = pytest.mark.usefixtures("no_pictures")


def run(folder: Path, extend: int = 0, kind: type[Trainer] = Trainer, **settings) -> Trainer:
    trainer = kind(replace(job(folder, **settings), extend=extend))
    trainer.run()
    return trainer


class Dies(Trainer):
    """Is gone in its second epoch, before that is saved."""

    def on_epoch_end(self, record: EpochRecord) -> None:
        if record.epoch == 3:
            raise KeyboardInterrupt


def weights(folder: Path) -> dict:
    return {name: tensor.tolist() for name, tensor in load_checkpoint(folder / FINAL).weights.items()}


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_with_a_constant_rate_it_is_the_longer_training_to_the_byte(tmp_path: Path, optimizer: str) -> None:
    settings = {"schedule": "constant", "optimizer": optimizer}
    run(tmp_path / "long", epochs=4, **settings)
    run(tmp_path / "short", epochs=2, **settings)
    run(tmp_path / "short", extend=2, epochs=2, **settings)
    assert weights(tmp_path / "short") == weights(tmp_path / "long")
    for name in ("history.jsonl",):
        found, expected = (
            [record.content() | {"seconds": None} for record in Trainer(job(tmp_path / kind)).history.read()]
            for kind in ("short", "long")
        )
        assert found == expected, name


@pytest.mark.parametrize("schedule", ["poly", "cosine"])
def test_its_rates_are_those_at_the_end_of_the_longer_training(tmp_path: Path, schedule: str) -> None:
    run(tmp_path, epochs=3, iterations=1, schedule=schedule)
    run(tmp_path, extend=2, epochs=3, iterations=1, schedule=schedule)
    rates = [
        record.learning_rate for record in run(tmp_path, extend=4, epochs=3, iterations=1, schedule=schedule).history.read()
    ]
    for numbers, epochs in ((range(3), 3), (range(3, 5), 5), (range(5, 7), 7)):
        assert [rates[number] for number in numbers] == [
            scheduled_learning_rate(schedule, 0.01, number, epochs) for number in numbers
        ]


def test_an_interrupted_extension_goes_on_to_the_same_end_and_the_old_model_is_there_until_then(tmp_path: Path) -> None:
    run(tmp_path / "undisturbed", epochs=2)
    run(tmp_path / "undisturbed", extend=3, epochs=2)
    run(tmp_path / "it", epochs=2)
    old = (tmp_path / "it" / FINAL).read_bytes()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "it", 3, Dies, epochs=2)
    assert (tmp_path / "it" / FINAL).read_bytes() == old
    assert not is_finished(tmp_path / "it", 3)
    assert run(tmp_path / "it", extend=3, epochs=2).epoch == 5
    for name in (FINAL, BEST):
        assert (tmp_path / "it" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()
    assert not (tmp_path / "it" / LATEST).exists()
    extension = course_facts(load_checkpoint(tmp_path / "it" / FINAL).facts).extension
    assert (extension.base, extension.epochs, extension.iterations) == (2, 3, 2)


def test_an_extension_whose_checkpoints_are_damaged_begins_again_at_the_final_one(tmp_path: Path) -> None:
    run(tmp_path, epochs=2)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, 3, Dies, epochs=2)
    (tmp_path / LATEST).write_bytes(b"")
    assert [record.epoch for record in run(tmp_path, extend=3, epochs=2).history.read()] == [0, 1, 2, 3, 4]


def test_what_was_extended_is_not_extended_again_by_the_same_words(tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO", "segforge")
    run(tmp_path, epochs=2, iterations=1)
    assert is_finished(tmp_path, 0) and not is_finished(tmp_path, 2)
    run(tmp_path, extend=2, epochs=2, iterations=1)
    assert [is_finished(tmp_path, epochs) for epochs in (0, 1, 2, 3)] == [True, True, True, False]
    assert "is extended by 2 epochs already. For more give a larger number." in caplog.text


def test_an_extension_that_was_begun_is_neither_lost_nor_mixed_with_another(tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO", "segforge")
    run(tmp_path, epochs=2)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, 3, Dies, epochs=2)
    assert is_finished(tmp_path, 0)
    assert "an extension by 3 epochs was begun. Go on with it by --extend 3" in caplog.text
    with pytest.raises(SegForgeError, match="by 3 epochs was begun. Go on with it by --extend 3"):
        is_finished(tmp_path, 4)
    assert (tmp_path / LATEST).is_file()


def test_what_a_kill_left_after_the_end_is_removed_and_not_taken_for_an_extension(tmp_path: Path) -> None:
    run(tmp_path, epochs=2)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "other", 0, Dies, epochs=4)
    (tmp_path / LATEST).write_bytes((tmp_path / "other" / LATEST).read_bytes())
    assert is_finished(tmp_path, 0)
    assert not (tmp_path / LATEST).exists()


def test_a_training_in_a_time_is_extended_by_epochs_like_those_that_it_had(tmp_path: Path) -> None:
    settings = {"epochs": None, "budget_seconds": 1.0, "iterations": 40}
    first = run(tmp_path, **settings).history.read()
    steps = [record.iterations or 40 for record in first]
    second = run(tmp_path, extend=2, **settings).history.read()
    assert len(second) == len(first) + 2
    assert {record.iterations for record in second[-2:]} == {max(1, round(sum(steps) / len(steps)))}
    assert second[-1].learning_rate == pytest.approx(0.01 / len(second) ** 0.9)
