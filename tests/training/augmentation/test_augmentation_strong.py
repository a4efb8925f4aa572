"""The strong augmentation: its own operations against SciPy, and what it draws."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from segforge.errors import SegForgeError
from segforge.training.augmentation import build_augmentation
from segforge.training.augmentation.geometry import augmentation_geometry
from segforge.training.augmentation.intensity import add_brightness, sharpen, stretch_contrast
from segforge.training.augmentation.resolution import median_filter, zoomed_size
from segforge.training.augmentation.spatial import spatial_matrices
from segforge.training.augmentation.strong import StrongAugmentation
from segforge.training.augmentation.strong_parameters import draw_strong_parameters


def volumes(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(9, 11), (6, 8, 10)])
@pytest.mark.parametrize("window", [3, 5, 7])
def test_the_median_filter_takes_one_axis_after_the_other(shape: tuple[int, ...], window: int) -> None:
    expected = volumes(*shape)
    ours = median_filter(torch.from_numpy(expected), window)
    for axis in range(len(shape)):
        size = [window if other == axis else 1 for other in range(len(shape))]
        expected = ndimage.median_filter(expected, size, mode="mirror")
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("shape", [(9, 11), (6, 8, 10)])
def test_sharpening_subtracts_the_laplacian_within_the_old_range(shape: tuple[int, ...]) -> None:
    images = volumes(2, *shape)
    ours = sharpen(torch.from_numpy(images), torch.tensor([0.1, 0.9]))
    for image, strength, found in zip(images, (0.1, 0.9), ours, strict=True):
        expected = (image - strength * ndimage.laplace(image, mode="nearest")).clip(image.min(), image.max())
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_brightness_and_contrast_by_hand() -> None:
    images = torch.tensor([[[1.0, 3.0]], [[2.0, 6.0]]])
    assert add_brightness(images, torch.tensor([0.5, -1.0])).tolist() == [[[1.5, 3.5]], [[1.0, 5.0]]]
    assert stretch_contrast(images, torch.tensor([2.0, 0.5])).tolist() == [[[0.0, 4.0]], [[3.0, 5.0]]]


def test_each_axis_has_a_factor_of_its_own_after_the_rotation() -> None:
    angles, factors = np.array([[0.3]]), np.array([[2.0, 0.5]])
    np.testing.assert_allclose(
        spatial_matrices(angles, factors)[0], np.diag(factors[0]) @ spatial_matrices(angles, np.ones(1))[0]
    )


@pytest.mark.parametrize("patch", [(16, 20), (12, 16, 14), (4, 20, 20)])
def test_what_is_drawn_has_the_shares_and_ranges_of_the_reference(patch: tuple[int, ...]) -> None:
    geometry = augmentation_geometry(patch)
    p = draw_strong_parameters(np.random.default_rng(0), geometry, batch_size=6000, channels=2, mirror_axes=(1,))
    scaled = (p.scalings != 1).any(1)
    assert p.scalings.shape == (6000, len(patch) - geometry.first_axis)
    assert scaled.mean() == pytest.approx(0.2, abs=0.02)
    assert p.scalings.min() >= 0.7
    assert p.scalings.max() <= 1.43
    about = 1 - 0.5**geometry.angles_per_sample if geometry.angles_per_sample > 1 else 1
    assert (p.angles != 0).any(1).mean() == pytest.approx(0.4 * about, abs=0.02)
    np.testing.assert_array_equal(p.transformed, (p.angles != 0).any(1) | scaled)
    for values, neutral, share in (
        (p.medians, 0, 0.05), (p.blur_sigmas[..., 0], 0, 0.05), (p.additions, 0, 0.05), (p.contrasts, 1, 0.05),
        (p.stretches, 1, 0.05), (p.zooms, 1, 0.075), (p.sharpenings, 0, 0.1), (p.blank_sizes[..., 0, 0], 0, 0.2),
        (p.gammas, 1, 0.1), (p.inverted_gammas, 1, 0.1), (p.brightnesses, 1, 0),
    ):  # fmt: skip
        assert (values != neutral).mean() == pytest.approx(share, abs=0.015)
    assert set(np.unique(p.medians)) == {0, 3, 5, 7}
    there = p.blank_sizes.all(-1)
    assert (p.blank_corners + p.blank_sizes <= patch).all()
    assert (p.blank_sizes[there] <= np.maximum(1, np.array(patch) // 3)).all()
    assert set(np.unique(there.sum(-1))) == {0, 1, 2, 3, 4}
    assert p.mirrored.mean(0) == pytest.approx([0.5 if axis == 1 else 0 for axis in range(len(patch))], abs=0.03)


@pytest.mark.parametrize("patch", [(16, 20), (12, 16, 14), (4, 20, 20)])
def test_a_batch_is_a_function_of_its_numbers_and_finite(make_patch, patch: tuple[int, ...]) -> None:
    transform = StrongAugmentation(patch, mirror_axes=(0,), masked_channels=[False, True])
    for seed in range(8):
        parameters = transform.draw(np.random.default_rng(seed), 4)
        samples = [make_patch(size, seed=n) for n, size in enumerate(transform.source_sizes(parameters))]
        images, labels = zip(*samples, strict=True)
        batch, targets = transform(images, labels, parameters)
        again, _ = transform(images, labels, parameters)
        assert batch.shape == (4, 2, *patch)
        assert targets.shape == (4, *patch)
        assert torch.isfinite(batch).all()
        assert torch.equal(batch, again)


def test_blank_boxes_hold_their_own_mean(make_patch) -> None:
    transform = StrongAugmentation((20, 24), mirror_axes=(), masked_channels=[False])
    for seed in range(40):
        parameters = transform.draw(np.random.default_rng(seed), 1)
        if parameters.blank_sizes.any() and not parameters.sharpenings.any():
            break
    batch = torch.from_numpy(volumes(1, 1, 20, 24))
    before = batch.clone()
    transform.change_mirrored(batch, parameters)
    (y, x), (height, width) = parameters.blank_corners[0, 0, 0], parameters.blank_sizes[0, 0, 0]
    box = np.s_[0, 0, y : y + height, x : x + width]
    if parameters.blank_sizes.all(-1).sum() == 1:
        torch.testing.assert_close(batch[box], before[box].mean().expand(int(height), int(width)))
    changed = (batch != before)[0, 0].sum()
    assert 0 < changed <= parameters.blank_sizes.prod(-1).sum()


def test_nothing_shrinks_to_nothing() -> None:
    assert zoomed_size((1, 2, 9), 0.25, 0) == (1, 1, 2)


@pytest.mark.parametrize(
    ("name", "kind"), [("default", "Augmentation"), ("none", "NoAugmentation"), ("strong", "StrongAugmentation")]
)
def test_augmentations_are_found_by_name(name: str, kind: str) -> None:
    assert type(build_augmentation(name, (8, 8), mirror_axes=(0,), masked_channels=[False])).__name__ == kind


def test_an_unknown_augmentation_is_answered_with_the_nearest() -> None:
    with pytest.raises(SegForgeError, match="strng is not among the augmentations here. Did you mean strong?"):
        build_augmentation("strng", (8, 8), mirror_axes=(), masked_channels=[False])
    with pytest.raises(SegForgeError, match="It is called with the patch size and, by name, mirror_axes"):
        build_augmentation("torch.nn:ReLU", (8, 8), mirror_axes=(), masked_channels=[False])
