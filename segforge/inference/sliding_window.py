"""A preprocessed image through trained networks, tile by tile, to logits on the same grid."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from segforge.compute.device import autocast
from segforge.inference.tiles import gaussian_weights, tile_corners

Array = npt.NDArray[Any]

_BATCH_VOXELS = 1 << 17  # tiles smaller than this are put together


class SlidingWindow:
    """Predicts volumes with networks of one configuration and averages their logits."""

    def __init__(
        self,
        networks: Sequence[nn.Module],
        patch: Sequence[int],
        heads: int,
        *,
        mirror_axes: Sequence[int],
        step: float,
        device: torch.device,
    ) -> None:
        """Set up.

        Args:
            networks: On the device, in evaluation mode, from `(B, C, *patch)` to `(B, heads, *patch)`.
            patch: Size of a tile, `(y, x)` for networks that see slices.
            heads: Number of output channels.
            mirror_axes: Spatial axes of the patch that are mirrored, in all combinations; empty for none.
            step: Distance of tiles as a share of the patch.
            device: Where to compute.
        """
        self._networks = networks
        self._patch = tuple(patch)
        self._heads = heads
        self._flips = _combinations(mirror_axes)
        self._step = step
        self._device = device
        self._weights = torch.from_numpy(gaussian_weights(patch)).to(device)

    def tiles(self, shape: Sequence[int]) -> int:
        """Number of tiles of a volume (z, y, x), each of which every network sees once per flip."""
        sizes = self._padded(shape)
        slices = shape[0] if len(self._patch) == 2 else 1
        return slices * len(tile_corners(sizes, self._patch, self._step))

    def logits(self, image: Array, advance: Callable[[], object] = lambda: None) -> Array:
        """Mean logits of the networks.

        Args:
            image: Preprocessed `(C, Z, Y, X)` float32.
            advance: Called after each tile.

        Returns:
            `(heads, Z, Y, X)` float32.
        """
        volume = torch.from_numpy(np.array(image, np.float32, order="C"))  # a copy: mapped cases are read-only
        if len(self._patch) == 3:
            return self._volume(volume[None], advance)[0].numpy()
        return self._volume(volume.transpose(0, 1), advance).transpose(0, 1).numpy()

    def _volume(self, images: Tensor, advance: Callable[[], object]) -> Tensor:
        """Predict `(N, C, *size)`, one after the other or together; the result lies on the CPU."""
        shape = images.shape[2:]
        padded = self._padded(shape)
        before = [(new - old) // 2 for new, old in zip(padded, shape, strict=True)]
        after = [new - old - low for new, old, low in zip(padded, shape, before, strict=True)]
        pads = [pad for pair in zip(reversed(before), reversed(after), strict=True) for pad in pair]
        images = nn.functional.pad(images, pads)
        total = torch.zeros(len(images), self._heads, *padded, device=self._device)
        weight = torch.zeros(padded, device=self._device)
        together = max(1, _BATCH_VOXELS // int(np.prod(self._patch)))
        for corner in tile_corners(padded, self._patch, self._step):
            box = tuple(slice(low, low + size) for low, size in zip(corner, self._patch, strict=True))
            weight[box] += self._weights
            for begin in range(0, len(images), together):
                chosen = slice(begin, begin + together)
                tiles = images[(chosen, slice(None), *box)].to(self._device)
                total[(chosen, slice(None), *box)] += self._tile_logits(tiles) * self._weights
                for _ in range(len(tiles)):
                    advance()
        inner = tuple(slice(low, low + size) for low, size in zip(before, shape, strict=True))
        index: tuple[Any, ...] = (..., *inner)
        return (total / weight)[index].contiguous().cpu()

    @torch.inference_mode()
    def _tile_logits(self, tiles: Tensor) -> Tensor:
        """Mean over networks and flips of `(B, C, *patch)`."""
        outputs = self._each_output(tiles)
        total = next(outputs)
        for output in outputs:
            total += output
        return total / (len(self._networks) * len(self._flips))

    def _each_output(self, tiles: Tensor) -> Iterator[Tensor]:
        for network in self._networks:
            for flip in self._flips:
                with autocast(self._device):
                    output = network(tiles.flip(flip) if flip else tiles)
                yield (output.flip(flip) if flip else output).float()

    def _padded(self, shape: Sequence[int]) -> tuple[int, ...]:
        return tuple(max(size, tile) for size, tile in zip(shape[-len(self._patch) :], self._patch, strict=True))


def _combinations(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """All subsets of the mirrored axes, as axes of a batch; the empty one first."""
    shifted = [axis + 2 for axis in axes]
    return list(chain.from_iterable(combinations(shifted, count) for count in range(len(shifted) + 1)))
