from collections.abc import Callable

import pytest
import torch
from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
from batchgeneratorsv2.transforms.intensity.contrast import ContrastTransform
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
from torch import Tensor

from segforge.training.augmentation.intensity import (
    add_noise,
    apply_gamma,
    apply_inverted_gamma,
    scale_brightness,
    scale_contrast,
)

MakePatch = Callable[..., tuple[Tensor, Tensor]]

SIZES = [(7, 12, 9), (15, 18)]
FACTORS = torch.tensor([0.8, 1.2, 1.0])
ALL = torch.arange(3)


@pytest.mark.parametrize("size", SIZES)
def test_brightness_equals_batchgenerators(make_patch: MakePatch, size: tuple[int, ...]) -> None:
    volumes, _ = make_patch(size, channels=3)
    reference = MultiplicativeBrightnessTransform((0.75, 1.25), synchronize_channels=False)
    expected = reference._apply_to_image(volumes.clone(), apply_to_channel=ALL, multipliers=FACTORS)
    torch.testing.assert_close(scale_brightness(volumes, FACTORS), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_contrast_equals_batchgenerators(make_patch: MakePatch, size: tuple[int, ...]) -> None:
    volumes = make_patch(size, channels=3)[0] + 2
    reference = ContrastTransform((0.75, 1.25), preserve_range=True, synchronize_channels=False)
    expected = reference._apply_to_image(volumes.clone(), apply_to_channel=ALL, multipliers=FACTORS)
    torch.testing.assert_close(scale_contrast(volumes, FACTORS), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_gamma_equals_batchgenerators(make_patch: MakePatch, size: tuple[int, ...], inverted: bool) -> None:
    volumes = make_patch(size, channels=3)[0] * 3 - 1
    reference = GammaTransform(1.0, p_invert_image=0, synchronize_channels=False, p_per_channel=1, p_retain_stats=1)
    expected = reference._apply_to_image(
        volumes.clone(),
        apply_to_channel=ALL,
        retain_stats=torch.ones(3, dtype=torch.bool),
        invert_image=torch.full((3,), inverted),
        gamma=FACTORS,
    )
    changed = (apply_inverted_gamma if inverted else apply_gamma)(volumes, FACTORS)
    torch.testing.assert_close(changed, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_noise_equals_batchgenerators_with_one_sigma_for_all_channels(make_patch: MakePatch, size: tuple[int, ...]) -> None:
    volumes, _ = make_patch(size, channels=3)
    reference = GaussianNoiseTransform((0, 0.1), p_per_channel=1, synchronize_channels=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2**40 + 1)
        expected = reference._apply_to_image(
            volumes.clone(), apply_mask=torch.ones(3, dtype=torch.bool), apply_idx=ALL, num_apply=3, sigmas=0.07
        )
    torch.testing.assert_close(add_noise(volumes, 0.07, 2**40 + 1), expected, atol=1e-4, rtol=0)
    assert not torch.equal(expected, volumes)


@pytest.mark.parametrize("change", [scale_contrast, apply_gamma, apply_inverted_gamma])
def test_constant_volumes_stay_as_they_are(change: type) -> None:
    volumes = torch.full((1, 6, 6, 6), 2.5)
    torch.testing.assert_close(change(volumes, torch.tensor([1.3])), volumes)


def test_noise_is_a_function_of_the_seed() -> None:
    volumes = torch.zeros(2, 5, 6, 7)
    assert torch.equal(add_noise(volumes, 0.1, 2**62 + 5), add_noise(volumes, 0.1, 2**62 + 5))
    assert not torch.equal(add_noise(volumes, 0.1, 4), add_noise(volumes, 0.1, 5))


def test_noise_has_the_standard_deviation_asked_for_and_its_own_values_in_every_channel() -> None:
    noise = add_noise(torch.full((2, 40, 40, 40), 3.0), 0.05, 1) - 3
    assert noise.mean().item() == pytest.approx(0, abs=1e-3)
    assert noise[0].std().item() == pytest.approx(0.05, rel=0.02)
    assert noise[1].std().item() == pytest.approx(0.05, rel=0.02)
    assert abs(torch.corrcoef(noise.flatten(1))[0, 1]) < 0.02
