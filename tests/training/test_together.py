"""Who may train together is settled before anything is started."""

from functools import partial
from unittest.mock import Mock

import pytest
import torch

from segforge.cli.main import main
from segforge.errors import SegForgeError
from segforge.training import group
from segforge.training.run import train_fold
from segforge.training.settings import TrainingSettings
from segforge.training.together import followed, joined


def never() -> None:
    raise AssertionError("nothing is started")


@pytest.mark.parametrize(
    ("count", "device", "message"),
    [
        (9, "cuda", "The training asks for 9 GPUs or more; here are"),
        (9, "auto", "Use --gpus"),
        (2, "cuda:1", "--device cuda:1 is one device. Several are --device cuda"),
        (2, "mps", "--device mps is one device"),
    ],
)
def test_devices_that_several_cannot_have_are_refused(count: int, device: str, message: str) -> None:
    with pytest.raises(SegForgeError, match=message), followed(count, device, never):
        never()


def test_a_batch_that_is_too_small_for_all_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "size", lambda: 3)
    training = Mock(settings=TrainingSettings(batch_size=2))
    with pytest.raises(SegForgeError, match="A batch of 2 cannot be shared by 3 processes. Use --gpus 2"):
        train_fold(training)


def test_alone_there_is_nothing_to_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined("cuda:7") as device:
        assert (device, group.size(), group.rank()) == ("cuda:7", 1, 0)


def at_work(damaged: int | None) -> None:
    """What each process does: it joins, one of them may fail, and all wait for all."""
    with joined("cpu"):
        if group.rank() == damaged:
            raise SegForgeError("case 7 is damaged.")
        group.wait()
        assert group.size() == 2 and torch.get_num_threads() >= 1


@pytest.mark.parametrize(
    ("damaged", "message"),
    [(1, r"^Process 1 of the training failed: case 7 is damaged. What was saved"), (0, r"^case 7 is damaged.$")],
)
def test_the_reason_of_the_one_that_fails_is_told(damaged: int, message: str) -> None:
    work = partial(at_work, damaged)
    with pytest.raises(SegForgeError, match=message), followed(2, "cpu", work):
        work()
    assert not torch.distributed.is_initialized()


def test_torchrun_and_gpus_are_not_for_one_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with (
        pytest.raises(SegForgeError, match="--gpus 2 starts processes, and torchrun has started some already"),
        followed(2, "cpu", never),
    ):
        never()


def test_no_number_of_gpus(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "4", "2d", "0", "--gpus", "0"])
    assert "0 is no number of GPUs; give 1 or more" in capsys.readouterr().err
