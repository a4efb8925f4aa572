"""Whole validation cases in the middle of a training: which, and that the score is that of the whole volume."""

from pathlib import Path

import numpy as np
import pytest
import torch
from samples import plans_for
from torch import nn

from segforge.dataset.labels import LabelScheme
from segforge.experiment.full_volume import FullVolume, handful
from segforge.preprocessing.preprocessor import CaseProperties, PreprocessedCase
from segforge.preprocessing.store import CaseStore

LABELS = LabelScheme.from_description({"background": 0, "a": 1, "b": 2, "ignore": 3})


class Store(CaseStore):
    def __init__(self, case: PreprocessedCase) -> None:
        super().__init__(Path("nowhere"), "recipe")
        self.case = case

    def open(self, case: str, *, verify: bool = True) -> PreprocessedCase:
        return self.case


class Thresholds(nn.Module):
    """Says a above 1, b above 2, at two resolutions."""

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        image = images[:, -1:]
        logits = torch.cat([torch.full_like(image, 0.5), (image > 1).float(), 2 * (image > 2).float()], 1)
        return [logits, logits[:, :, ::2]]


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [0]), (3, [0, 1, 2]), (5, [0, 1, 2, 3, 4]), (9, [0, 2, 4, 6, 8]), (100, [0, 25, 50, 74, 99])]
)
def test_a_handful_lies_evenly_over_the_sorted_ids(count: int, expected: list[int]) -> None:
    names = [f"case_{number:03d}" for number in range(count)]
    assert handful(names[::-1]) == tuple(names[place] for place in expected)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("cascade", [False, True])
def test_the_score_is_that_of_the_whole_volume(dimensions: int, cascade: bool) -> None:
    random = np.random.default_rng(0)
    image = random.uniform(0, 3, (1, 9, 11, 13)).astype(np.float32)
    classes = random.integers(-1, 4, (1, 9, 11, 13)).astype(np.int8)
    classes[classes == 2] = 1
    previous = random.integers(0, 3, (1, 9, 11, 13)).astype(np.int8) if cascade else None
    stored = PreprocessedCase(image, classes, {}, CaseProperties.model_construct(), previous)
    configuration = next(iter(plans_for((1.0,) * dimensions).configurations.values()))
    validator = FullVolume(("x",), Store(stored), configuration, LABELS, torch.device("cpu"))
    found = validator.dice("x", Thresholds().eval())
    seen = image[0] if previous is None else (previous[0] == 2).astype(np.float32)
    known = classes[0] != 3
    predicted, truth = (seen > 1) & (seen <= 2) & known, (classes[0] == 1) & known
    assert found["a"] == pytest.approx(2 * (predicted & truth).sum() / (predicted.sum() + truth.sum()))
    assert found["b"] == 0 or (cascade and np.isnan(found["b"]))
