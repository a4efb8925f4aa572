"""Several processes that train one network: each its share of the batch, with the gradients of one process."""

import subprocess
import sys
from pathlib import Path

import group_gradients
import numpy as np
import pytest
import torch

from segforge.training import group
from segforge.training.augmentation import Augmentation, CascadeTransform


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, torch.Tensor]]:
    """What each of two processes has after the same steps."""
    folder = tmp_path_factory.mktemp("group")
    script = Path(group_gradients.__file__)
    processes = [subprocess.Popen([sys.executable, str(script), str(rank), "2", str(folder)]) for rank in range(2)]
    assert [process.wait(120) for process in processes] == [0, 0]
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def test_gradients_equal_those_of_one_process(found: list[dict[str, torch.Tensor]]) -> None:
    alone = group_gradients.all_gradients()
    for together in found:
        assert together.keys() == alone.keys()
        for name, expected in alone.items():
            difference = (together[name] - expected).norm() / expected.norm().clamp(min=1e-12)
            assert difference < 1e-5, f"{name}: {difference}"


@pytest.mark.parametrize(("samples", "size", "expected"), [(5, 2, [3, 2]), (4, 4, [1] * 4), (7, 3, [3, 2, 2]), (2, 1, [2])])
def test_every_sample_is_in_one_share(samples: int, size: int, expected: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "size", lambda: size)
    shares = []
    for rank in range(size):
        monkeypatch.setattr(group, "rank", lambda rank=rank: rank)
        shares.append(list(range(samples))[group.share(samples)])
    assert [len(share) for share in shares] == expected
    assert [sample for share in shares for sample in share] == list(range(samples))


def test_a_part_of_a_batch_s_parameters_makes_that_part_of_the_batch() -> None:
    patch = (8, 12, 12)
    transform = CascadeTransform(Augmentation(patch, mirror_axes=(0, 1, 2), masked_channels=(True,)), labels=2, corrupts=True)
    parameters = transform.draw(np.random.default_rng(1), 5)
    sizes = transform.source_sizes(parameters)
    images = [torch.randn(1, *size) for size in sizes]
    labels = [torch.randint(-1, 3, (2, *size), dtype=torch.int8) for size in sizes]
    whole, targets = transform(images, labels, parameters)
    some = slice(1, 4)
    part = group.part(parameters, some)
    assert transform.source_sizes(part) == sizes[some]
    batch, target = transform(images[some], labels[some], part)
    assert torch.equal(batch, whole[some]) and torch.equal(target, targets[some])
