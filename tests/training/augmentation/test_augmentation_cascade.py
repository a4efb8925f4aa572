"""The mistakes in the previous stage's map, against batchgeneratorsv2, and how the map goes along with image and labels."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.nnunet.random_binary_operator import (
    ApplyRandomBinaryOperatorTransform,
    binary_closing_torch,
    binary_dilation_torch,
    binary_erosion_torch,
    binary_opening_torch,
)
from batchgeneratorsv2.transforms.nnunet.remove_connected_components import (
    RemoveRandomConnectedComponentFromOneHotEncodingTransform,
)
from batchgeneratorsv2.transforms.nnunet.seg_to_onehot import MoveSegAsOneHotToDataTransform

from segforge.errors import SegForgeError
from segforge.training.augmentation import Augmentation, CascadeTransform, NoAugmentation
from segforge.training.augmentation.cascade import one_hot
from segforge.training.augmentation.corruption import Corruption, corrupt, draw_corruption

SIZES = [(14, 20, 17), (9, 31, 28), (40, 37)]
REFERENCE_OPERATORS = [binary_dilation_torch, binary_erosion_torch, binary_closing_torch, binary_opening_torch]


def blobs(size: tuple[int, ...], labels: int, seed: int = 0) -> torch.Tensor:
    """A map of rough blobs, some of them large and some single voxels."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand((1, 1, *(-(-length // 5) for length in size)), generator=generator)
    large = torch.nn.functional.interpolate(noise, size)[0, 0] * (labels + 1)
    classes = large.floor().to(torch.int16)
    specks = torch.rand(size, generator=generator)
    classes[specks < 0.02] = 1
    classes[specks > 0.97] = 0
    return classes


def nothing(labels: int) -> Corruption:
    drawn = draw_corruption(np.random.default_rng(0), batch_size=1, labels=labels)
    return dataclasses.replace(drawn, reshaped=np.zeros((1, labels), bool), removals=np.full((1, labels), np.nan))


@pytest.mark.parametrize("operator", range(4))
@pytest.mark.parametrize("radius", [1.0, 2.0, 2.71, 4.4, 5.5, 8.0])
@pytest.mark.parametrize("size", SIZES)
def test_reshaped_labels_equal_batchgenerators(size: tuple[int, ...], radius: float, operator: int) -> None:
    classes, labels = blobs(size, 3), 3
    order = [2, 0, 1]
    reference = ApplyRandomBinaryOperatorTransform([0, 1, 2])._apply_to_image(
        one_hot(classes[None], labels)[0].float(),
        apply_to_channels=order[:2],
        operators=[REFERENCE_OPERATORS[operator], REFERENCE_OPERATORS[(operator + 1) % 4]],
        strel_size=[radius, radius],
    )
    ours = dataclasses.replace(
        nothing(labels),
        orders=np.array([order]),
        reshaped=np.array([[True, False, True]]),
        operators=np.array([[(operator + 1) % 4, 0, operator]]),
        radii=np.full((1, labels), radius),
    )
    maps = classes[None].clone()
    corrupt(maps, ours)
    assert torch.equal(one_hot(maps, labels)[0].float(), reference)


@pytest.mark.parametrize("size", SIZES)
def test_one_of_the_small_components_goes_as_in_batchgenerators(size: tuple[int, ...], monkeypatch) -> None:
    classes = blobs(size, 2, seed=3)
    found: dict[str, set[bytes]] = {"ours": set(), "theirs": set()}
    removal = RemoveRandomConnectedComponentFromOneHotEncodingTransform([0, 1], 0, 0.15, 0.5)
    for share in np.linspace(0, 1, 400, endpoint=False):
        monkeypatch.setattr(np.random, "choice", lambda ids, share=share: ids[int(share * len(ids))])
        theirs = removal._apply_to_image(one_hot(classes[None], 2)[0].float(), apply_to_channels=[0])
        found["theirs"].add(theirs.numpy().tobytes())
        maps = classes[None].clone()
        corrupt(maps, dataclasses.replace(nothing(2), removals=np.array([[share, np.nan]])))
        found["ours"].add(one_hot(maps, 2)[0].float().numpy().tobytes())
    assert found["ours"] == found["theirs"]
    assert len(found["ours"]) > 5


def test_a_component_that_is_large_stays() -> None:
    maps = torch.zeros(1, 10, 10, dtype=torch.int16)
    maps[0, :3, :5] = 1  # 15 %
    corrupt(maps, dataclasses.replace(nothing(1), removals=np.array([[0.9]])))
    assert maps.sum() == 15
    maps[0, 2, 4] = 0
    corrupt(maps, dataclasses.replace(nothing(1), removals=np.array([[0.9]])))
    assert maps.sum() == 0


def test_the_mistakes_are_drawn_as_the_method_says() -> None:
    count = 20_000
    drawn = draw_corruption(np.random.default_rng(7), batch_size=count, labels=3)

    def close(found: float, expected: float) -> bool:
        return abs(found - expected) < 4.5 * math.sqrt(expected * (1 - expected) / count)

    removed = ~np.isnan(drawn.removals)
    for happened, probability in ((drawn.reshaped, 0.4), (removed, 0.2)):
        assert close(happened.any(axis=1).mean(), probability * (1 - 0.5**3))
        assert close(happened.all(axis=1).mean(), probability * 0.5**3)
        assert all(close(happened[:, label].mean(), probability / 2) for label in range(3))
    assert all(close((drawn.operators[:, 1] == number).mean(), 1 / 4) for number in range(4))
    assert all(close((drawn.orders[:, 0] == number).mean(), 1 / 3) for number in range(3))
    assert (np.sort(drawn.orders, axis=1) == [0, 1, 2]).all()
    histogram = np.histogram(drawn.radii[:, 2], 10, (1, 8))[0] / count
    assert all(close(share, 0.1) for share in histogram)
    histogram = np.histogram(drawn.removals[removed], 10, (0, 1))[0] / removed.sum()
    assert np.abs(histogram - 0.1).max() < 0.02
    assert abs(np.corrcoef(drawn.reshaped.any(1), removed.any(1))[0, 1]) < 0.035


@pytest.mark.parametrize("patch", [(8, 10, 9), (5, 20, 18), (16, 15)])
def test_the_map_moves_as_the_labels_do(patch: tuple[int, ...]) -> None:
    inner = Augmentation(patch, mirror_axes=range(len(patch)), masked_channels=[True])
    transform = CascadeTransform(inner, labels=2, corrupts=False)
    drawn = transform.draw(np.random.default_rng(1), 8)
    sizes = transform.source_sizes(drawn)
    assert set(sizes) == {transform.patch_size, transform.initial_patch_size}
    labels = [blobs(size, 2, seed) - (blobs(size, 1, seed + 50) == 0).to(torch.int16) for seed, size in enumerate(sizes)]
    images = [torch.randn(1, *size) for size in sizes]
    plain, targets = inner(images, labels, drawn.inner)
    batch, same = transform(images, [torch.stack([label, label]) for label in labels], drawn)
    assert torch.equal(batch[:, :1], plain) and torch.equal(same, targets)
    assert torch.equal(batch[:, 1:], one_hot(targets, 2).float())
    assert batch.shape == (8, 3, *patch) and batch.dtype == torch.float32
    assert targets.unique().tolist() == [0, 1, 2]


def test_mistakes_are_made_in_training_alone_and_follow_from_what_was_drawn() -> None:
    patch, count = (20, 20), 20
    pairs = [torch.stack([blobs(patch, 2, seed), blobs(patch, 2, seed)]) for seed in range(count)]
    images = [torch.zeros(1, *patch)] * count
    results = []
    for corrupts in (True, True, False):
        transform = CascadeTransform(NoAugmentation(patch), labels=2, corrupts=corrupts)
        results.append(transform(images, pairs, transform.draw(np.random.default_rng(5), count))[0])
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[2][:, 1:], one_hot(torch.stack([pair[1] for pair in pairs]), 2).float())
    changed = (results[0] != results[2]).flatten(1).any(1).float().mean()
    assert 0.2 < changed < 0.7


def test_one_hot_is_that_of_batchgenerators() -> None:
    maps = blobs((9, 8), 3)
    data = {"image": torch.ones(1, 9, 8), "segmentation": torch.stack([maps, maps])}
    expected = MoveSegAsOneHotToDataTransform(1, [1, 2, 3]).apply(data)["image"]
    assert torch.equal(one_hot(maps[None], 3)[0].float(), expected[1:])


def test_an_augmentation_that_cannot_move_labels_alone_is_refused() -> None:
    class Own:
        patch_size = initial_patch_size = (8, 8)

    with pytest.raises(SegForgeError, match="Own has no method move_labels"):
        CascadeTransform(Own(), labels=2, corrupts=True)
