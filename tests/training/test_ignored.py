"""What lies under the ignore label counts nowhere: not a bit of any loss, score or weight depends on it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_jobs import job

from segforge.dataset.labels import LabelScheme
from segforge.preprocessing.locations import draw_locations
from segforge.preprocessing.preprocessor import PreprocessedCase
from segforge.training.loss import resized_target
from segforge.training.losses import LOSSES, build_loss
from segforge.training.pseudo_dice import overlap_counts
from segforge.training.settings import TrainingSettings
from segforge.training.trainer import Trainer

SCHEMES = [
    LabelScheme.from_description({"background": 0, "a": 1, "b": 2, "ignore": 3}),
    LabelScheme.from_description({"background": 0, "whole": (1, 2), "core": (2,), "ignore": 3}, (1, 2)),
]
IDS = ["labels", "regions"]
SHAPE = (2, 8, 12, 16)


def ignored_voxels() -> torch.Tensor:
    """A fifth of the voxels."""
    mask = torch.rand(SHAPE, generator=torch.Generator().manual_seed(3)) < 0.2
    assert 0.18 < mask.float().mean() < 0.22
    return mask


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("batch_dice", [True, False])
@pytest.mark.parametrize("labels", SCHEMES, ids=IDS)
@pytest.mark.parametrize("name", LOSSES)
def test_predictions_under_it_change_no_bit_of_a_loss_and_get_no_gradient(
    name: str, labels: LabelScheme, batch_dice: bool, smoothing: float
) -> None:
    settings = TrainingSettings.parse({"batch_size": 2, "loss": name, "label_smoothing": smoothing}, "test")
    loss = build_loss(settings, labels, batch_dice=batch_dice)
    target = torch.randint(0, 3, SHAPE).masked_fill_(ignored_voxels(), 3).to(torch.int16)
    sizes = [SHAPE[1:], (4, 6, 8), (2, 3, 4)]
    outputs = [torch.randn(2, labels.heads, *size, requires_grad=True) for size in sizes]
    noisy = []
    for logits in outputs:
        under = (resized_target(target, logits.shape[2:]) == 3)[:, None].expand_as(logits)
        noisy.append(torch.where(under, 20 * torch.randn(logits.shape), logits.detach()))
    value = loss(outputs, target)
    assert torch.equal(loss(noisy, target), value.detach())
    assert torch.equal(overlap_counts(noisy[0], target, labels), overlap_counts(outputs[0], target, labels))
    value.backward()
    for logits in outputs[:2]:
        under = (resized_target(target, logits.shape[2:]) == 3)[:, None].expand_as(logits)
        assert not logits.grad[under].any() and logits.grad[~under].any()


def annotated_case(seed: int, labels: LabelScheme, *, noise: bool) -> PreprocessedCase:
    """A case of which a fifth is ignored, and was annotated by noise or by what is there."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, (1, 6, 12, 12)).astype(np.int8)
    image = (truth + random.normal(size=truth.shape)).astype(np.float32)
    ignored = random.random(truth.shape) < 0.2
    annotated = np.where(ignored, random.integers(0, 3, truth.shape), truth) if noise else truth
    classes = np.where(ignored, 3, annotated).astype(np.int8)
    return PreprocessedCase(image, classes, draw_locations(classes[0], labels), None)


@pytest.mark.parametrize("labels", SCHEMES, ids=IDS)
def test_labels_under_it_change_no_bit_of_a_training(tmp_path: Path, labels: LabelScheme) -> None:
    found = []
    for noise in (False, True):
        plain = job(tmp_path / str(noise), epochs=2, iterations=4)
        spec = plain.configuration.architecture.model_copy(update={"output_channels": labels.heads})
        configuration = plain.configuration.model_copy(update={"architecture": spec})
        cases = {name: annotated_case(ord(name), labels, noise=noise) for name in "ab"}
        trainer = Trainer(replace(plain, labels=labels, cases=cases, configuration=configuration))
        trainer.run()
        records = [replace(record, seconds=0.0) for record in trainer.history.read()]
        found.append((records, (tmp_path / str(noise) / "checkpoint_final.safetensors").read_bytes()))
    assert found[0] == found[1]
