"""A device without enough memory, wherever that shows: what was asked for, what there is, and what to do."""

from pathlib import Path

import pytest
import torch
from training_jobs import job

from segforge.errors import SegForgeError
from segforge.networks.checkpoint import load_checkpoint
from segforge.training import memory
from segforge.training.history import EpochRecord
from segforge.training.memory import explained_memory, planned_memory
from segforge.training.trainer import Trainer

CUDA = torch.device("cuda:0")
FULL = "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 11.75 GiB of which 1.50 GiB is free."

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card of 12 GB, of which 1 GB is free and this process has 8 GB."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10**9, 12 * 10**9))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 8 * 10**9)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "A Card")


def message(error: Exception, device: torch.device, batch_size: int = 2, **changes) -> str:
    configuration = job(Path()).configuration.model_copy(update=changes)
    with pytest.raises(SegForgeError) as raised, explained_memory(configuration, batch_size, device):
        raise error
    return str(raised.value)


def test_a_full_card_is_told_with_all_numbers_and_ways_out(card) -> None:
    found = message(torch.OutOfMemoryError(FULL), CUDA, patch_size=(512, 512))
    for words in (
        "on cuda:0 (A Card); 2.68 GB more were asked for",
        "It has 12.00 GB: 8.00 GB are taken by this training, 3.00 GB by other programs. End those first.",
        " GB for a batch of 2 of 512x512",
        "smaller --batch-size",
        "segforge plan -d DATASET --gpu-memory ",
        "What was saved before stays",
    ):
        assert words in found


def test_other_programs_are_no_matter_where_they_take_little(card, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 109 * 10**8)
    assert "End those first" not in message(torch.OutOfMemoryError("CUDA out of memory."), CUDA)


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 64000000000 bytes. Error code 12"),
            "64",
        ),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB). Tried to allocate 256.00 MB on private pool."), "0.27"),
        (MemoryError(), None),
        (MemoryError("Unable to allocate 4 GiB for an array"), None),
    ],
)
def test_so_is_a_full_machine(monkeypatch, error: Exception, asked: str | None) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 3 * 10**9)
    found = message(error, torch.device("cpu"))
    assert "on this machine" in found and "3.00 GB are free." in found
    assert ("more were asked for" in found) == bool(asked) and (asked is None or f"; {asked}" in found)


def test_a_full_host_beside_a_card_is_the_machine(card, monkeypatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 3 * 10**9)
    assert "on this machine. 3.00 GB are free." in message(MemoryError(), CUDA)


@pytest.mark.parametrize("error", [RuntimeError("CUDA error: device-side assert triggered"), ValueError("out of memory")])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, explained_memory(job(Path()).configuration, 2, CUDA):
        raise error
    assert raised.value is error


def test_the_estimate_grows_with_the_batch_and_is_not_made_for_other_networks() -> None:
    configuration = job(Path()).configuration
    assert planned_memory(configuration, 8) == pytest.approx(4 * planned_memory(configuration, 2))
    own = configuration.architecture.model_copy(update={"network": "mine"})
    assert planned_memory(configuration.model_copy(update={"architecture": own}), 2) is None


class Full(Trainer):
    """Has no memory left at a place of its training."""

    place: str

    def train_step(self, images, target):
        self._fill(f"step {self.epoch * 2 + len(self.losses)}")
        return super().train_step(images, target)

    def validation_step(self, images, target):
        self._fill(f"validation {self.epoch}")
        return super().validation_step(images, target)

    def on_epoch_end(self, record: EpochRecord) -> None:
        self._fill(f"end {record.epoch}")

    def _fill(self, place: str) -> None:
        if place == self.place:
            raise torch.OutOfMemoryError(FULL)


@pytest.mark.parametrize("place", ["step 0", "step 1", "validation 0", "end 0", "step 3", "validation 1", "end 2", "step 7"])
def test_wherever_it_happens_the_checkpoint_stays_good(tmp_path: Path, place: str) -> None:
    it = job(tmp_path, epochs=4)
    trainer = Full(it)
    trainer.place = place
    with pytest.raises(SegForgeError, match="not enough memory"), explained_memory(it.configuration, 2, it.device):
        trainer.run()
    saved = tmp_path / "checkpoint_latest.safetensors"
    done = {"step 3": 1, "validation 1": 1, "end 2": 2, "step 7": 3}.get(place)
    assert load_checkpoint(saved).facts.epoch == done if done else not saved.exists()
    Trainer(it).run()
    assert load_checkpoint(tmp_path / "checkpoint_final.safetensors").facts.epoch == 4
