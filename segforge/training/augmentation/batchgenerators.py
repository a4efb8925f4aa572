"""Transforms of batchgenerators, or others that turn its dictionaries into such, as the augmentation of a training.

A dictionary holds `data` `(B, C, ...)` and `seg` `(B, 1, ...)`, NumPy arrays. The transforms draw from the global random
states of NumPy and Python, so they run in processes of their own, seeded for each batch: batch n is the same whichever worker
makes it, and in whatever order.
"""

import random
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from segforge.compute.executors import Resources, available_cores
from segforge.compute.workers import Workers
from segforge.errors import SegForgeError
from segforge.training.augmentation.geometry import augmentation_geometry, centre_offset
from segforge.training.augmentation.parameters import MIRROR_PROBABILITY, Bools
from segforge.training.augmentation.spatial import mirror

Array = npt.NDArray[Any]
DictionaryTransform = Callable[..., dict[str, Any]]

_MOST_WORKERS = 8
_in_process = threading.Lock()


@dataclass(frozen=True, eq=False)
class DictionaryParameters:
    """Everything random in one batch: the seed of the transforms, and which axes are flipped, `(B, D)`."""

    seed: int
    mirrored: Bools


class DictionaryAugmentation:
    """Applies a transform to whole initial patches, cuts the patch out of their centre, and mirrors.

    Attributes:
        patch_size: Size of the augmented patch.
        initial_patch_size: Size of the patch that the transform is given.
        workers: Processes; 0 works in this one.
    """

    def __init__(
        self,
        load: Callable[[], DictionaryTransform],
        patch_size: Sequence[int],
        *,
        mirror_axes: Sequence[int],
        masked_channels: Sequence[bool],
        workers: int | None = None,
    ) -> None:
        """Set up for a patch size.

        Args:
            load: Gives the transform, here and in every worker; must be picklable.
            patch_size: `(y, x)` or `(z, y, x)`.
            mirror_axes: Spatial axes, from 0, that may be flipped, after the transform.
            masked_channels: For every image channel whether it is 0 outside the mask it was normalized in.
            workers: Processes; None takes one for each core, 8 at most.
        """
        geometry = augmentation_geometry(patch_size)
        self.patch_size, self.initial_patch_size = geometry.patch_size, geometry.initial_patch_size
        self.workers = min(available_cores(), _MOST_WORKERS) if workers is None else workers
        self._load = load
        self._pool = Workers(Resources(self.workers))
        self._mirror_axes = tuple(mirror_axes)
        self._masked_channels = tuple(masked_channels)

    def draw(self, rng: np.random.Generator, batch_size: int) -> DictionaryParameters:
        """Draw everything random in one batch."""
        axes = len(self.patch_size)
        flips = (rng.random((batch_size, axes)) < MIRROR_PROBABILITY) & np.isin(np.arange(axes), self._mirror_axes)
        return DictionaryParameters(int(rng.integers(2**32)), flips)

    def source_sizes(self, parameters: DictionaryParameters) -> list[tuple[int, ...]]:
        """The initial patch, for every sample."""
        return [self.initial_patch_size] * len(parameters.mirrored)

    def prepare(
        self, images: Sequence[Tensor], labels: Sequence[Tensor], parameters: DictionaryParameters
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Transform samples in a worker.

        Raises:
            WorkerDied: If the transform killed its worker.
            SegForgeError: If what it returned does not fit.
        """
        data = np.stack([image.numpy() for image in images])
        seg = np.stack([label.numpy() for label in labels])[:, None].astype(np.float32)
        arguments = self._load, parameters.seed, data, seg
        new_data, new_seg = self._pool.call(_transformed, *arguments) if self.workers else _transformed_here(*arguments)
        return (
            list(torch.from_numpy(self._cut(new_data, data.shape[:2], "data").astype(np.float32, copy=False))),
            list(torch.from_numpy(np.rint(self._cut(new_seg, seg.shape[:2], "seg")[:, 0]).astype(np.int16))),
        )

    def __call__(
        self, images: Sequence[Tensor], labels: Sequence[Tensor], parameters: DictionaryParameters
    ) -> tuple[Tensor, Tensor]:
        """Make a batch of prepared samples, see `BatchTransform`."""
        batch, targets = mirror(torch.stack(list(images)), torch.stack(list(labels)), parameters.mirrored)
        for channel in np.flatnonzero(self._masked_channels).tolist():
            batch[:, channel].masked_fill_(targets < 0, 0)
        return batch, targets.clamp_(min=0)

    def _cut(self, array: Array, kept: tuple[int, ...], key: str) -> Array:
        """The patch in the centre of `(B, C, ...)`."""
        size = array.shape[2:]
        if array.shape[:2] != kept or len(size) != len(self.patch_size) or any(np.array(size) < self.patch_size):
            raise SegForgeError(
                f"it returned {key} of the shape {array.shape}; with {kept[0]} samples, {kept[1]} channels and the patch "
                f"{self.patch_size} it must be {(*kept, *self.patch_size)} or larger"
            )
        box = zip(centre_offset(size, self.patch_size), self.patch_size, strict=True)
        index: tuple[Any, ...] = (..., *(slice(low, low + length) for low, length in box))
        cut: Array = array[index]
        return cut


def _transformed(load: Callable[[], DictionaryTransform], seed: int, data: Array, seg: Array) -> tuple[Array, Array]:
    """Apply the transform in a worker, in which nothing else draws."""
    transform = _loaded_in_worker(load)
    _seed_all(seed)
    return _applied(transform, data, seg)


def _transformed_here(load: Callable[[], DictionaryTransform], seed: int, data: Array, seg: Array) -> tuple[Array, Array]:
    """Apply the transform in this process, and leave the random states as they were."""
    with _in_process, _kept_random_states():
        _seed_all(seed)
        return _applied(load(), data, seg)


def _applied(transform: DictionaryTransform, data: Array, seg: Array) -> tuple[Array, Array]:
    result = transform(data=data, seg=seg)
    return np.asarray(result["data"]), np.asarray(result["seg"])


@lru_cache(maxsize=1)
def _loaded_in_worker(load: Callable[[], DictionaryTransform]) -> DictionaryTransform:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches workers too; the training stops when it has saved
    torch.set_num_threads(1)
    return load()


def _seed_all(seed: int) -> None:
    np.random.seed(seed)
    random.seed(seed)
    torch.manual_seed(seed)


@contextmanager
def _kept_random_states() -> Iterator[None]:
    states = np.random.get_state(), random.getstate(), torch.get_rng_state()
    try:
        yield
    finally:
        np.random.set_state(states[0])
        random.setstate(states[1])
        torch.set_rng_state(states[2])
