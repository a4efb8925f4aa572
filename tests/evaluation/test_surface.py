import math
from itertools import product

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from masks import ball, blob, box
from scipy.ndimage import binary_erosion, distance_transform_edt

from segforge.evaluation.surface import (
    Distances,
    border_voxels,
    distances_between,
    hausdorff,
    mean_distance,
    surface_dice,
    surface_scores,
)
from segforge.evaluation.surface_elements import element_sizes, surface_elements

SPACING = (2.0, 1.0, 0.5)
SHAPE = (12, 14, 16)


def scores(reference, prediction, spacing=SPACING, tolerances=(1.0,)) -> dict[str, float]:
    return surface_scores(reference, prediction, spacing, tolerances)


def voxel_distances(reference, prediction, spacing) -> tuple[Distances, Distances]:
    surfaces = [(border_voxels(mask, spacing)[0] * np.array(spacing), None) for mask in (reference, prediction)]
    return distances_between(*surfaces)


@pytest.mark.parametrize(("axis", "distance"), [(0, 6.0), (1, 3.0), (2, 1.5)])
def test_two_single_voxels_are_as_far_apart_as_their_centres(axis: int, distance: float) -> None:
    reference, prediction = np.zeros((2, *SHAPE), bool)
    reference[5, 5, 5] = True
    prediction[tuple(5 + 3 * (index == axis) for index in range(3))] = True
    found = scores(reference, prediction, tolerances=(distance - 0.1, distance))
    assert found["HD95 (voxels)"] == found["Mean surface distance (voxels)"] == pytest.approx(distance)
    assert found[f"NSD at {distance - 0.1:g} mm (voxels)"] == 0
    assert found[f"NSD at {distance:g} mm (voxels)"] == 1
    # The eight corners of one voxel and the nearest of the other: a third as far for those that face each other.
    near, far = distance * 2 / 3, distance
    assert found["Mean surface distance (area)"] == pytest.approx((near + far) / 2)
    assert found["HD95 (area)"] == pytest.approx(far)
    assert found[f"NSD at {distance - 0.1:g} mm (area)"] == pytest.approx(0.5)


def test_equal_masks_have_no_distance_and_full_surface_dice() -> None:
    mask = blob(SHAPE, 0)
    found = scores(mask, mask, tolerances=(0.0,))
    for definition in ("voxels", "area"):
        assert found[f"HD95 ({definition})"] == 0
        assert found[f"Mean surface distance ({definition})"] == 0
        assert found[f"NSD at 0 mm ({definition})"] == 1


@pytest.mark.parametrize("definition", ["voxels", "area"])
def test_a_missing_surface_is_infinitely_far_and_two_missing_ones_have_no_score(definition: str) -> None:
    mask, nothing = box(SHAPE, (2, 5), (2, 5), (2, 5)), np.zeros(SHAPE, bool)
    for pair in ((mask, nothing), (nothing, mask)):
        found = scores(*pair)
        assert found[f"HD95 ({definition})"] == found[f"Mean surface distance ({definition})"] == math.inf
        assert found[f"NSD at 1 mm ({definition})"] == 0
    assert all(math.isnan(value) for value in scores(nothing, nothing).values())


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (1.0, 0.5, 0.5)])
def test_concentric_balls_are_apart_by_the_difference_of_their_radii(spacing: tuple[float, float, float]) -> None:
    shape = [round(60 / size) for size in spacing]
    balls = [ball(shape, (29, 29, 29), radius, spacing) for radius in (22, 17)]
    found = surface_scores(*balls, spacing, (3.0, 6.0))
    voxel = max(spacing)
    for definition in ("voxels", "area"):
        assert found[f"Mean surface distance ({definition})"] == pytest.approx(5, abs=0.7 * voxel)
        assert found[f"HD95 ({definition})"] == pytest.approx(5, abs=0.3 * voxel)
        assert found[f"NSD at 3 mm ({definition})"] == 0
        assert found[f"NSD at 6 mm ({definition})"] == 1


def test_a_ball_that_is_shifted_is_off_by_no_more_than_the_shift() -> None:
    first, second = (ball((50, 50, 50), (24, 24, centre), 15, (1, 1, 1)) for centre in (24, 28))
    distances = voxel_distances(first, second, (1.0, 1.0, 1.0))
    assert hausdorff(*distances, share=100) == pytest.approx(4, abs=0.3)
    # The nearest point of the other surface is |4 cos(angle)| away, 2 on average.
    assert mean_distance(*distances) == pytest.approx(2, abs=0.15)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(1.0, 1.0, 1.0), SPACING, (0.7, 3.1, 1.3)]))
def test_distances_equal_those_of_a_distance_transform(seed: int, spacing: tuple[float, float, float]) -> None:
    reference, prediction = blob((9, 10, 11), seed), blob((9, 10, 11), seed + 1)
    if not (reference.any() and prediction.any()):
        return
    borders = [mask & ~binary_erosion(mask) for mask in (reference, prediction)]
    to_reference, to_prediction = (distance_transform_edt(~border, sampling=spacing) for border in borders)
    forward, backward = voxel_distances(reference, prediction, spacing)
    np.testing.assert_allclose(forward.millimetres, to_prediction[borders[0]], atol=1e-12)
    np.testing.assert_allclose(backward.millimetres, to_reference[borders[1]], atol=1e-12)


def test_the_full_hausdorff_distance_of_the_borders_equals_simple_itk() -> None:
    masks = blob(SHAPE, 1), blob(SHAPE, 2)
    images = [sitk.GetImageFromArray((mask & ~binary_erosion(mask)).astype(np.uint8)) for mask in masks]
    for image in images:
        image.SetSpacing(SPACING[::-1])
    measure = sitk.HausdorffDistanceImageFilter()
    measure.Execute(*images)
    assert hausdorff(*voxel_distances(*masks, SPACING), share=100) == pytest.approx(measure.GetHausdorffDistance())


def test_percentiles_and_means_by_hand() -> None:
    few = Distances(np.array([0.0, 1.0, 2.0, 3.0]))
    assert few.percentile(50) == 1.5
    weighted = Distances(np.array([4.0, 1.0, 2.0]), np.array([1.0, 90.0, 9.0]))
    assert weighted.percentile(95) == 2
    assert weighted.percentile(99.5) == 4
    assert weighted.within(2) == 99
    assert mean_distance(few, weighted) == pytest.approx((6 + 4 + 90 + 18) / (4 + 100))
    assert surface_dice(few, weighted, 1.0) == pytest.approx((2 + 90) / (4 + 100))
    assert hausdorff(few, weighted) == pytest.approx(2.85)


def test_float32_spacing_does_not_push_a_distance_over_its_tolerance() -> None:
    reference, prediction = box(SHAPE, (2, 5), (2, 5), (2, 5)), box(SHAPE, (2, 5), (3, 6), (2, 5))
    found = scores(reference, prediction, spacing=(1.0, float(np.float32(0.3)), 1.0), tolerances=(0.3,))
    assert found["NSD at 0.3 mm (voxels)"] == 1


def test_a_mask_at_the_border_of_the_image_has_its_surface_there() -> None:
    everything = np.ones((3, 4, 5), bool)
    positions, _ = border_voxels(everything, SPACING)
    assert len(positions) == 60 - 1 * 2 * 3
    positions, areas = surface_elements(everything, SPACING)
    assert len(positions) == 4 * 5 * 6 - 2 * 3 * 4
    padded = np.pad(everything, 2)
    assert areas.sum() == pytest.approx(surface_elements(padded, SPACING)[1].sum())
    np.testing.assert_array_equal(surface_elements(padded, SPACING)[0] - 2, positions)


def test_the_surface_of_a_single_voxel_is_an_octahedron() -> None:
    positions, areas = surface_elements(np.ones((1, 1, 1), bool), (1.0, 1.0, 1.0))
    np.testing.assert_array_equal(positions, list(product((-0.5, 0.5), repeat=3)))
    assert areas.sum() == pytest.approx(math.sqrt(3))


def test_a_flat_surface_has_its_own_area_per_voxel() -> None:
    lower_half = sum(2**bit for bit in range(4))
    assert element_sizes((2.0, 3.0, 5.0))[lower_half] == pytest.approx(15)
    assert element_sizes((2.0, 3.0, 5.0))[2**8 - 1 - lower_half] == pytest.approx(15)


def test_what_is_inside_and_what_is_outside_have_the_same_surface() -> None:
    for spacing in ((1.0, 1.0, 1.0), SPACING, (1.0, 2.0)):
        sizes = element_sizes(spacing)
        np.testing.assert_allclose(sizes, sizes[::-1], rtol=1e-12)
        assert (sizes[1:-1] > 0).all()
        assert sizes[0] == sizes[-1] == 0


def test_the_contour_of_a_rectangle_is_its_outline_with_the_corners_cut_off() -> None:
    _, lengths = surface_elements(box((9, 9), (2, 5), (1, 6)), (2.0, 3.0))
    straight, cut = 2 * (2 * 2.0 + 4 * 3.0), 4 * math.hypot(2.0, 3.0) / 2
    assert lengths.sum() == pytest.approx(straight + cut)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_of_a_single_slice_the_contour_counts_and_not_its_thickness(axis: int) -> None:
    planes = [np.expand_dims(box((9, 9), (2, 5), (limit, 6)), axis) for limit in (1, 3)]
    spacing = np.insert((2.0, 3.0), axis, 999.0)
    found = surface_scores(*planes, tuple(spacing), (0.0,))
    assert found["HD95 (voxels)"] == pytest.approx(6)
    large, small = (np.pad(plane.squeeze(), 1) for plane in planes)
    borders = [plane & ~binary_erosion(plane) for plane in (large, small)]
    same = 2 * (borders[0] & borders[1]).sum() / (borders[0].sum() + borders[1].sum())
    assert found["NSD at 0 mm (voxels)"] == pytest.approx(same)
