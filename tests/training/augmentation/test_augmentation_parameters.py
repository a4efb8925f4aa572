import math

import numpy as np
import pytest
from numpy.typing import NDArray

from segforge.training.augmentation.geometry import augmentation_geometry
from segforge.training.augmentation.parameters import AugmentationParameters, draw_parameters, neutral_parameters

BATCH = 20_000
IN_SPACE = augmentation_geometry((40, 56, 40))


@pytest.fixture(scope="module")
def drawn() -> AugmentationParameters:
    rng = np.random.default_rng(7)
    return draw_parameters(rng, IN_SPACE, batch_size=BATCH, channels=2, mirror_axes=(0, 2))


def assert_probability(happened: NDArray[np.bool_], probability: float) -> None:
    """Within 4.5 standard deviations of what is expected."""
    tolerance = 4.5 * math.sqrt(probability * (1 - probability) / len(happened))
    assert happened.mean() == pytest.approx(probability, abs=tolerance)


def assert_uniform(values: NDArray[np.float64], low: float, high: float) -> None:
    """All within the range, an equal share in each tenth of it, within 4.5 standard deviations."""
    assert low <= values.min() and values.max() <= high
    counts, _ = np.histogram(values, bins=10, range=(low, high))
    expected = len(values) / 10
    assert np.abs(counts - expected).max() < 4.5 * math.sqrt(expected)


def test_rotation_is_drawn_for_a_fifth_with_three_angles_of_its_own(drawn: AugmentationParameters) -> None:
    rotated = (drawn.angles != 0).any(axis=1)
    assert_probability(rotated, 0.2)
    for axis in range(3):
        assert_uniform(drawn.angles[rotated, axis], -math.pi / 6, math.pi / 6)
    assert np.abs(np.corrcoef(drawn.angles[rotated].T) - np.eye(3)).max() < 0.08


@pytest.mark.parametrize(("patch", "degrees"), [((20, 80, 60), 180), ((64, 64), 180), ((64, 128), 15)])
def test_rotation_in_the_plane_is_one_angle(patch: tuple[int, ...], degrees: float) -> None:
    geometry = augmentation_geometry(patch)
    parameters = draw_parameters(np.random.default_rng(1), geometry, batch_size=BATCH, channels=1, mirror_axes=(0, 1))
    assert parameters.angles.shape == (BATCH, 1)
    angles = parameters.angles[parameters.angles != 0]
    assert_uniform(angles, -math.radians(degrees), math.radians(degrees))


def test_scaling_is_drawn_for_a_fifth_and_is_flat(drawn: AugmentationParameters) -> None:
    scaled = drawn.scalings != 1
    assert_probability(scaled, 0.2)
    assert_uniform(drawn.scalings[scaled], 0.7, 1.4)


def test_samples_are_transformed_if_rotated_or_scaled(drawn: AugmentationParameters) -> None:
    assert_probability(drawn.transformed, 1 - 0.8 * 0.8)
    assert drawn.transformed[drawn.scalings != 1].all()
    assert drawn.transformed[drawn.angles[:, 0] != 0].all()


def test_noise_is_drawn_for_a_tenth_with_seeds_of_63_bits(drawn: AugmentationParameters) -> None:
    assert_probability(drawn.noise_sigmas != 0, 0.1)
    assert_uniform(drawn.noise_sigmas[drawn.noise_sigmas != 0], 0, 0.1)
    assert drawn.noise_seeds.min() >= 0
    assert drawn.noise_seeds.max() > 2**62
    assert len(np.unique(drawn.noise_seeds)) == BATCH


def test_blur_is_drawn_for_half_of_the_channels_of_a_fifth_with_a_sigma_per_axis(
    drawn: AugmentationParameters,
) -> None:
    blurred = drawn.blur_sigmas[:, :, 0] != 0
    assert_probability(blurred.any(axis=1), 0.2 * 0.75)
    assert_probability(blurred.all(axis=1), 0.2 * 0.25)
    for axis in range(3):
        assert_uniform(drawn.blur_sigmas[blurred][:, axis], 0.5, 1.0)
    assert np.abs(np.corrcoef(drawn.blur_sigmas[blurred].T) - np.eye(3)).max() < 0.08


def test_low_resolution_is_drawn_for_half_of_the_channels_of_a_quarter(drawn: AugmentationParameters) -> None:
    zoomed = drawn.zooms != 1
    assert_probability(zoomed.any(axis=1), 0.25 * 0.75)
    assert_probability(zoomed.all(axis=1), 0.25 * 0.25)
    assert_uniform(drawn.zooms[zoomed], 0.5, 1.0)


@pytest.mark.parametrize(
    ("name", "probability", "low", "high"),
    [
        ("brightnesses", 0.15, 0.75, 1.25),
        ("contrasts", 0.15, 0.75, 1.25),
        ("inverted_gammas", 0.1, 0.7, 1.5),
        ("gammas", 0.3, 0.7, 1.5),
    ],
)
def test_factors_are_drawn_for_all_channels_below_or_above_one_with_equal_chance(
    drawn: AugmentationParameters, name: str, probability: float, low: float, high: float
) -> None:
    factors = getattr(drawn, name)
    changed = factors[factors[:, 0] != 1]
    assert_probability(factors[:, 0] != 1, probability)
    assert (changed != 1).all()
    assert_probability(changed[:, 0] < 1, 0.5)
    assert_uniform(changed[changed < 1], low, 1)
    assert_uniform(changed[changed > 1], 1, high)
    assert abs(np.corrcoef(changed.T)[0, 1]) < 0.08


def test_mirroring_flips_each_allowed_axis_for_half(drawn: AugmentationParameters) -> None:
    assert_probability(drawn.mirrored[:, 0], 0.5)
    assert_probability(drawn.mirrored[:, 2], 0.5)
    assert_probability(drawn.mirrored[:, 0] & drawn.mirrored[:, 2], 0.25)
    assert not drawn.mirrored[:, 1].any()


def test_transforms_are_drawn_independently(drawn: AugmentationParameters) -> None:
    factors = [drawn.brightnesses, drawn.contrasts, drawn.inverted_gammas, drawn.gammas, drawn.zooms]
    happened = [(values != 1).any(axis=1) for values in factors]
    happened += [(drawn.angles != 0).any(axis=1), drawn.scalings != 1, drawn.noise_sigmas != 0]
    correlations = np.corrcoef(np.array(happened, dtype=float))
    assert np.abs(correlations - np.eye(len(happened))).max() < 0.035


def test_neutral_parameters_transform_nothing() -> None:
    parameters = neutral_parameters(IN_SPACE, batch_size=3, channels=2)
    assert not parameters.transformed.any()
    assert parameters.gammas.shape == (3, 2)
