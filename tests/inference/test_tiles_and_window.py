import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from segforge.inference.sliding_window import SlidingWindow
from segforge.inference.tiles import gaussian_weights, tile_corners


@pytest.mark.parametrize(
    ("size", "patch", "step", "expected"),
    [
        (10, 10, 0.5, [0]),
        (11, 10, 0.5, [0, 1]),
        (15, 10, 0.5, [0, 5]),
        (16, 10, 0.5, [0, 3, 6]),
        (30, 10, 1.0, [0, 10, 20]),
        (27, 8, 0.5, [0, 4, 8, 11, 15, 19]),
    ],
)
def test_corners_by_hand(size: int, patch: int, step: float, expected: list[int]) -> None:
    assert [corner[0] for corner in tile_corners((size,), (patch,), step)] == expected


@pytest.mark.parametrize("patch", [(8, 8, 8), (40, 56, 40), (5, 7), (1, 9)])
def test_weights_are_a_filtered_impulse(patch: tuple[int, ...]) -> None:
    impulse = np.zeros(patch)
    impulse[tuple(n // 2 for n in patch)] = 1
    expected = gaussian_filter(impulse, [n / 8 for n in patch], mode="constant", cval=0)
    expected = (expected / expected.max()).astype(np.float16)
    expected[expected == 0] = expected[expected > 0].min()
    np.testing.assert_allclose(gaussian_weights(patch), expected.astype(np.float32), rtol=2e-3)
    assert gaussian_weights(patch).min() > 0


class Position(nn.Module):
    """Not the same for a mirrored tile, and not the same at each place of a tile."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        ramp = torch.arange(x[0, 0].numel(), dtype=torch.float32).reshape(x.shape[2:]) / x[0, 0].numel()
        return torch.cat([x[:, :1] * ramp * self.factor, x[:, :1] + ramp**2], 1)


def slow_reference(networks, image: np.ndarray, patch, mirror_axes, step: float) -> np.ndarray:
    """METHOD, section 6, with plain loops."""
    pads = [max(p - s, 0) for s, p in zip(image.shape[1:], patch, strict=True)]
    padded = np.pad(image, [(0, 0)] + [(p // 2, p - p // 2) for p in pads])
    total, weight = np.zeros((2, *padded.shape[1:])), np.zeros(padded.shape[1:])
    impulse = np.zeros(patch)
    impulse[tuple(n // 2 for n in patch)] = 1
    gauss = gaussian_filter(impulse, [n / 8 for n in patch], mode="constant", cval=0)
    gauss = (gauss / gauss.max()).astype(np.float16)
    gauss[gauss == 0] = gauss[gauss > 0].min()
    gauss = gauss.astype(np.float64)
    starts = []
    for size, p in zip(padded.shape[1:], patch, strict=True):
        count = int(np.ceil((size - p) / (p * step))) + 1
        starts.append([int(np.round((size - p) / max(count - 1, 1) * i)) for i in range(count)])
    flips = [[axis for k, axis in enumerate(mirror_axes) if bits >> k & 1] for bits in range(2 ** len(mirror_axes))]
    for corner in np.array(np.meshgrid(*starts)).reshape(len(starts), -1).T:
        box = tuple(slice(c, c + p) for c, p in zip(corner, patch, strict=True))
        for network in networks:
            for flip in flips:
                tile = np.flip(padded[(slice(None), *box)], [a + 1 for a in flip]).copy()
                output = network(torch.from_numpy(tile)[None])[0].numpy()
                total[(slice(None), *box)] += np.flip(output, [a + 1 for a in flip]) * gauss / len(networks) / len(flips)
        weight[box] += gauss
    inner = tuple(slice(p // 2, p // 2 + s) for s, p in zip(image.shape[1:], pads, strict=True))
    pads_low = [p // 2 for p in pads]
    inner = tuple(slice(low, low + s) for low, s in zip(pads_low, image.shape[1:], strict=True))
    return (total / weight)[(slice(None), *inner)]


@pytest.mark.parametrize("mirror_axes", [(), (1,), (0, 1, 2)])
@pytest.mark.parametrize("step", [0.5, 1.0])
@pytest.mark.parametrize("shape", [(9, 13, 11), (3, 20, 5), (6, 6, 6)])
def test_logits_equal_plain_loops(mirror_axes, step: float, shape) -> None:
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    networks = [Position(1.0), Position(-2.0)]
    window = SlidingWindow(networks, (6, 6, 6), 2, mirror_axes=mirror_axes, step=step, device=torch.device("cpu"))
    np.testing.assert_allclose(window.logits(image), slow_reference(networks, image, (6, 6, 6), mirror_axes, step), atol=1e-5)


def test_slices_are_predicted_one_by_one_by_networks_of_planes() -> None:
    image = np.random.default_rng(0).normal(size=(1, 4, 9, 5)).astype(np.float32)
    window = SlidingWindow([Position(1.0)], (6, 6), 2, mirror_axes=(0, 1), step=0.5, device=torch.device("cpu"))
    for z in range(4):
        expected = slow_reference([Position(1.0)], image[:, z], (6, 6), (0, 1), 0.5)
        np.testing.assert_allclose(window.logits(image)[:, z], expected, atol=1e-5)


@pytest.mark.parametrize("patch", [(6, 6, 6), (6, 6)])
def test_progress_counts_each_tile_once(patch: tuple[int, ...]) -> None:
    image = np.zeros((1, 4, 9, 5), np.float32)
    window = SlidingWindow([Position(1.0)], patch, 2, mirror_axes=(), step=0.5, device=torch.device("cpu"))
    calls: list[int] = []
    window.logits(image, lambda: calls.append(1))
    assert len(calls) == window.tiles((4, 9, 5))
