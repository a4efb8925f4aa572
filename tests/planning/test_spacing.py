"""Target spacing, axis order and median shape: worked by hand from METHOD section 3."""

import numpy as np
import pytest

from segforge.planning.spacing import (
    median_of_cases,
    percentile,
    plan_grid,
    resampled_shapes,
    target_spacing,
    transpose_order,
    whole,
)


def test_target_is_the_median_of_each_axis() -> None:
    spacings = np.array([[1.0, 0.5, 0.4], [2.0, 0.7, 0.6], [3.0, 0.6, 0.8]])
    target = target_spacing(spacings, np.full((3, 3), 100.0))
    assert target.spacing == (2.0, 0.6, 0.6)
    assert not target.anisotropic


@pytest.mark.parametrize("cases", [1, 2, 3, 8, 9])
def test_median_of_cases_is_that_of_numpy(cases: int) -> None:
    values = np.random.default_rng(cases).uniform(0.05, 20, (cases, 3))
    assert list(median_of_cases(values)) == np.median(values, axis=0).tolist()


@pytest.mark.parametrize("cases", [1, 2, 6, 8, 11, 60])
@pytest.mark.parametrize("share", [0.1, 0.37, 1.0])
def test_percentile_is_that_of_numpy(cases: int, share: float) -> None:
    values = np.random.default_rng(cases).uniform(0.05, 20, cases)
    assert percentile(values.tolist(), share) == np.quantile(values, share)


def test_coarse_axis_gets_the_tenth_percentile_of_its_spacings() -> None:
    spacings = np.array([[z, 0.8, 0.8] for z in (2.0, 3.0, 4.0, 5.0, 6.0)])
    target = target_spacing(spacings, np.array([[50.0, 400.0, 400.0]] * 5))
    assert target.spacing == pytest.approx((2.4, 0.8, 0.8))
    assert target.anisotropic


def test_coarse_axis_never_becomes_finer_than_the_others() -> None:
    spacings = np.array([[z, 0.8, 1.0] for z in (0.5, 0.6, 4.0, 5.0, 6.0)])
    assert target_spacing(spacings, np.array([[50.0, 400.0, 400.0]] * 5)).spacing == (1.0 + 1e-5, 0.8, 1.0)


@pytest.mark.parametrize(
    ("spacing", "shape"),
    [((3.0, 1.0, 1.0), (50, 400, 400)), ((5.0, 1.0, 1.0), (100, 300, 400)), ((5.0, 2.0, 1.0), (10, 300, 300))],
)
def test_anisotropy_needs_both_the_spacing_and_the_size(spacing: tuple[float, ...], shape: tuple[int, ...]) -> None:
    assert not target_spacing(np.array([spacing]), np.array([shape], float)).anisotropic


def test_the_users_spacing_takes_the_place_of_the_rule() -> None:
    target = target_spacing(np.array([[5.0, 1.0, 1.0]]), np.array([[10.0, 300.0, 300.0]]), (2.0, 1.0, 1.0))
    assert target.spacing == (2.0, 1.0, 1.0)
    assert target.given


@pytest.mark.parametrize(
    ("spacing", "order"),
    [((1.0, 1.0, 1.0), (0, 1, 2)), ((1.0, 3.0, 2.0), (1, 0, 2)), ((1.0, 2.0, 3.0), (2, 0, 1)), ((1.0, 3.0, 3.0), (1, 0, 2))],
)
def test_first_of_the_largest_spacings_comes_first(spacing: tuple[float, ...], order: tuple[int, ...]) -> None:
    assert transpose_order(spacing) == order


def test_resampled_shapes_round_half_to_even_and_keep_a_voxel() -> None:
    shapes = resampled_shapes(np.array([[5.0, 7.0, 1.0]]), np.array([[0.5, 0.5, 0.1]]), (1.0, 1.0, 1.0))
    assert shapes.tolist() == [[2.0, 4.0, 1.0]]


def test_median_shape_keeps_the_halves_of_an_even_number_of_cases() -> None:
    spacings, shapes = np.array([[1.0, 1.0, 2.0]] * 2), np.array([[10.0, 20.0, 30.0], [11.0, 23.0, 30.0]])
    grid = plan_grid(target_spacing(spacings, shapes), (2, 0, 1), spacings, shapes, resampled=True)
    assert grid.median_shape == (30.0, 10.5, 21.5)
    assert grid.spacing == (2.0, 1.0, 1.0)


def test_whole_voxels_round_half_to_even() -> None:
    assert whole((2.5, 3.5, 0.2)) == (2.0, 4.0, 1.0)
