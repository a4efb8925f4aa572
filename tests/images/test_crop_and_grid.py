import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from segforge.images.crop import Box, bounding_box, filled, nonzero_mask, uncropped
from segforge.images.grid import coarse_axis, new_shape


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6)))
def test_the_box_is_the_smallest_around_all_true_voxels(mask: np.ndarray) -> None:
    box = bounding_box(mask)
    if not mask.any():
        assert box == Box((0, 0, 0), mask.shape)
        return
    found = np.argwhere(mask)
    assert box == Box(tuple(found.min(0)), tuple(found.max(0) + 1))


def test_a_voxel_is_inside_if_any_channel_is_not_zero() -> None:
    channels = np.zeros((2, 1, 1, 3))
    channels[0, 0, 0, 0] = -1
    channels[1, 0, 0, 2] = 1
    assert nonzero_mask(channels).ravel().tolist() == [True, False, True]


def test_closed_cavities_are_filled_and_open_ones_are_not() -> None:
    shell = np.zeros((5, 5, 5), bool)
    shell[1:4, 1:4, 1:4] = True
    shell[2, 2, 2] = False
    assert filled(shell)[2, 2, 2]
    shell[2, 2, 3] = False
    assert not filled(shell)[2, 2, 2]
    ring = np.ones((1, 3, 3), bool)
    ring[0, 1, 1] = False
    assert not filled(ring)[0, 1, 1]


def test_uncropping_undoes_cropping_and_fills_the_outside() -> None:
    array = np.arange(1, 9).reshape(1, 2, 2, 2)
    full = uncropped(array, Box((1, 0, 1), (3, 2, 3)), (3, 2, 4), outside=-1)
    np.testing.assert_array_equal(full[0, 1:3, 0:2, 1:3], array[0])
    assert (full == -1).sum() == full.size - 8


@pytest.mark.parametrize(
    ("spacing", "new_spacing", "expected"),
    [
        ((3.1, 1, 1), (1, 1, 1), 0),
        ((3.0, 1, 1), (1, 1, 1), None),
        ((1, 1, 1), (1, 1, 5), 2),
        ((5, 5, 1), (9, 1, 1), None),
        ((1, 4, 1), (9, 1, 1), 1),
    ],
)
def test_the_coarse_axis_follows_the_current_spacing_then_the_target(spacing, new_spacing, expected) -> None:
    assert coarse_axis(spacing, new_spacing) == expected


def test_new_shapes_round_half_to_even() -> None:
    assert new_shape((5, 7, 10), (1, 1, 1), (2, 2, 1)) == (2, 4, 10)
