"""Poolings, kernels and padding: worked by hand, and against the rule written with plain divisions."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segforge.planning.topology import plan_topology


def test_isotropic_patch_is_halved_down_to_four_voxels() -> None:
    topology = plan_topology((1.0, 1.0, 1.0), (128, 128, 128), (1, 1, 1))
    assert topology.strides == ((1, 1, 1), *[(2, 2, 2)] * 5)
    assert topology.kernel_sizes == ((3, 3, 3),) * 6
    assert topology.patch_size == (128, 128, 128)
    assert topology.divisor == (32, 32, 32)


def test_coarse_axis_waits_with_kernel_1_until_the_others_come_near() -> None:
    # z has 5 times the spacing: in-plane is halved twice (to 4 and then 2 of it) before z joins in.
    topology = plan_topology((5.0, 1.0, 1.0), (16, 128, 128), (1, 1, 1))
    assert topology.strides == ((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2))
    assert topology.kernel_sizes == ((1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))


def test_kernel_stays_3_after_the_spacing_has_drifted_apart_again() -> None:
    # z of 7 voxels is never halved, so its spacing becomes the finest; the others then keep the kernel they had.
    topology = plan_topology((1.0, 1.0, 1.0), (7, 64, 64), (1, 1, 1))
    assert topology.strides == ((1, 1, 1), *[(1, 2, 2)] * 4)
    assert topology.kernel_sizes == ((3, 3, 3),) * 5


def test_spacing_of_exactly_twice_the_finest_is_not_close() -> None:
    assert plan_topology((2.0, 1.0), (64, 64), (1, 1)).strides[1] == (1, 2)


def test_bottleneck_kernel_is_3_even_if_no_axis_was_ever_close() -> None:
    assert plan_topology((100.0, 1.0, 1.0), (64, 7, 7), (1, 1, 1)).kernel_sizes[-1] == (3, 3, 3)


@pytest.mark.parametrize(("size", "stages"), [(7, 1), (8, 1), (11, 1), (12, 2), (24, 3)])
def test_last_axis_alone_needs_twelve_voxels(size: int, stages: int) -> None:
    assert len(plan_topology((1.0, 1.0), (size, 4), (1, 1)).strides) == stages


def test_patch_is_padded_up_to_a_multiple_of_its_strides() -> None:
    topology = plan_topology((1.0, 1.0, 1.0), (40.5, 50.0, 7.5), (1, 1, 1))
    assert topology.divisor == (8, 8, 1)
    assert topology.patch_size == (48, 56, 8)


def test_patch_is_padded_to_what_the_network_needs_besides() -> None:
    topology = plan_topology((1.0, 1.0), (40, 40), (14, 1))
    assert topology.divisor == (56, 8)
    assert topology.patch_size == (56, 40)


def plain_rule(spacing: list[float], patch_size: list[float]) -> tuple[list[list[int]], list[list[int]]]:
    """METHOD's topology with the divisions that it speaks of; strides and kernels."""
    current, sizes, kernel = list(spacing), list(patch_size), [1] * len(spacing)
    strides, kernels = [[1] * len(spacing)], list[list[int]]()
    while True:
        large = [axis for axis in range(len(sizes)) if sizes[axis] >= 8]
        close = [axis for axis in large if current[axis] / min(current[other] for other in large) < 2]
        if not close or (len(close) == 1 and sizes[close[0]] < 12):
            return strides, [*kernels, [3] * len(spacing)]
        kernel = [3 if kernel[axis] == 3 or current[axis] / min(current) < 2 else 1 for axis in range(len(sizes))]
        kernels.append(kernel)
        strides.append([2 if axis in close else 1 for axis in range(len(sizes))])
        for axis in close:
            current[axis], sizes[axis] = current[axis] * 2, math.ceil(sizes[axis] / 2)


@settings(deadline=None, max_examples=300)
@given(
    st.integers(2, 3).flatmap(
        lambda axes: st.tuples(
            st.lists(st.floats(0.05, 20) | st.sampled_from([0.7, 1.0, 1.4, 2.0, 4.0]), min_size=axes, max_size=axes),
            st.lists(st.integers(1, 4000), min_size=axes, max_size=axes),
        )
    )
)
def test_topology_equals_the_rule_with_plain_divisions(case: tuple[list[float], list[float]]) -> None:
    spacing, patch_size = case
    topology = plan_topology(tuple(spacing), patch_size, (1,) * len(spacing))
    strides, kernels = plain_rule(spacing, patch_size)
    assert [list(stride) for stride in topology.strides] == strides
    assert [list(kernel) for kernel in topology.kernel_sizes] == kernels
    assert plan_topology(tuple(spacing), topology.patch_size, (1,) * len(spacing)) == topology
