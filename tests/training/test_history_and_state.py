from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from segforge.errors import SegForgeError
from segforge.networks.checkpoint import Checkpoint, CheckpointFacts, load_checkpoint, save_checkpoint
from segforge.networks.model_folder import LATEST, PREVIOUS
from segforge.planning.architecture import ArchitectureSpec
from segforge.training.adan import Adan
from segforge.training.history import EpochRecord, History
from segforge.training.state import keep_previous, load_optimizer, newest_checkpoint, optimizer_tensors

RECORD = EpochRecord(0, 0.01, 0.5, 0.6, {"a": 0.1, "b": None}, 0.1, 0.1, 2.0)
SPEC = ArchitectureSpec(
    dimensions=2, input_channels=1, output_channels=2, features=(4,), strides=((1, 1),), kernel_sizes=((3, 3),),
    encoder_blocks=(1,), decoder_convolutions=(),
)  # fmt: skip


def checkpoint(epoch: int) -> Checkpoint:
    facts = CheckpointFacts(
        configuration="2d", fold="0", architecture=SPEC, epoch=epoch, ema=0.1, best_ema=0.1, mirror_axes=(), threads=1
    )
    return Checkpoint({"a": torch.full((3,), float(epoch))}, {}, facts)


def epochs(history: History) -> list[int]:
    return [record.epoch for record in history.read()]


def test_the_history_is_cut_back_to_the_checkpoint(tmp_path: Path) -> None:
    history = History(tmp_path)
    for epoch in range(4):
        history.append(replace(RECORD, epoch=epoch))
    history.cut_back(2)
    assert epochs(history) == [0, 1]
    assert history.read()[0] == RECORD


def test_an_epoch_that_only_the_checkpoint_knows_is_added(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.append(RECORD)
    history.cut_back(2, last=replace(RECORD, epoch=1))
    history.cut_back(2, last=replace(RECORD, epoch=1))
    assert epochs(history) == [0, 1]


def test_a_line_that_was_half_written_is_passed_over(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.append(RECORD)
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write('{"epoch": 1, "learning')
    assert epochs(history) == [0]
    history.draw()
    assert (tmp_path / "progress.png").stat().st_size > 5000


def test_nothing_is_the_newest_of_nothing(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None


def test_the_one_before_is_kept_and_used_when_the_latest_is_damaged(tmp_path: Path, caplog) -> None:
    save_checkpoint(tmp_path / LATEST, checkpoint(1))
    keep_previous(tmp_path)
    save_checkpoint(tmp_path / LATEST, checkpoint(2))
    assert load_checkpoint(tmp_path / PREVIOUS).facts.epoch == 1
    name, newest = newest_checkpoint(tmp_path)
    assert (name, newest.facts.epoch) == (LATEST, 2)
    (tmp_path / LATEST).write_bytes((tmp_path / LATEST).read_bytes()[:-1])
    name, newest = newest_checkpoint(tmp_path)
    assert (name, newest.facts.epoch) == (PREVIOUS, 1)
    assert "is damaged" in caplog.text
    (tmp_path / PREVIOUS).write_bytes(b"")
    with pytest.raises(SegForgeError, match="No checkpoint in .* is whole"):
        newest_checkpoint(tmp_path)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, Adan])
def test_an_optimizer_goes_on_as_if_it_had_not_stopped(kind) -> None:
    def make() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        network = nn.Linear(3, 2)
        arguments = {torch.optim.SGD: {"momentum": 0.9}, Adan: {"weight_decay": 0.02}}.get(kind, {})
        return network, kind(network.parameters(), lr=0.1, **arguments)

    def step(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        network(torch.ones(4, 3)).square().sum().backward()
        optimizer.step()

    network, optimizer = make()
    for _ in range(3):
        step(network, optimizer)
    other, other_optimizer = make()
    other.load_state_dict(network.state_dict())
    load_optimizer(other_optimizer, other, optimizer_tensors(optimizer, network))
    step(network, optimizer)
    step(other, other_optimizer)
    assert torch.equal(network.weight, other.weight)
