"""A training on devices that are not here: no operation that they lack, and nothing that makes the host wait for them.

The device is replaced by torch's `meta`, whose tensors have shapes and no values: whatever asks one for a value fails.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchgen
import yaml
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from training_jobs import job

from segforge.compute.interruption import StopRequest
from segforge.inference.sliding_window import SlidingWindow
from segforge.training.checkpoints import Checkpoints
from segforge.training.report import open_report
from segforge.training.trainer import Trainer

META = torch.device("meta")
STEPS = 12
KERNELS = {
    entry["func"].split("(")[0]: entry
    for entry in yaml.safe_load((Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml").read_text())
}


class Recorder(TorchDispatchMode):
    """Remembers every operation, and the types of the tensors on the device."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: set[str] = set()
        self.types: set[torch.dtype] = set()

    def __torch_dispatch__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor) and leaf.device == META]
        if tensors:
            self.operations.add(str(function).removeprefix("aten.").removesuffix(".default"))
            self.types |= {tensor.dtype for tensor in tensors}
        return result


def runs_on_mps(operation: str) -> bool:
    """Whether torch's table of kernels has one for MPS, or one that is made of others."""
    entry = KERNELS[operation]
    dispatch = KERNELS[entry["structured_delegate"]]["dispatch"] if "structured_delegate" in entry else entry.get("dispatch")
    keys = [key.strip() for names in dispatch for key in names.split(",")] if dispatch else ["Composite"]
    return any(key == "MPS" or key.startswith("Composite") for key in keys)


@pytest.fixture
def on_meta(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch has for real devices alone."""
    generator = torch.Generator

    class HostGenerator(generator):  # type: ignore[misc, valid-type]
        def __new__(cls, device: object = None) -> torch.Generator:
            return generator("cpu")

    monkeypatch.setattr(torch, "Generator", HostGenerator)
    monkeypatch.setattr("segforge.training.trainer.autocast", lambda *arguments: contextlib.nullcontext())
    monkeypatch.setattr("segforge.inference.sliding_window.autocast", lambda *arguments: contextlib.nullcontext())


def loop(trainer: Trainer, mode: contextlib.AbstractContextManager[object]) -> None:
    """The training steps of an epoch, as a training does them, in a mode."""
    job = trainer.job
    job.folder.mkdir(exist_ok=True)
    trainer.checkpoints = Checkpoints(
        job, trainer.spec, trainer.network, trainer.optimizer, trainer.scaler, trainer.mirror_axes()
    )
    training, _ = trainer.readers()
    with open_report(job, trainer.history, 0) as trainer.report:
        trainer.report.begin(trainer.spec, trainer.network, trainer.progress)
        with mode:
            trainer._train(training, StopRequest())
    assert len(trainer.losses) == STEPS


@pytest.mark.parametrize(
    ("dimensions", "settings"),
    [
        (2, {"augmentation": "strong", "optimizer": "adamw"}),
        (3, {}),
        (3, {"augmentation": "strong", "loss": "dice_topk", "optimizer": "adan", "label_smoothing": 0.1}),
        (3, {"augmentation": "none", "loss": "dice_focal", "norm": "batch", "deep_supervision": False}),
        (3, {"augmentation": "none", "loss": "dice_ce_skeleton"}),
        (2, {"augmentation": "none", "loss": "dice_ce_cldice"}),
    ],
)
def test_a_training_needs_nothing_that_mps_lacks_and_no_value_from_the_device(
    on_meta: None, tmp_path: Path, dimensions: int, settings: dict[str, Any]
) -> None:
    trainer = Trainer(replace(job(tmp_path, dimensions=dimensions, iterations=STEPS, **settings), device=META))
    recorder = Recorder()
    loop(trainer, recorder)
    trainer.validation_step(torch.zeros(2, 1, *trainer.job.configuration.patch_size, device=META), labels(trainer))
    assert {"convolution", "convolution_backward"} <= recorder.operations
    assert torch.float64 not in recorder.types
    assert [operation for operation in sorted(recorder.operations) if not runs_on_mps(operation)] == []


def labels(trainer: Trainer) -> Tensor:
    return torch.zeros(2, *trainer.job.configuration.patch_size, device=META, dtype=torch.int16)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_tile_needs_nothing_that_mps_lacks(on_meta: None, tmp_path: Path, dimensions: int) -> None:
    trainer = Trainer(replace(job(tmp_path, dimensions=dimensions, deep_supervision=False), device=META))
    patch = trainer.job.configuration.patch_size
    window = SlidingWindow([trainer.network.eval()], patch, 3, mirror_axes=(0, 1), step=0.5, device=META)
    recorder = Recorder()
    with recorder:
        assert window._tile_logits(torch.zeros(2, 1, *patch, device=META)).shape == (2, 3, *patch)
    assert {f"conv{dimensions}d", "flip"} <= recorder.operations  # whole: no gradients are recorded
    assert torch.float64 not in recorder.types
    assert [operation for operation in sorted(recorder.operations) if not runs_on_mps(operation)] == []


def test_a_value_that_is_asked_for_in_the_loop_is_found(on_meta: None, tmp_path: Path) -> None:
    class Asking(Trainer):
        def train_step(self, images: Tensor, target: Tensor) -> Tensor:
            loss = super().train_step(images, target)
            assert loss.item() < 1e9
            return loss

    trainer = Asking(replace(job(tmp_path, iterations=STEPS), device=META))
    with pytest.raises(RuntimeError, match="item"):
        loop(trainer, contextlib.nullcontext())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_on_cuda_the_loop_never_waits_for_the_device(tmp_path: Path, precision: str) -> None:
    @contextlib.contextmanager
    def without_waiting():
        before = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode(before)

    trainer = Trainer(
        replace(job(tmp_path, dimensions=3, iterations=STEPS, precision=precision), device=torch.device("cuda:0"))
    )
    assert all(group["fused"] for group in trainer.optimizer.param_groups)
    loop(trainer, without_waiting())


def test_batches_for_cuda_lie_in_pinned_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[Tensor] = []
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: pinned.append(tensor) or tensor)
    trainer = Trainer(job(tmp_path))
    cuda = Trainer.__new__(Trainer)
    cuda.__dict__ |= trainer.__dict__ | {"job": replace(trainer.job, device=torch.device("cuda"))}
    for reader, count in ((trainer.readers()[0], 0), (cuda.readers()[0], 4)):
        batch = reader.read(0)
        assert len(pinned) == count
    assert {id(tensor) for tensor in pinned} == {id(tensor) for tensor in (*batch.images, *batch.labels)}
