"""A preprocessed image through trained networks, tile by tile, to logits on the same grid."""

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from segforge.compute.device import Precision, autocast, free_memory
from segforge.errors import SegForgeError
from segforge.inference.tiles import gaussian_weights, tile_corners

Array = npt.NDArray[Any]
Allocate = Callable[[tuple[int, ...]], Tensor]

log = logging.getLogger(__name__)

_BATCH_VOXELS = {"cpu": 1 << 19, "cuda": 1 << 22}  # that go through a network together; more is no faster
_MOST_TOGETHER = 64  # nor are more tiles; but one small tile alone misses the fast convolutions of processors
_FLOAT = 4
_TRIED, _TRY_SECONDS = 16, 0.5  # tiles, and time, for measuring how fast the networks are


def zeros_in_memory(shape: tuple[int, ...]) -> Tensor:
    """Where logits are summed, if nothing else is said: the host's memory."""
    return torch.zeros(shape)


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
        precision: Precision = "auto",
    ) -> None:
        """Set up.

        Args:
            networks: On the device, in evaluation mode, from `(B, C, *patch)` to `(B, heads, *patch)`.
            patch: Size of a tile, `(y, x)` for networks that see slices.
            heads: Number of output channels.
            mirror_axes: Spatial axes of the patch that are mirrored, in all combinations; empty for none.
            step: Distance of tiles as a share of the patch.
            device: Where to compute.
            precision: Of the networks; logits are always summed in float32.
        """
        self._networks = networks
        self._patch = tuple(patch)
        self._heads = heads
        self._flips = _combinations(mirror_axes)
        self._step = step
        self._device = device
        self._precision = precision
        voxels = _BATCH_VOXELS.get(device.type, _BATCH_VOXELS["cpu"])
        self._together = min(max(1, voxels // int(np.prod(self._patch))), _MOST_TOGETHER)
        self._weights = torch.from_numpy(gaussian_weights(patch)).to(device)

    def tiles(self, shape: Sequence[int]) -> int:
        """Number of tiles of a volume (z, y, x), each of which every network sees once per flip."""
        slices = shape[0] if len(self._patch) == 2 else 1
        return slices * len(tile_corners(self._padded(shape), self._patch, self._step))

    @property
    def passes(self) -> int:
        """How often a tile goes through a network: once per network and flip."""
        return len(self._networks) * len(self._flips)

    def seconds_per_tile(self, channels: int) -> float:
        """How long a tile of so many channels takes, all passes together: the fastest of a few tries."""
        count = min(self._together, _TRIED)
        batch = torch.zeros(count, channels, *self._patch, device=self._device)
        begin, fastest = time.monotonic(), math.inf
        while fastest == math.inf or time.monotonic() - begin < _TRY_SECONDS:
            tried = time.monotonic()
            self._output(self._networks[0], batch).flatten()[0].item()  # a device is waited for
            fastest = min(fastest, time.monotonic() - tried)
        return fastest / count * self.passes

    def logits(
        self, image: Array | Tensor, advance: Callable[[], object] = lambda: None, allocate: Allocate = zeros_in_memory
    ) -> Tensor:
        """Mean logits of the networks.

        Args:
            image: Preprocessed `(C, Z, Y, X)`.
            advance: Called after each tile.
            allocate: Gives zeros on the host, where logits are summed if the device has no room for them.

        Returns:
            `(heads, Z, Y, X)` float32, on the device if they fit there, else on the host.

        Raises:
            SegForgeError: If the networks' outputs are not finite.
            torch.OutOfMemoryError: If the device cannot hold a single patch.
        """
        volume = _tensor(image)
        shape = tuple(volume.shape[1:])
        padded = (*shape[: 3 - len(self._patch)], *self._padded(shape))
        total = self._zeros((self._heads, *padded), allocate)
        before = [(new - old) // 2 for new, old in zip(padded, shape, strict=True)]
        self._sum(_padded(volume, before, padded), total, advance)
        inner = tuple(slice(low, low + size) for low, size in zip(before, shape, strict=True))
        logits = total[(slice(None), *inner)]
        if not all(bool(torch.isfinite(head).all()) for head in logits):
            raise SegForgeError("the network's output is not finite; use --precision fp32, or train the model anew.")
        return logits

    def _sum(self, volume: Tensor, total: Tensor, advance: Callable[[], object]) -> None:
        """Add all tiles of a padded volume, and divide by their weights; slices are samples of their own."""
        is_2d = len(self._patch) == 2
        samples, sums = (volume.transpose(0, 1), total.transpose(0, 1)) if is_2d else (volume[None], total[None])
        weight, weights = torch.zeros(samples.shape[2:], device=total.device), self._weights.to(total.device)
        boxes = [
            tuple(slice(low, low + size) for low, size in zip(corner, self._patch, strict=True))
            for corner in tile_corners(samples.shape[2:], self._patch, self._step)
        ]
        for box in boxes:
            weight[box] += weights
        places: list[tuple[Any, ...]] = [(sample, slice(None), *box) for box in boxes for sample in range(len(samples))]
        begin = 0
        while begin < len(places):
            chosen = places[begin : begin + self._together]
            tiles = torch.stack([samples[place] for place in chosen]).to(self._device)
            try:
                logits = self._tile_logits(tiles)
            except torch.OutOfMemoryError:
                if self._together == 1:
                    raise
                self._halve()
                continue
            for place, tile in zip(chosen, (logits * self._weights).to(total.device), strict=True):
                sums[place] += tile
                advance()
            begin += len(chosen)
        total /= weight

    @torch.inference_mode()
    def _tile_logits(self, tiles: Tensor) -> Tensor:
        """Mean over networks and flips of `(B, C, *patch)`."""
        outputs = self._each_output(tiles)
        total = next(outputs)
        for output in outputs:
            total += output
        return total / self.passes

    def _each_output(self, tiles: Tensor) -> Iterator[Tensor]:
        together = max(1, self._together // len(tiles))
        for network in self._networks:
            for begin in range(0, len(self._flips), together):
                flips = self._flips[begin : begin + together]
                batch = torch.cat([tiles.flip(flip) for flip in flips]) if len(flips) > 1 else _flipped(tiles, flips[0])
                for flip, output in zip(flips, self._output(network, batch).split(len(tiles)), strict=True):
                    yield _flipped(output, flip)

    @torch.inference_mode()
    def _output(self, network: nn.Module, batch: Tensor) -> Tensor:
        with autocast(self._device, self._precision), _exact(self._device, self._precision):
            output: Tensor = network(batch)
        return output.float()

    def _zeros(self, shape: tuple[int, ...], allocate: Allocate) -> Tensor:
        """Zeros on the device if they take less than half of what is free there, else on the host."""
        if self._device.type == "cpu" or int(np.prod(shape)) * _FLOAT > free_memory(self._device) // 2:
            return allocate(shape)
        return torch.zeros(shape, device=self._device)

    def _halve(self) -> None:
        """After the device ran out of memory: fewer tiles at once."""
        self._together //= 2
        torch.cuda.empty_cache()
        log.info("The device has no memory for so many tiles at once; going on with %d.", self._together)

    def _padded(self, shape: Sequence[int]) -> tuple[int, ...]:
        return tuple(max(size, tile) for size, tile in zip(shape[-len(self._patch) :], self._patch, strict=True))


def _tensor(image: Array | Tensor) -> Tensor:
    if isinstance(image, Tensor):
        return image.float()
    writable = image.flags.writeable and image.dtype == np.float32  # mapped cases are read-only
    return torch.from_numpy(image if writable else image.astype(np.float32))


def _padded(volume: Tensor, before: Sequence[int], shape: Sequence[int]) -> Tensor:
    """Put `(C, *spatial)` into zeros of a larger shape; as it is if it has that shape."""
    sizes = volume.shape[1:]
    pads = [pad for new, old, low in zip(shape, sizes, before, strict=True) for pad in (new - old - low, low)]
    return nn.functional.pad(volume, pads[::-1]) if any(pads) else volume


def _flipped(batch: Tensor, axes: tuple[int, ...]) -> Tensor:
    return batch.flip(axes) if axes else batch


def _exact(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[object]:
    """On CUDA, without the shortened float32 that convolutions may use there otherwise, where exactness is asked for."""
    if device.type == "cuda" and precision == "fp32":
        return torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False)
    return contextlib.nullcontext()


def _combinations(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """All subsets of the mirrored axes, as axes of a batch; the empty one first."""
    shifted = [axis + 2 for axis in axes]
    return list(chain.from_iterable(combinations(shifted, count) for count in range(len(shifted) + 1)))
