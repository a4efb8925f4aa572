import math

import numpy as np
import pytest
import torch
from batchgenerators.augmentations.utils import rotate_coords_2d, rotate_coords_3d
from batchgeneratorsv2.transforms.utils.cropping import center_crop

from segforge.errors import SegForgeError
from segforge.training.augmentation.geometry import augmentation_geometry, centre_offset, enlarged_patch


@pytest.mark.parametrize(
    ("patch", "initial"),
    [((128, 128, 128), (205, 205, 205)), ((512, 512), (602, 602)), ((40, 192, 160), (40, 225, 225))],
)
def test_initial_patch_of_known_patches(patch: tuple[int, ...], initial: tuple[int, ...]) -> None:
    assert augmentation_geometry(patch).initial_patch_size == initial


def test_patch_enlarged_for_thirty_degrees_without_regard_to_dummy_2d() -> None:
    assert enlarged_patch((40, 192, 160), math.radians(30)) == (153, 289, 188)


@pytest.mark.parametrize("patch", [(40, 56, 40), (64, 160, 97), (96, 33, 81), (33, 57, 80)])
def test_initial_patch_in_space_equals_rotating_its_corner_about_each_axis(patch: tuple[int, ...]) -> None:
    corner, angle = np.array(patch), math.radians(30)
    rotated = [np.abs(rotate_coords_3d(corner, *turn)) for turn in np.eye(3) * angle]
    expected = (np.max([corner, *rotated], axis=0) / 0.85).astype(int)
    assert augmentation_geometry(patch).initial_patch_size == tuple(expected)


@pytest.mark.parametrize(("patch", "degrees"), [((64, 65), 90), ((64, 96), 90), ((64, 97), 15), ((200, 41), 15)])
def test_initial_patch_in_the_plane_equals_rotating_its_corner(patch: tuple[int, ...], degrees: float) -> None:
    rotated = np.abs(rotate_coords_2d(np.array(patch), math.radians(degrees)))
    expected = (np.max([patch, rotated], axis=0) / 0.85).astype(int)
    assert augmentation_geometry(patch).initial_patch_size == tuple(expected)


@pytest.mark.parametrize(
    ("patch", "degrees", "first_axis", "angles"),
    [
        ((20, 60, 40), 30, 0, 3),
        ((20, 61, 40), 180, 1, 1),
        ((61, 20, 20), 30, 0, 3),
        ((30, 45), 180, 0, 1),
        ((46, 30), 15, 0, 1),
    ],
)
def test_rotation_limit_and_dummy_2d_follow_the_shape(
    patch: tuple[int, ...], degrees: float, first_axis: int, angles: int
) -> None:
    geometry = augmentation_geometry(patch)
    assert geometry.rotation_limit == pytest.approx(math.radians(degrees))
    assert (geometry.first_axis, geometry.angles_per_sample) == (first_axis, angles)


@pytest.mark.parametrize(("initial", "inner"), [((10, 10), (6, 7)), ((11, 11), (6, 7)), ((13, 12, 11), (4, 5, 11))])
def test_centre_offset_is_where_batchgenerators_crops(initial: tuple[int, ...], inner: tuple[int, ...]) -> None:
    voxels = torch.arange(math.prod(initial)).view(1, *initial)
    box = tuple(slice(start, start + size) for start, size in zip(centre_offset(initial, inner), inner, strict=True))
    assert torch.equal(voxels[0][box], center_crop(voxels, inner)[0])


def test_patch_of_one_axis_is_refused() -> None:
    with pytest.raises(SegForgeError, match=r"patch_size has 1 axes: \(8,\)"):
        augmentation_geometry((8,))
