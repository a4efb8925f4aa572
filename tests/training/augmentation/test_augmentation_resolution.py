from collections.abc import Callable

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
from scipy.ndimage import correlate1d
from torch import Tensor

from segforge.training.augmentation.resolution import blur, gaussian_kernels, lower_resolution, zoomed_size

MakePatch = Callable[..., tuple[Tensor, Tensor]]


@pytest.mark.parametrize("size", [(9, 12, 11), (15, 18)])
def test_blur_equals_batchgenerators(make_patch: MakePatch, size: tuple[int, ...]) -> None:
    volumes, _ = make_patch(size, channels=3)
    sigmas = np.array([[0.5, 0.58, 0.59], [0.7, 0.91, 0.92], [1.0, 0.51, 0.75]])[:, : len(size)]
    expected = GaussianBlurTransform((0.5, 1))._apply_to_image(
        volumes.clone(), apply_to_channel=torch.ones(3, dtype=torch.bool), sigmas=sigmas.tolist()
    )
    torch.testing.assert_close(blur(volumes, sigmas), expected, atol=1e-4, rtol=0)


@pytest.mark.filterwarnings("error")
def test_blur_of_axes_shorter_than_its_kernel_goes_on_reflecting(make_patch: MakePatch) -> None:
    volumes, _ = make_patch((1, 2, 3), channels=1)
    expected = volumes[0].numpy()
    for axis in range(3):
        expected = correlate1d(expected, gaussian_kernels(np.array([1.0]))[0], axis=axis, mode="mirror")
    np.testing.assert_allclose(blur(volumes, np.ones((1, 3)))[0].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize(("sigma", "taps"), [(0.5, 3), (0.583, 3), (0.584, 5), (0.916, 5), (0.917, 7), (1.0, 7)])
def test_kernel_length_grows_with_sigma(sigma: float, taps: int) -> None:
    kernel = gaussian_kernels(np.array([sigma]))[0]
    assert len(kernel) == taps
    assert kernel.sum() == pytest.approx(1)
    assert kernel[taps // 2 + 1] / kernel[taps // 2] == pytest.approx(np.exp(-0.5 / sigma**2))


@pytest.mark.parametrize("zoom", [0.5, 0.625, 0.83, 0.99])
@pytest.mark.parametrize(("size", "first_axis"), [((9, 12, 11), 0), ((15, 18), 0), ((5, 20, 18), 1)])
def test_low_resolution_equals_batchgenerators(
    make_patch: MakePatch, size: tuple[int, ...], first_axis: int, zoom: float
) -> None:
    volumes, _ = make_patch(size, channels=1)
    scales = torch.full((1, len(size)), zoom)
    scales[:, :first_axis] = 1
    reference = SimulateLowResolutionTransform((0.5, 1), False, True, ignore_axes=(0,) if first_axis else None)
    expected = reference._apply_to_image(volumes.clone(), apply_to_channel=torch.arange(1), scales=scales)
    lowered = lower_resolution(volumes[0], zoomed_size(size, zoom, first_axis))
    torch.testing.assert_close(lowered, expected[0], atol=1e-4, rtol=0)


def test_zoomed_size_rounds_half_to_even_and_spares_axes() -> None:
    assert zoomed_size((5, 5, 7), 0.5, 0) == (2, 2, 4)
    assert zoomed_size((5, 5, 7), 0.5, 1) == (5, 2, 4)
