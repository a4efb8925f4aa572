import numpy as np
import pytest
from masks import blob
from scipy.ndimage import label

from segforge.images.components import connected_components, largest_component


@pytest.mark.parametrize("shape", [(12, 20, 20), (1, 40, 40)])
def test_components_equal_those_by_scipy(shape: tuple[int, int, int]) -> None:
    mask = blob(shape, 0)
    expected, count = label(mask, np.ones((3, 3, 3)))
    numbers, sizes = connected_components(mask)
    assert len(sizes) == count > 1
    assert sorted(sizes) == sorted(np.bincount(expected.ravel())[1:])
    pairs = {(a, b) for a, b in zip(numbers.ravel(), expected.ravel(), strict=True)}
    assert len(pairs) == count + 1
    np.testing.assert_array_equal(sizes, np.bincount(numbers.ravel())[1:])


def test_the_largest_component_is_kept() -> None:
    mask = np.zeros((3, 3, 9), bool)
    mask[1, 1, [0, 1, 4, 5, 6, 8]] = True
    np.testing.assert_array_equal(np.flatnonzero(largest_component(mask)[1, 1]), [4, 5, 6])


def test_equally_large_components_are_all_kept() -> None:
    mask = np.zeros((3, 3, 9), bool)
    mask[1, 1, [0, 1, 4, 5, 8]] = True
    np.testing.assert_array_equal(np.flatnonzero(largest_component(mask)[1, 1]), [0, 1, 4, 5])


def test_an_empty_mask_stays_empty() -> None:
    nothing = np.zeros((2, 3, 4), bool)
    assert not largest_component(nothing).any()
    assert len(connected_components(nothing)[1]) == 0


@pytest.mark.parametrize("shape", [(1, 1, 7), (1, 3, 3), (3, 3, 3), (1, 101, 101), (9, 1, 9), (8, 8, 8)])
def test_components_as_many_as_fit_are_all_found(shape: tuple[int, int, int]) -> None:
    mask = np.zeros(shape, bool)
    mask[::2, ::2, ::2] = True
    numbers, sizes = connected_components(mask)
    assert numbers.shape == shape
    assert len(sizes) == mask.sum()
    np.testing.assert_array_equal(numbers[mask], np.arange(1, mask.sum() + 1))
