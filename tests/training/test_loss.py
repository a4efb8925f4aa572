import numpy as np
import pytest
import torch

from segforge.dataset.labels import LabelScheme
from segforge.training.loss import SegmentationLoss, resized_target
from segforge.training.pseudo_dice import dice_from_counts, overlap_counts
from segforge.training.schedule import deep_supervision_weights, poly_learning_rate

PLAIN = LabelScheme.from_description({"background": 0, "a": 1, "b": 2})
IGNORE = LabelScheme.from_description({"background": 0, "a": 1, "b": 2, "ignore": 3})
REGIONS = LabelScheme.from_description({"background": 0, "whole": (1, 2), "core": (2,)}, (1, 2))
REGIONS_IGNORE = LabelScheme.from_description({"background": 0, "whole": (1, 2), "core": (2,), "ignore": 3}, (1, 2))


def reference(logits: np.ndarray, target: np.ndarray, labels: LabelScheme, batch_dice: bool) -> float:
    """The formulas of METHOD, written down in float64, voxel by voxel."""
    annotated = target != (-9 if labels.ignore_class is None else labels.ignore_class)
    if labels.has_regions:
        probabilities = 1 / (1 + np.exp(-logits))
        truths = [np.isin(target, t.classes) for t in labels.targets]
        entropies = [
            -(t * np.log(p) + (1 - t) * np.log(1 - p)) for p, t in zip(np.moveaxis(probabilities, 1, 0), truths, strict=True)
        ]
        count = annotated.sum() if labels.ignore_class is not None else annotated.size * len(truths)
        entropy = sum((e * annotated).sum() for e in entropies) / max(count, 1)
        members = list(zip(np.moveaxis(probabilities, 1, 0), truths, strict=True))
    else:
        exponentials = np.exp(logits - logits.max(1, keepdims=True))
        probabilities = exponentials / exponentials.sum(1, keepdims=True)
        chosen = np.take_along_axis(probabilities, np.where(annotated, target, 0)[:, None], 1)[:, 0]
        entropy = (-np.log(chosen) * annotated).sum() / max(annotated.sum(), 1)
        members = [(probabilities[:, c], target == c) for c in range(1, labels.classes)]
    dice = []
    for probability, truth in members:
        p, g = probability * annotated, truth * annotated
        parts = [slice(None)] if batch_dice else [slice(i, i + 1) for i in range(len(p))]
        dice += [(2 * (p[i] * g[i]).sum() + 1e-5) / (p[i].sum() + g[i].sum() + 1e-5) for i in parts]
    return entropy - np.mean(dice)


@pytest.mark.parametrize("batch_dice", [True, False])
@pytest.mark.parametrize(
    "labels", [PLAIN, IGNORE, REGIONS, REGIONS_IGNORE], ids=["plain", "ignore", "regions", "regions+ignore"]
)
@pytest.mark.parametrize("everything_ignored", [False, True])
def test_values_equal_the_formulas_in_float64(labels: LabelScheme, batch_dice: bool, everything_ignored: bool) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(2, labels.heads, 4, 5, 6)) * 3
    target = random.integers(0, labels.classes + (labels.ignore_class is not None), (2, 4, 5, 6))
    if everything_ignored:
        if labels.ignore_class is None:
            return
        target[:] = labels.ignore_class
    loss = SegmentationLoss(labels, batch_dice=batch_dice)
    ours = loss(torch.from_numpy(logits).float(), torch.from_numpy(target))
    assert abs(float(ours) - reference(logits, target, labels, batch_dice)) < 1e-5


@pytest.mark.parametrize(
    "labels", [PLAIN, IGNORE, REGIONS, REGIONS_IGNORE], ids=["plain", "ignore", "regions", "regions+ignore"]
)
def test_gradients_equal_differences_of_the_formulas(labels: LabelScheme) -> None:
    random = np.random.default_rng(1)
    logits = random.normal(size=(2, labels.heads, 3, 3))
    target = random.integers(0, labels.classes + (labels.ignore_class is not None), (2, 3, 3))
    tensor = torch.from_numpy(logits).float().requires_grad_()
    SegmentationLoss(labels, batch_dice=True)(tensor, torch.from_numpy(target)).backward()
    for index in [(0, 0, 0, 0), (1, 1, 2, 1), (0, 1, 1, 2)]:
        step = np.zeros_like(logits)
        step[index] = 1e-5
        slope = (reference(logits + step, target, labels, True) - reference(logits - step, target, labels, True)) / 2e-5
        assert abs(float(tensor.grad[index]) - slope) < 1e-5


def test_labels_under_the_ignore_label_change_nothing() -> None:
    logits = torch.randn(1, 3, 6, 6)
    target = torch.randint(0, 3, (1, 6, 6))
    target[0, :2] = 3
    loss = SegmentationLoss(IGNORE, batch_dice=False)
    before = loss(logits, target)
    logits[0, :, :2] = torch.randn(3, 2, 6)
    assert torch.equal(loss(logits, target), before)


def test_resolutions_are_weighted_and_the_lowest_counts_nothing() -> None:
    target = torch.randint(0, 3, (2, 8, 8))
    outputs = [torch.randn(2, 3, size, size) for size in (8, 4, 2)]
    loss = SegmentationLoss(PLAIN, batch_dice=False)
    expected = 2 / 3 * loss(outputs[0], target) + 1 / 3 * loss(outputs[1], resized_target(target, (4, 4)))
    torch.testing.assert_close(loss(outputs, target), expected)


def test_smaller_targets_take_the_voxel_below_the_middle() -> None:
    target = torch.arange(7)[None]
    assert resized_target(target, (3,)).tolist() == [[int((i + 0.5) * 7 / 3) for i in range(3)]]
    assert resized_target(torch.arange(8)[None], (4,)).tolist() == [[1, 3, 5, 7]]


def test_weights_of_the_resolutions() -> None:
    assert deep_supervision_weights(1) == [1]
    assert deep_supervision_weights(2) == [1, 0]
    np.testing.assert_allclose(deep_supervision_weights(4), [4 / 7, 2 / 7, 1 / 7, 0])


def test_the_learning_rate_falls_to_zero() -> None:
    assert poly_learning_rate(0.01, 0, 1000) == 0.01
    assert poly_learning_rate(0.01, 500, 1000) == pytest.approx(0.01 * 0.5**0.9)
    assert poly_learning_rate(0.01, 1000, 1000) == 0


def test_pseudo_dice_by_hand() -> None:
    target = torch.tensor([[[0, 1, 1, 3, 2]]])
    predicted = torch.tensor([[[1, 1, 0, 1, 0]]])
    logits = torch.nn.functional.one_hot(predicted, 3).movedim(-1, 1).float()
    counts = overlap_counts(logits, target, IGNORE)
    assert counts.tolist() == [[1, 0], [1, 0], [1, 1]]
    dice = dice_from_counts(counts)
    assert dice == [0.5, 0.0]
    assert np.isnan(dice_from_counts(torch.zeros(3, 1))).all()


def test_pseudo_dice_of_regions_counts_overlaps() -> None:
    target = torch.tensor([[1, 2, 0]])
    logits = torch.tensor([[[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]]])
    assert overlap_counts(logits, target, REGIONS).tolist() == [[2, 1], [1, 1], [0, 0]]
