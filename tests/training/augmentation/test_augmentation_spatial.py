import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from torch import Tensor

from segforge.training.augmentation import spatial
from segforge.training.augmentation.geometry import augmentation_geometry
from segforge.training.augmentation.spatial import mirror, place, spatial_matrices, transform

MakePatch = Callable[..., tuple[Tensor, Tensor]]

SPACE_ANGLES = (0.4, -0.3, 0.2)


def reference_transform(angles: Sequence[float], scaling: float, size: Sequence[int]) -> SpatialTransform:
    """batchgeneratorsv2's transform as nnU-Net sets it up, with its numbers fixed."""
    return SpatialTransform(
        tuple(size),
        patch_center_dist_from_border=0,
        random_crop=False,
        p_rotation=1,
        rotation=lambda image, dim: angles[dim],
        p_scaling=1,
        scaling=(scaling, scaling),
        p_synchronize_scaling_across_axes=1,
        bg_style_seg_sampling=False,
        mode_seg="bilinear",
        border_mode_seg="constant",
        padding_value_seg=-1,
        padding_mode_image="zeros",
    )


def assert_equals_reference(
    image: Tensor, labels: Tensor, angles: Sequence[float], scaling: float, size: Sequence[int]
) -> None:
    """Compare on image `(C, *source)`, labels `(*source)`."""
    reference = reference_transform(angles if len(angles) == 3 else (0, *angles), scaling, size)
    expected = reference(image=image.clone(), segmentation=labels[None].clone())
    matrices = spatial_matrices(np.array([angles]), np.array([scaling]))
    images, maps = transform([image], [labels], matrices, size)
    torch.testing.assert_close(images[0], expected["image"], atol=1e-4, rtol=0)
    assert (maps[0] == expected["segmentation"][0]).float().mean() >= 0.999
    assert len(maps.unique()) > 2


@pytest.mark.parametrize("scaling", [0.71, 1.0, 1.39])
@pytest.mark.parametrize("size", [(12, 18, 10), (13, 17, 11), (12, 21, 9)])
def test_volume_equals_batchgenerators(make_patch: MakePatch, size: tuple[int, ...], scaling: float) -> None:
    image, labels = make_patch(augmentation_geometry(size).initial_patch_size)
    assert_equals_reference(image, labels, SPACE_ANGLES, scaling, size)


@pytest.mark.parametrize("angle", [0.1, 2.0, -3.0])
@pytest.mark.parametrize("size", [(40, 44), (41, 39), (40, 37)])
def test_image_in_the_plane_equals_batchgenerators(make_patch: MakePatch, size: tuple[int, ...], angle: float) -> None:
    image, labels = make_patch(augmentation_geometry(size).initial_patch_size)
    assert_equals_reference(image, labels, (angle,), 1.3, size)


def test_dummy_2d_equals_batchgenerators_on_slices_as_channels(make_patch: MakePatch) -> None:
    geometry = augmentation_geometry((6, 24, 21))
    image, labels = make_patch(geometry.initial_patch_size)
    reference = reference_transform((0, 2.2), 0.9, (24, 21))
    expected = reference(image=image.flatten(0, 1), segmentation=labels.clone())
    matrices = spatial_matrices(np.array([[2.2]]), np.array([0.9]))
    images, maps = transform([image], [labels], matrices, (24, 21))
    torch.testing.assert_close(images[0], expected["image"].view(2, 6, 24, 21), atol=1e-4, rtol=0)
    assert (maps[0] == expected["segmentation"]).float().mean() >= 0.999


def test_sixty_labels_equal_batchgenerators(make_patch: MakePatch) -> None:
    image, labels = make_patch((30, 30, 30), channels=1, largest=60)
    assert_equals_reference(image, labels, SPACE_ANGLES, 1.2, (16, 16, 16))


def test_large_labels_survive(make_patch: MakePatch) -> None:
    image, labels = make_patch((24, 24), channels=1, largest=30_000)
    assert_equals_reference(image, labels.clamp(min=20_000), (0.3,), 1.1, (16, 16))


@pytest.mark.parametrize("angles", [(0.3, 0, 0), (0, 0.3, 0), (0, 0, 0.3), SPACE_ANGLES])
def test_matrices_equal_batchgenerators(angles: tuple[float, ...]) -> None:
    drawn = reference_transform(angles, 1.2, (8, 8, 8)).get_parameters(image=torch.zeros(1, 12, 12, 12))
    np.testing.assert_allclose(spatial_matrices(np.array([angles]), np.array([1.2]))[0], drawn["affine"], atol=1e-12)


def test_a_quarter_turn_moves_voxels_exactly() -> None:
    image = torch.arange(25.0).view(1, 5, 5)
    matrices = spatial_matrices(np.array([[math.pi / 2]]), np.array([1.0]))
    turned, _ = transform([image], [image[0].to(torch.int16)], matrices, (5, 5))
    torch.testing.assert_close(turned[0, 0], image[0].rot90(-1), atol=1e-4, rtol=0)


def test_outside_is_zero_in_the_image_and_minus_one_in_the_label() -> None:
    matrices = spatial_matrices(np.zeros((1, 1)), np.array([4.0]))
    images, labels = transform([torch.ones(1, 8, 8)], [torch.ones(8, 8, dtype=torch.int8)], matrices, (8, 8))
    assert images[0, 0, 0].tolist() == [0] * 8
    assert labels[0, 0].tolist() == [-1] * 8
    assert labels[0, 4, 4] == 1


def test_a_tie_goes_to_the_label_of_the_nearest_voxel() -> None:
    # Reads at 1.5, 2.5 and 3.5, whose nearest voxels are, half to even, 2, 2 and 4.
    column = torch.tensor([0, 1, 2, 0, 3, 1], dtype=torch.int16)[:, None].expand(6, 3)
    _, labels = transform([column[None].float()], [column], np.eye(2)[None], (3, 3))
    assert labels[0, :, 1].tolist() == [2, 2, 3]


def test_a_tie_without_the_nearest_voxels_label_goes_to_the_smallest() -> None:
    # Reads at the centre of a cell: labels 5 and 2 have three corners each; the nearest, label 7, has one.
    labels = torch.zeros(4, 4, 4, dtype=torch.int16)
    labels[1:3, 1:3, 1:3] = torch.tensor([5, 5, 2, 2, 5, 1, 2, 7]).view(2, 2, 2)
    _, elected = transform([labels[None].float()], [labels], np.eye(3)[None], (1, 1, 1))
    assert elected.item() == 2


def test_slabs_and_groups_do_not_change_the_result(make_patch: MakePatch, monkeypatch: pytest.MonkeyPatch) -> None:
    geometry = augmentation_geometry((7, 9, 8))
    samples = [make_patch(geometry.initial_patch_size, seed=seed) for seed in range(3)]
    images, labels = [sample[0] for sample in samples], [sample[1] for sample in samples]
    matrices = spatial_matrices(np.random.default_rng(0).uniform(-0.5, 0.5, (3, 3)), np.array([0.8, 1.0, 1.3]))
    transformed = np.ones(3, dtype=np.bool_)
    expected = place(images, labels, matrices, transformed, geometry)
    monkeypatch.setattr(spatial, "VALUES_AT_ONCE", 300)
    placed = place(images, labels, matrices, transformed, geometry)
    assert torch.equal(placed[0], expected[0]) and torch.equal(placed[1], expected[1])


def test_samples_not_transformed_are_copied(make_patch: MakePatch) -> None:
    geometry = augmentation_geometry((9, 8))
    image, labels = make_patch((9, 8))
    matrices = np.tile(np.eye(2), (1, 1, 1))
    images, maps = place([image], [labels.to(torch.int8)], matrices, np.zeros(1, dtype=np.bool_), geometry)
    assert torch.equal(images[0], image) and torch.equal(maps[0], labels)
    assert maps.dtype == torch.int16
    images.zero_()
    assert image.any()


@pytest.mark.parametrize(
    ("size", "axes"), [((4, 5, 6), [0, 2]), ((3, 9, 8), [1]), ((7, 8), [0]), ((5, 6), [0, 1]), ((5, 6, 7), [])]
)
def test_mirroring_equals_batchgenerators(make_patch: MakePatch, size: tuple[int, ...], axes: list[int]) -> None:
    samples = [make_patch(size, seed=seed) for seed in range(2)]
    images, labels = torch.stack([sample[0] for sample in samples]), torch.stack([sample[1] for sample in samples])
    chosen = np.array([[axis in axes for axis in range(len(size))], [False] * len(size)])
    flipped, maps = mirror(images, labels, chosen)
    data = {"image": images[0], "segmentation": labels[:1]}
    expected = MirrorTransform(tuple(range(len(size)))).apply(data, axes=axes)
    assert torch.equal(flipped[0], expected["image"]) and torch.equal(maps[:1], expected["segmentation"])
    assert torch.equal(flipped[1], images[1]) and torch.equal(maps[1], labels[1])
