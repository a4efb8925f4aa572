"""The losses by name against the formulas in float64, voxel by voxel."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from segforge.dataset.labels import LabelScheme
from segforge.errors import SegForgeError
from segforge.training.loss import SegmentationLoss, resized_target
from segforge.training.losses import LOSSES, build_loss
from segforge.training.settings import TrainingSettings
from segforge.training.thin_structures import soft_skeleton

SCHEMES = {
    "plain": LabelScheme.from_description({"background": 0, "a": 1, "b": 2}),
    "ignore": LabelScheme.from_description({"background": 0, "a": 1, "b": 2, "ignore": 3}),
    "regions": LabelScheme.from_description({"background": 0, "whole": (1, 2), "core": (2,)}, (1, 2)),
    "regions+ignore": LabelScheme.from_description({"background": 0, "whole": (1, 2), "core": (2,), "ignore": 3}, (1, 2)),
}


def loss_named(name: str, labels: LabelScheme, *, batch_dice: bool = True, **settings) -> SegmentationLoss:
    return build_loss(TrainingSettings.parse({"batch_size": 2, "loss": name} | settings, "test"), labels, batch_dice=batch_dice)


def entropies(logits, target, labels, smoothing):
    """Per voxel (and region): probabilities, truths as 0/1, cross-entropy, and probability of the truth."""
    if labels.has_regions:
        p = np.moveaxis(1 / (1 + np.exp(-logits)), 1, 0)
        t = np.stack([np.isin(target, region.classes) for region in labels.targets]).astype(float)
        soft = t * (1 - smoothing) + smoothing / 2
        return p, t, -(soft * np.log(p) + (1 - soft) * np.log(1 - p)), np.where(t > 0, p, 1 - p)
    p = np.exp(logits - logits.max(1, keepdims=True))
    p = np.moveaxis(p / p.sum(1, keepdims=True), 1, 0)
    t = np.stack([target == k for k in range(labels.classes)]).astype(float)
    soft = t * (1 - smoothing) + smoothing / labels.classes
    return p[1:], t[1:], -(soft * np.log(p)).sum(0)[None], (p * t).sum(0)[None]


def reference(name: str, logits, target, labels: LabelScheme, smoothing: float, dice_smoothing: float = 1e-5) -> float:
    has_ignore = labels.ignore_class is not None
    known = target != labels.ignore_class if has_ignore else np.ones(target.shape, bool)
    p, t, each, of_truth = entropies(logits, target, labels, smoothing)
    flat = np.stack([e[known] for e in each])
    if "topk" in name:
        count = max(1, flat.size * 10 // 100)
        entropy = np.sort(flat.ravel())[::-1][:count].mean() if flat.size else 0.0
    else:
        if name == "dice_focal":
            flat = flat * np.stack([(1 - q[known]) ** 2 for q in of_truth])
        entropy = flat.sum() / max(known.sum() if has_ignore else flat.size, 1)
    dice = [
        (2 * (a * b * known).sum() + dice_smoothing) / max((a * known).sum() + (b * known).sum() + dice_smoothing, 1e-8)
        for a, b in zip(p, t, strict=True)
    ]
    parts = {"dice": -np.mean(dice), "ce": entropy, "topk": entropy}
    lines = [centrelines(name, a * known, b * known) for a, b in zip(p, t, strict=True)]
    return parts[name] if name in parts else entropy - np.mean(dice) - np.mean(lines)


def centrelines(name: str, p, t) -> float:
    """What is added to the Dice of a structure."""
    if name == "dice_ce_skeleton":
        line = np.stack([ndimage.maximum_filter(one, 3, mode="nearest") for one in skeletons(t)]) * t
        return ((line * p).sum() + 1) / (line.sum() + 1)
    if name == "dice_ce_cldice":
        found, true = skeletons(p), skeletons(t)
        precision, sensitivity = ((a * b).sum() + 1 for a, b in ((found, t), (true, p)))
        precision, sensitivity = precision / (found.sum() + 1), sensitivity / (true.sum() + 1)
        return 2 * precision * sensitivity / (precision + sensitivity)
    return 0.0


def skeletons(values):
    """Of each sample, by morphology."""
    cross = ndimage.generate_binary_structure(values.ndim - 1, 1)
    return np.stack([skeleton(one, lambda x: ndimage.minimum_filter(x, footprint=cross, mode="nearest")) for one in values])


def skeleton(values, eroded):
    found = np.zeros_like(values)
    for _ in range(6):
        ridge = np.maximum(values - ndimage.maximum_filter(eroded(values), 3, mode="nearest"), 0)
        found += np.maximum(ridge - found * ridge, 0)
        values = eroded(values)
    return found


def sample(labels: LabelScheme, shape=(2, 5, 6, 7), seed: int = 0):
    random = np.random.default_rng(seed)
    logits = random.normal(size=(shape[0], labels.heads, *shape[1:])) * 3
    return logits, random.integers(0, labels.classes + (labels.ignore_class is not None), shape)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", LOSSES)
def test_values_equal_the_formulas_in_float64(name: str, scheme: str, smoothing: float) -> None:
    labels = SCHEMES[scheme]
    logits, target = sample(labels)
    ours = loss_named(name, labels, label_smoothing=smoothing)(torch.from_numpy(logits).float(), torch.from_numpy(target))
    assert float(ours) == pytest.approx(reference(name, logits, target, labels, smoothing), abs=2e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_equal_differences_of_the_formulas(name: str, scheme: str, smoothing: float) -> None:
    labels = SCHEMES[scheme]
    logits, target = sample(labels, (2, 4, 5), seed=1)
    tensor = torch.from_numpy(logits).float().requires_grad_()
    loss_named(name, labels, label_smoothing=smoothing)(tensor, torch.from_numpy(target)).backward()
    for index in [(0, 0, 0, 0), (1, 1, 2, 1), (0, 1, 1, 2)]:
        step = np.zeros_like(logits)
        step[index] = 1e-5
        up, down = (reference(name, logits + sign * step, target, labels, smoothing) for sign in (1, -1))
        assert float(tensor.grad[index]) == pytest.approx((up - down) / 2e-5, abs=2e-5)


@pytest.mark.parametrize("scheme", ["ignore", "regions+ignore"])
@pytest.mark.parametrize("name", LOSSES)
def test_where_everything_is_ignored_nothing_is_learnt(name: str, scheme: str) -> None:
    labels = SCHEMES[scheme]
    logits = torch.randn(2, labels.heads, 4, 4, requires_grad=True)
    loss = loss_named(name, labels, label_smoothing=0.1)(logits, torch.full((2, 4, 4), labels.ignore_class))
    loss.backward()
    assert torch.isfinite(loss)
    assert not logits.grad.any()


@pytest.mark.parametrize("name", LOSSES)
def test_resolutions_are_weighted(name: str) -> None:
    labels = SCHEMES["plain"]
    target = torch.randint(0, 3, (2, 8, 8))
    outputs = [torch.randn(2, 3, size, size) for size in (8, 4, 2)]
    loss = loss_named(name, labels)
    expected = 2 / 3 * loss(outputs[0], target) + 1 / 3 * loss(outputs[1], resized_target(target, (4, 4)))
    torch.testing.assert_close(loss(outputs, target), expected)


def test_smoothed_entropy_equals_torch_s() -> None:
    logits, target = torch.randn(2, 3, 5, 5), torch.randint(0, 4, (2, 5, 5))
    expected = torch.nn.functional.cross_entropy(logits, target, ignore_index=3, label_smoothing=0.2)
    torch.testing.assert_close(loss_named("ce", SCHEMES["ignore"], label_smoothing=0.2)(logits, target), expected)


def test_focal_weights_equal_monai_s() -> None:
    monai = pytest.importorskip("monai.losses")
    logits, target = torch.randn(2, 2, 6, 6), torch.randint(0, 3, (2, 6, 6))
    labels = SCHEMES["regions"]
    truths = torch.stack([target > 0, target == 2], 1).float()
    focal = loss_named("dice_focal", labels)(logits, target) - loss_named("dice", labels)(logits, target)
    torch.testing.assert_close(focal, monai.FocalLoss(gamma=2.0)(logits, truths))


@pytest.mark.parametrize("shape", [(2, 1, 17, 20), (1, 1, 9, 12, 11)])
def test_centrelines_and_their_dice_equal_monai_s(shape: tuple[int, ...]) -> None:
    monai = pytest.importorskip("monai.losses.cldice")
    values = torch.rand(shape)
    torch.testing.assert_close(soft_skeleton(values[:, 0])[:, None], monai.soft_skel(values, 5))
    labels, target = LabelScheme.from_description({"background": 0, "whole": (1, 2)}, (1,)), torch.randint(0, 3, shape)[:, 0]
    without, with_lines = (loss_named(name, labels, batch_dice=False) for name in ("dice_ce", "dice_ce_cldice"))
    lines = without(values, target) - with_lines(values, target)
    theirs = monai.SoftclDiceLoss(5, smooth=1e-12)(values.sigmoid(), (target > 0)[:, None].float())
    torch.testing.assert_close(lines, 1 - theirs)


def test_a_thread_that_is_cut_loses_recall_though_hardly_dice() -> None:
    target = torch.zeros(1, 40, 40, dtype=torch.long)
    target[0, 5:35, 10:30] = 1
    target[0, 20:22, 30:40] = 1  # a thin branch
    cut = torch.where(target[:, None] == torch.arange(3)[:, None, None], 20.0, -20.0)
    whole = cut.clone()
    cut[0, :, 20:22, 30:40] = torch.tensor([20.0, -20.0, -20.0])[:, None, None]
    losses = {name: loss_named(name, SCHEMES["plain"]) for name in ("dice", "dice_ce", "dice_ce_skeleton", "dice_ce_cldice")}
    lost = {name: float(loss(cut, target) - loss(whole, target)) for name, loss in losses.items()}
    assert lost["dice"] < 0.02
    assert all(lost[name] - lost["dice_ce"] > 0.05 for name in ("dice_ce_skeleton", "dice_ce_cldice"))


def test_dice_without_smoothing() -> None:
    labels = SCHEMES["plain"]
    logits, target = sample(labels)
    ours = loss_named("dice_ce", labels, dice_smoothing=0)(torch.from_numpy(logits).float(), torch.from_numpy(target))
    assert float(ours) == pytest.approx(reference("dice_ce", logits, target, labels, 0, dice_smoothing=0), abs=1e-5)


def test_an_unknown_loss_is_answered_with_the_nearest() -> None:
    with pytest.raises(SegForgeError, match="dice_cee is not among the losses here. Did you mean dice_ce?"):
        loss_named("dice_cee", SCHEMES["plain"])


def test_a_loss_of_one_s_own_is_found_by_its_path() -> None:
    own = loss_named("segforge.training.losses:DiceLoss", SCHEMES["plain"])
    assert type(own).__name__ == "DiceLoss"


def test_a_loss_that_cannot_be_made_as_ours_are_says_how_it_is_called() -> None:
    with pytest.raises(SegForgeError, match="It is called with the labels and, by name, batch_dice"):
        loss_named("torch.nn:ReLU", SCHEMES["plain"])
