"""Initial patch, shrinking and batch size."""

import math
from collections.abc import Sequence

from segforge.planning.fitting import PatchFit, clipped, fit_batch, fit_patch, initial_patch
from segforge.planning.presets import Budget
from segforge.planning.topology import Topology, plan_topology


def shrink(start: Sequence[float], median_shape: tuple[float, ...], most_voxels: int) -> PatchFit:
    spacing = (1.0,) * len(start)
    return fit_patch(
        start,
        median_shape,
        topology_of=lambda patch: plan_topology(spacing, patch, (1,) * len(start)),
        estimate_of=lambda topology: math.prod(topology.patch_size),
        fits=lambda estimate: estimate <= most_voxels,
    )


def test_initial_patch_is_equally_long_in_mm() -> None:
    assert initial_patch((1.0, 1.0, 1.0)) == (256, 256, 256)
    assert initial_patch((4.0, 1.0, 1.0)) == (102, 406, 406)
    assert initial_patch((2.0, 0.5)) == (1024, 4096)


def test_initial_patch_is_nowhere_longer_than_the_median_case() -> None:
    assert clipped((102, 406, 406), (40.5, 500.0, 300.0)) == (40.5, 406, 300.0)


def test_step_is_the_divisor_after_a_whole_one() -> None:
    fit = shrink((256, 256), (1000.0, 300.0), 256 * 256 - 1)
    assert fit.steps[0].axis == 1
    assert fit.topology.patch_size == (256, 224)


def test_last_of_equals_is_shortened_first() -> None:
    fit = shrink((128, 128, 128), (128.0, 128.0, 128.0), 1)
    assert [step.axis for step in fit.steps[:3]] == [2, 1, 0]


def test_axis_that_covers_most_of_the_median_case_is_shortened() -> None:
    assert shrink((128, 128), (100.0, 120.0), 128 * 128 - 1).steps[0].axis == 0


def test_patch_that_fits_is_only_padded() -> None:
    fit = shrink((50.5, 35.0), (50.5, 35.0), 10**6)
    assert (fit.start.patch_size, fit.topology.patch_size, fit.steps, fit.fits) == ((56, 40), (56, 40), (), True)


def test_axis_of_one_voxel_is_left_alone() -> None:
    fit = shrink((1, 64), (1.0, 64.0), 40)
    assert fit.fits
    assert fit.topology.patch_size[0] == 1


def test_shrinking_ends_where_no_axis_can_shrink() -> None:
    fit = shrink((9, 9), (9.0, 9.0), 0)
    assert not fit.fits
    assert fit.topology.patch_size == (1, 1)


def test_shrinking_ends_where_padding_leads_in_a_circle() -> None:
    def padded_to_the_other_patch(patch: Sequence[float]) -> Topology:
        return Topology((4, 8) if patch[0] == 7 else (8, 4), (1, 1), ((1, 1),), ((3, 3),))

    attempts = iter(range(10))
    fit = fit_patch(
        (8, 4),
        (8.0, 8.0),
        padded_to_the_other_patch,
        estimate_of=lambda topology: topology.patch_size[0] + next(attempts),
        fits=lambda estimate: estimate < 0,
    )
    assert not fit.fits
    assert fit.topology.patch_size == (4, 8)


def test_batch_fills_the_memory() -> None:
    batch = fit_batch(100, Budget(250.0, 2), (10, 10), allowed_voxels=1e9)
    assert (batch.value, batch.by_memory) == (5, 5)


def test_batch_rounds_half_to_even() -> None:
    assert fit_batch(100, Budget(225.0, 2), (10, 10), 1e9).value == 4


def test_batch_holds_no_more_than_its_share_of_the_data_set() -> None:
    batch = fit_batch(100, Budget(1e4, 2), (10, 10), allowed_voxels=650)
    assert (batch.value, batch.by_data) == (6, 6)


def test_batch_is_never_below_two() -> None:
    assert fit_batch(100, Budget(10.0, 2), (10, 10), 1e9).value == 2
    assert fit_batch(100, Budget(1e4, 2), (10, 10), 0.0).value == 2
