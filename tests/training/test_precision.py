"""Training in reduced precision: what is used, that it learns, and that it goes on exactly."""

from pathlib import Path

import pytest
import torch
from training_jobs import job

from segforge.compute import device as devices
from segforge.networks.checkpoint import load_checkpoint
from segforge.networks.model_folder import FINAL
from segforge.training.precision import training_precision
from segforge.training.trainer import Trainer


@pytest.mark.parametrize(
    ("kind", "computes_in_bf16", "expected"), [("cuda", True, "bf16"), ("cuda", False, "fp16"), ("cpu", True, "fp32")]
)
def test_auto_is_what_the_device_is_fast_in(
    kind: str, computes_in_bf16: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices.torch.cuda, "is_bf16_supported", lambda including_emulation: computes_in_bf16)
    assert training_precision("auto", torch.device(kind)) == expected
    assert training_precision("fp32", torch.device(kind)) == "fp32"


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_the_network_computes_in_it_and_the_weights_stay_single(precision: str, tmp_path: Path) -> None:
    trainer = Trainer(job(tmp_path, precision=precision))
    seen: list[torch.dtype] = []
    trainer.network.encoder[0].register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    trainer.run()
    assert set(seen) == {{"bf16": torch.bfloat16, "fp16": torch.float16}[precision]}
    weights = load_checkpoint(tmp_path / FINAL).weights
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_gradients_that_overflow_are_left_out_and_the_scale_falls(tmp_path: Path) -> None:
    trainer = Trainer(job(tmp_path, precision="fp16"))
    before = {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}
    trainer.scaler.scale(torch.ones(()))  # the scale is made when it is first used
    trainer.scaler.load_state_dict(trainer.scaler.state_dict() | {"scale": 2.0**40})
    trainer.scaler._scale.fill_(2.0**40)
    images, target = torch.randn(2, 1, 12, 12), torch.randint(0, 3, (2, 12, 12))
    trainer.train_step(images, target)
    assert all(torch.equal(tensor, before[name]) for name, tensor in trainer.network.state_dict().items())
    assert trainer.scaler.get_scale() == 2.0**39


def test_float16_goes_on_exactly(tmp_path: Path) -> None:
    class Growing(Trainer):
        """Doubles the scale after every step, and may stop before one."""

        steps, stops_before = 0, -1

        def train_step(self, images: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            if self.steps == self.stops_before:
                raise KeyboardInterrupt
            self.steps += 1
            self.scaler.set_growth_interval(1)
            return super().train_step(images, target)

    whole = Growing(job(tmp_path / "whole", precision="fp16"))
    whole.run()
    stopped = Growing(job(tmp_path / "parts", precision="fp16"))
    stopped.stops_before = 3  # in the second of two epochs
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    again = Growing(job(tmp_path / "parts", precision="fp16"))
    again.run()
    assert again.steps == 2
    assert again.scaler.get_scale() == whole.scaler.get_scale()
    expected = load_checkpoint(tmp_path / "whole" / FINAL).weights
    for name, tensor in load_checkpoint(tmp_path / "parts" / FINAL).weights.items():
        assert torch.equal(tensor, expected[name])
