import numpy as np
import pytest
import torch
from batchgenerators.augmentations.utils import resize_segmentation
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import zoom
from skimage.transform import resize

from segforge.preprocessing.axis_maps import axis_operator
from segforge.preprocessing.resampling import Resampling

SIZES = st.integers(1, 24)
SHAPES = st.tuples(*[st.integers(2, 14)] * 3)


@settings(deadline=None)
@given(n_in=SIZES, n_out=SIZES, order=st.sampled_from([1, 3]))
def test_the_operator_equals_scipys_zoom(n_in: int, n_out: int, order: int) -> None:
    signal = np.random.default_rng(n_in * 100 + n_out).normal(size=n_in)
    expected = zoom(signal, n_out / n_in, order=order, mode="nearest", grid_mode=True)
    np.testing.assert_allclose(axis_operator(n_in, n_out, order) @ signal, expected, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(shape=SHAPES, new_shape=SHAPES)
def test_images_equal_scikit_image(shape, new_shape) -> None:
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    ours = Resampling(shape, new_shape, None).image(image[None], 3)[0]
    theirs = resize(image.astype(np.float64), new_shape, 3, mode="edge", clip=True, anti_aliasing=False)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@settings(deadline=None, max_examples=40)
@given(shape=SHAPES, new_shape=SHAPES, labels=st.integers(2, 5))
def test_label_maps_equal_batchgenerators_but_for_ties_that_rounding_decides(shape, new_shape, labels: int) -> None:
    classes = np.random.default_rng(0).integers(-1, labels, shape).astype(np.int8)
    ours = Resampling(shape, new_shape, None).labels(classes, 1)
    theirs = resize_segmentation(classes, new_shape, order=1)
    scores = {
        value: resize((classes == value).astype(np.float64), new_shape, 1, mode="edge", anti_aliasing=False)
        for value in np.unique(classes)
    }
    assert set(np.unique(ours)) <= set(scores)
    for voxel in np.argwhere(ours != theirs):
        difference = scores[ours[tuple(voxel)]][tuple(voxel)] - scores[theirs[tuple(voxel)]][tuple(voxel)]
        assert abs(difference) < 1e-9


def test_ties_go_to_the_nearest_voxels_label() -> None:
    classes = np.array([[[3, 1]]], np.int8)
    ours = Resampling((1, 1, 2), (1, 1, 1), None).labels(classes, 1)
    assert ours.item() == 1  # the sample lies in the middle; its nearest voxel, rounded up, is the second


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_along_the_coarse_axis_the_nearest_slice_is_taken(axis: int) -> None:
    shape, new_shape = [6, 6, 6], [8, 8, 8]
    shape[axis], new_shape[axis] = 5, 9
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    ours = np.moveaxis(Resampling(tuple(shape), tuple(new_shape), axis).image(image[None], 3)[0], axis, 0)
    slices = np.moveaxis(image, axis, 0)
    for index in range(9):
        source = int(np.clip(np.floor(5 / 9 * (index + 0.5) - 0.5 + 0.5), 0, 4))
        expected = resize(slices[source].astype(np.float64), (8, 8), 3, mode="edge", clip=True, anti_aliasing=False)
        np.testing.assert_allclose(ours[index], expected, atol=1e-5)


def test_overshoot_is_clipped_to_the_range_of_the_channel_not_of_all() -> None:
    channels = np.zeros((2, 1, 1, 8), np.float32)
    channels[0, 0, 0, 4:] = 1
    channels[1] = -5
    result = Resampling((1, 1, 8), (1, 1, 19), None).image(channels, 3)
    assert result[0].min() == 0
    assert result[0].max() == 1


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_rows_of_any_axis_are_together_the_whole(axis: int) -> None:
    volume = np.random.default_rng(0).normal(size=(7, 9, 8)).astype(np.float16)
    resampling = Resampling((7, 9, 8), (12, 6, 11), None)
    parts = [slice(begin, begin + 2) for begin in range(0, (12, 6, 11)[axis] - 2, 2)]
    parts.append(slice(parts[-1].stop, (12, 6, 11)[axis]))
    ours = np.concatenate([resampling.rows(volume, 1, part, axis) for part in parts], axis)
    theirs = resize(volume.astype(np.float64), (12, 6, 11), 1, mode="edge", anti_aliasing=False)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_slabs_cover_the_first_axis_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segforge.preprocessing.resampling.SLAB_BYTES", 2500)
    slabs = list(Resampling((7, 9, 8), (12, 6, 11), None).slabs(8))
    assert len(slabs) > 2
    assert [row for slab in slabs for row in range(slab.start, slab.stop)] == list(range(12))


@pytest.mark.parametrize("coarse", [None, 0, 2])
def test_a_tensor_is_resampled_as_an_array(coarse: int | None) -> None:
    image = np.random.default_rng(0).normal(size=(2, 9, 14, 20)).astype(np.float32)
    resampling = Resampling((9, 14, 20), (16, 9, 20), coarse)
    tensor = resampling.image(torch.from_numpy(image), 3)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_allclose(tensor.numpy(), resampling.image(image, 3), atol=1e-6)


def test_nothing_is_touched_when_the_shape_stays() -> None:
    image = np.random.default_rng(0).normal(size=(1, 3, 4, 5)).astype(np.float32)
    assert Resampling.between((3, 4, 5), (3, 4, 5), (1, 1, 1), (1, 1, 1.01)).image(image, 3) is image
