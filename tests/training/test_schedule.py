import math

import pytest
import torch

from segforge.errors import SegForgeError
from segforge.training.schedule import scheduled_learning_rate
from segforge.training.settings import TrainingSettings


def rates(schedule: str, epochs: int, warmup: int = 0) -> list[float]:
    return [scheduled_learning_rate(schedule, 0.1, epoch, epochs, warmup=warmup) for epoch in range(epochs)]


def test_poly_falls_by_the_power_of_the_method() -> None:
    assert rates("poly", 4) == pytest.approx([0.1, 0.1 * 0.75**0.9, 0.1 * 0.5**0.9, 0.1 * 0.25**0.9])


def test_cosine_equals_torch() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=7)
    expected = []
    for _ in range(7):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates("cosine", 7) == pytest.approx(expected)


def test_constant_stays() -> None:
    assert rates("constant", 3) == [0.1] * 3


@pytest.mark.parametrize("schedule", ["poly", "cosine", "constant"])
def test_after_a_linear_warmup_the_schedule_has_the_epochs_that_are_left(schedule: str) -> None:
    found = rates(schedule, 9, warmup=4)
    assert found[:4] == pytest.approx([0.025, 0.05, 0.075, 0.1])
    assert found[4:] == rates(schedule, 5)


def test_a_warmup_longer_than_the_training_is_refused() -> None:
    with pytest.raises(SegForgeError, match="--warmup 5 leaves nothing of the 5 epochs; give less, or more --epochs"):
        TrainingSettings.parse({"batch_size": 2, "epochs": 5, "warmup": 5}, "The training")


def test_cosine_by_hand() -> None:
    assert rates("cosine", 4)[1] == pytest.approx(0.05 * (1 + math.sqrt(0.5)))
