"""Loggers are told of every epoch, and whatever they do, the training is the same and waits for nobody."""

import importlib.machinery
import math
import sys
import threading
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from training_jobs import job

from segforge import plugins
from segforge.errors import SegForgeError
from segforge.training.history import EpochRecord
from segforge.training.loggers import feed
from segforge.training.loggers.feed import open_feeds
from segforge.training.loggers.logger import numbers_of
from segforge.training.trainer import Trainer

FINAL = "checkpoint_final.safetensors"


class Package(types.ModuleType):
    """Stands in for an installed package."""

    def __init__(self, name: str, **content: Any) -> None:
        super().__init__(name)
        self.__spec__ = importlib.machinery.ModuleSpec(name, None)
        self.__dict__.update(content)


class Notes:
    """Whatever is called, with what: `notes.add(1, a=2)` is remembered as `("add", (1,), {"a": 2})`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple, dict]] = []

    def __getattr__(self, name: str) -> Callable[..., "Notes"]:
        def noted(*arguments: Any, **keywords: Any) -> Notes:
            self.calls.append((name, arguments, keywords))
            return self

        return noted

    def named(self, name: str) -> list[tuple]:
        return [arguments for called, arguments, _ in self.calls if called == name]


def run(folder: Path, *loggers: str, kind: type[Trainer] = Trainer, **settings) -> Trainer:
    trainer = kind(replace(job(folder, **settings), loggers=loggers))
    trainer.run()
    return trainer


@pytest.fixture
def fold(tmp_path: Path) -> Path:
    path = tmp_path / "Dataset004_X" / "default__default__2d" / "fold_0"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Notes:
    notes = Notes()
    monkeypatch.setitem(sys.modules, "tensorboard", Package("tensorboard"))
    writer = Package("torch.utils.tensorboard", SummaryWriter=lambda *a, **k: notes.SummaryWriter(*a, **k))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", writer)
    return notes


def test_tensorboard_gets_settings_numbers_and_the_picture(fold: Path, board: Notes) -> None:
    trainer = run(fold, "tensorboard", epochs=2)
    assert board.named("SummaryWriter") == [(str(fold / "tensorboard"),)]
    assert '"epochs": 2' in board.named("add_text")[0][1]
    scalars = {(name, epoch): value for name, value, epoch in board.named("add_scalar")}
    records = trainer.history.read()
    for record in records:
        assert scalars[("train_loss", record.epoch)] == record.train_loss
        assert scalars[("pseudo_dice/a", record.epoch)] == record.pseudo_dice["a"]
    assert len(scalars) == sum(len(numbers_of(record)) for record in records)
    ((name, image, epoch),) = board.named("add_image")
    assert (name, epoch, image.shape[2]) == ("progress", 1, 3)
    assert board.calls[-1][0] == "close"


def test_wandb_gets_a_run_that_it_knows_again(fold: Path, monkeypatch, no_pictures) -> None:
    notes = Notes()
    wandb = Package("wandb", init=notes.init, Settings=dict, Image=str)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    (fold / "progress.png").touch()
    with pytest.raises(KeyboardInterrupt):
        run(fold, "wandb", kind=Dies, epochs=4)
    run(fold, "wandb", epochs=4)
    first, second = (keywords for name, _, keywords in notes.calls if name == "init")
    assert first == second
    assert (first["project"], first["name"], first["resume"]) == ("Dataset004_X", "default__default__2d fold_0", "allow")
    assert first["config"]["epochs"] == 4
    logged = [numbers for (numbers,) in notes.named("log") if "train_loss" in numbers]
    assert [numbers["epoch"] for numbers in logged] == [0, 1, 2, 3]
    assert [name for name, _, _ in notes.calls].count("finish") == 2
    (fold / "logged.json").unlink()
    run(fold, "wandb", epochs=4)
    assert next(keywords for name, _, keywords in reversed(notes.calls) if name == "init")["id"] != first["id"]


class Dies(Trainer):
    def on_epoch_end(self, record: EpochRecord) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt


class Client(Notes):
    """MLflow's, with a memory of runs."""

    experiments: ClassVar[list[str]] = []
    runs: ClassVar[dict[str, dict]] = {}

    def get_experiment_by_name(self, name: str):
        return types.SimpleNamespace(experiment_id="7") if name in self.experiments else None

    def create_experiment(self, name: str) -> str:
        self.experiments.append(name)
        return "7"

    def search_runs(self, experiments: list[str], words: str, max_results: int) -> list:
        return [self.run(number) for number, tags in self.runs.items() if repr(tags["segforge.run"]) in words]

    def create_run(self, experiment: str, tags: dict, run_name: str):
        self.runs[f"run{len(self.runs)}"] = tags
        return self.run(f"run{len(self.runs) - 1}")

    @staticmethod
    def run(number: str):
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id=number))


def test_mlflow_goes_on_with_the_run_that_it_has(fold: Path, monkeypatch, no_pictures) -> None:
    clients = [Client(), Client()]
    waiting = iter(clients)
    monkeypatch.setattr(Client, "runs", {})
    monkeypatch.setattr(Client, "experiments", [])
    monkeypatch.setitem(sys.modules, "mlflow", Package("mlflow", MlflowClient=lambda: next(waiting)))
    with pytest.raises(KeyboardInterrupt):
        run(fold, "mlflow", kind=Dies, epochs=4)
    run(fold, "mlflow", epochs=4)
    assert list(Client.runs) == ["run0"] and Client.experiments == ["Dataset004_X"]
    assert ("run0", "epochs", 4) in clients[0].named("log_param") and not clients[1].named("log_param")
    epochs = [keywords["step"] for client in clients for name, arguments, keywords in client.calls if "ema" in arguments]
    assert epochs == [0, 1, 2, 3]
    assert clients[1].named("log_artifact") == [("run0", str(fold / "progress.png"))]
    assert clients[1].named("set_terminated") == [("run0",)]


def test_names_that_mlflow_does_not_allow_are_replaced(fold: Path, monkeypatch) -> None:
    from segforge.training.loggers.logger import LoggedRun
    from segforge.training.loggers.mlflow import MlflowLogger

    client = Client()
    monkeypatch.setitem(sys.modules, "mlflow", Package("mlflow", MlflowClient=lambda: client))
    logger = MlflowLogger(LoggedRun("it's", fold, "D", "m", {}, 0))
    logger.epoch(0, {"pseudo_dice/left ventricle (wall)": 0.5})
    assert client.named("log_metric")[0][1] == "pseudo_dice/left ventricle _wall_"


def test_only_numbers_that_are_known_are_told() -> None:
    record = EpochRecord(3, 0.01, 0.5, 0.4, {"a": 0.5, "b": None}, math.nan, None, 2.0)
    assert numbers_of(record) == {
        "learning_rate": 0.01, "train_loss": 0.5, "validation_loss": 0.4, "pseudo_dice/a": 0.5, "seconds": 2.0,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_missing_package_is_a_warning_with_the_extra(fold: Path, monkeypatch, caplog, no_pictures, name: str) -> None:
    monkeypatch.setattr(feed.importlib.util, "find_spec", lambda package: None)
    run(fold, name, epochs=1)
    assert f"pip install 'segforge[{name}]'" in caplog.text
    assert caplog.records[0].levelname == "WARNING"
    assert (fold / FINAL).is_file()


def test_an_unknown_name_is_an_error_before_anything_is_trained(fold: Path) -> None:
    with (
        pytest.raises(SegForgeError, match="Did you mean tensorboard"),
        open_feeds(replace(job(fold), loggers=("tensorbord",)), 0),
    ):
        raise AssertionError


def slow_package(when: str, how: Callable[[], None]) -> type:
    """A logger that does something when it begins, is told of an epoch, or is closed."""

    class Slow:
        package = "sys"
        told: ClassVar[list[int]] = []

        def __init__(self, run) -> None:
            self._do("begin")

        def epoch(self, epoch, numbers) -> None:
            self.told.append(epoch)
            self._do("epoch")

        def picture(self, epoch, path) -> None:
            self._do("picture")

        def close(self) -> None:
            self._do("close")

        def _do(self, now: str) -> None:
            if now == when:
                how()

    return Slow


def register(patch: pytest.MonkeyPatch, logger: type) -> None:
    """Have every name of a logger mean this one."""
    find = plugins.find
    patch.setattr(plugins, "find", lambda kind, *words, **more: logger if kind == "loggers" else find(kind, *words, **more))


def fail() -> None:
    raise ConnectionError("no route to the server\nat all")


@pytest.mark.parametrize("when", ["begin", "epoch", "picture", "close"])
def test_one_that_fails_is_left_out_and_the_model_is_the_same(fold: Path, monkeypatch, caplog, no_pictures, when: str) -> None:
    kind = slow_package(when, fail)
    register(monkeypatch, kind)
    run(fold, "x", "y", epochs=3)
    warnings = [message for message in caplog.messages if "failed" in message]
    assert sorted(warnings) == [
        f"--log {name} failed (ConnectionError: no route to the server). The training goes on without it." for name in "xy"
    ]
    alone = fold.with_name("fold_1")
    alone.mkdir()
    run(alone, epochs=3)
    assert (fold / FINAL).read_bytes() == (alone / FINAL).read_bytes()


@pytest.mark.parametrize("when", ["begin", "epoch", "close"])
def test_one_that_never_answers_keeps_nobody_waiting(fold: Path, monkeypatch, caplog, no_pictures, when: str) -> None:
    answers = threading.Event()
    kind = slow_package(when, answers.wait)
    register(monkeypatch, kind)
    monkeypatch.setattr(feed, "_CLOSING_SECONDS", 0.05)
    monkeypatch.setattr(feed, "_WAITING", 2)
    run(fold, "x", epochs=5, iterations=1)
    assert (fold / FINAL).is_file()
    assert len(kind.told) <= 5
    assert any("has not taken everything in time" in message for message in caplog.messages)
    if when != "close":
        assert sum("does not answer" in message for message in caplog.messages) == 1
    answers.set()
    for thread in threading.enumerate():
        if thread.name.startswith("logger"):
            thread.join(10)


def test_an_interrupted_training_is_told_to_the_end(fold: Path, monkeypatch, no_pictures) -> None:
    closed = []
    kind = slow_package("close", lambda: closed.append(True))
    register(monkeypatch, kind)
    with pytest.raises(KeyboardInterrupt):
        run(fold, "x", kind=Dies, epochs=4)
    assert kind.told == [0, 1] and closed
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("logger")]


def test_the_real_tensorboard_reads_what_is_written(fold: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with pytest.raises(KeyboardInterrupt):
        run(fold, "tensorboard", kind=Dies, epochs=4)
    trainer = run(fold, "tensorboard", epochs=4)
    read = events.EventAccumulator(str(fold / "tensorboard"))
    read.Reload()
    losses = [(event.step, pytest.approx(event.value)) for event in read.Scalars("train_loss")]
    assert losses == [(record.epoch, record.train_loss) for record in trainer.history.read()]
    assert read.Tags()["images"] == ["progress"]
