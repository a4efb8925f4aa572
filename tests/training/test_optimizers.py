import numpy as np
import pytest
import torch
from torch import nn
from training_jobs import job

from segforge.errors import SegForgeError
from segforge.training.adan import Adan
from segforge.training.optimizers import build_optimizer
from segforge.training.settings import TrainingSettings
from segforge.training.trainer import Trainer


def settings(**content) -> TrainingSettings:
    return TrainingSettings.parse({"batch_size": 2} | content, "test")


def adan_reference(weights: np.ndarray, gradients: list[np.ndarray], lr: float, decay: float) -> np.ndarray:
    """Algorithm 1 of the paper in float64, whose betas are the shares of the new (0.02, 0.08, 0.01), bias corrected."""
    b1, b2, b3 = 0.02, 0.08, 0.01
    m, v, n = np.zeros_like(weights), np.zeros_like(weights), np.zeros_like(weights)
    before = gradients[0]
    for k, g in enumerate(gradients, start=1):
        m = (1 - b1) * m + b1 * g
        v = (1 - b2) * v + b2 * (g - before)
        n = (1 - b3) * n + b3 * (g + (1 - b2) * (g - before)) ** 2
        unbiased_m, unbiased_v, unbiased_n = m / (1 - (1 - b1) ** k), v / (1 - (1 - b2) ** k), n / (1 - (1 - b3) ** k)
        weights = (weights - lr / (np.sqrt(unbiased_n) + 1e-8) * (unbiased_m + (1 - b2) * unbiased_v)) / (1 + lr * decay)
        before = g
    return weights


def test_adan_takes_the_steps_of_the_paper() -> None:
    random = np.random.default_rng(0)
    start, gradients = random.normal(size=(3, 4)), [random.normal(size=(3, 4)) for _ in range(6)]
    parameter = nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = Adan([parameter], lr=0.03, weight_decay=0.02)
    for gradient in gradients:
        parameter.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
    np.testing.assert_allclose(parameter.detach().numpy(), adan_reference(start, gradients, 0.03, 0.02), rtol=1e-12)


def test_adan_leaves_parameters_without_gradients_and_asks_a_closure() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = Adan([used, unused], lr=0.1, weight_decay=0.0)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = used.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2
    assert torch.equal(unused, torch.ones(2))
    assert (used < 1).all()


@pytest.mark.parametrize(
    ("name", "kind", "lr", "decay"),
    [
        ("sgd", torch.optim.SGD, 1e-2, 3e-5),
        ("adam", torch.optim.Adam, 3e-4, 3e-5),
        ("adamw", torch.optim.AdamW, 3e-4, 1e-2),
        ("adan", Adan, 1e-3, 2e-2),
    ],
)
def test_each_optimizer_has_numbers_of_its_own_unless_others_are_asked_for(name, kind, lr, decay) -> None:
    optimizer = build_optimizer(settings(optimizer=name), nn.Linear(2, 2))
    assert type(optimizer) is kind
    assert (optimizer.defaults["lr"], optimizer.defaults["weight_decay"]) == (lr, decay)
    other = settings(optimizer=name, learning_rate=0.5, weight_decay=0.25)
    assert (other.learning_rate, other.weight_decay) == (0.5, 0.25)


def test_sgd_is_the_method_s() -> None:
    defaults = build_optimizer(settings(), nn.Linear(2, 2)).defaults
    assert (defaults["momentum"], defaults["nesterov"]) == (0.99, True)
    assert not build_optimizer(settings(momentum=0), nn.Linear(2, 2)).defaults["nesterov"]


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(SegForgeError, match="optimizer: Input should be 'sgd', 'adam', 'adamw' or 'adan'"):
        settings(optimizer="lion")


class StoppedOnce(Trainer):
    """Dies after three of four steps, with what a stop would have saved."""

    def train_step(self, images, target):
        if self.epoch == 1 and len(self.losses) == 1:
            self.checkpoints.save_latest(self.progress)
            raise KeyboardInterrupt
        return super().train_step(images, target)


@pytest.mark.parametrize("change", [
    {"optimizer": "sgd"}, {"optimizer": "adam"}, {"optimizer": "adamw", "amsgrad": True}, {"optimizer": "adan"},
    {"norm": "batch"}, {"schedule": "cosine", "warmup": 1}, {"foreground_drawn": True},
])  # fmt: skip
def test_a_training_that_is_resumed_ends_with_the_same_bytes(tmp_path, change) -> None:
    Trainer(job(tmp_path / "whole", **change)).run()
    with pytest.raises(KeyboardInterrupt):
        StoppedOnce(job(tmp_path / "stopped", **change)).run()
    resumed = Trainer(job(tmp_path / "stopped", **change))
    resumed.run()
    name = "checkpoint_final.safetensors"
    assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
