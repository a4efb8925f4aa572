"""Reads the boxes of coming batches from the preprocessed cases, in threads, ahead of the training."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from segforge.compute.workers import WorkerDied
from segforge.errors import SegForgeError
from segforge.preprocessing.preprocessor import OUTSIDE, PreprocessedCase
from segforge.training import group
from segforge.training.augmentation import BatchTransform, centre_offset
from segforge.training.sampler import Position, Sampler

Array = npt.NDArray[Any]

_THREADS = 2


@dataclass(frozen=True)
class Batch:
    """What was read for one step: per sample image `(C, ...)` and labels `(...)`, and what augmentation shall do.

    Labels of a case with a map of the previous stage are a pair with that map, `(2, ...)`.
    """

    images: list[Tensor]
    labels: list[Tensor]
    parameters: Any


class Reader:
    """Makes batches; batch number n is a function of (seed, purpose, n), whichever thread reads it."""

    def __init__(
        self,
        cases: Mapping[str, PreprocessedCase],
        sampler: Sampler,
        transform: BatchTransform,
        *,
        batch_size: int,
        seed: int,
        purpose: int,
        pins: bool = False,
    ) -> None:
        """Set what to read.

        Args:
            cases: The cases that the sampler draws from.
            sampler: Draws positions.
            transform: Draws the augmentation, which tells how large a box each sample needs.
            batch_size: Samples per batch.
            seed: Of the training.
            purpose: A number that keeps the draws of training and validation apart.
            pins: Whether batches lie in memory from which a CUDA device fetches them without making the host wait.
        """
        self._cases = cases
        self._sampler = sampler
        self._transform = transform
        self._batch_size = batch_size
        self._seed = seed
        self._purpose = purpose
        self._pins = pins

    def read(self, number: int) -> Batch:
        """Read this process's share of one batch into memory."""
        random = np.random.default_rng((self._seed, self._purpose, number))
        mine = group.share(self._batch_size)
        positions = self._sampler.draw(random)[mine]
        parameters = group.part(self._transform.draw(random, self._batch_size), mine)
        boxes = zip(positions, self._transform.source_sizes(parameters), strict=True)
        samples = [self._sample(position, size) for position, size in boxes]
        images, labels = (list(tensors) for tensors in zip(*samples, strict=True))
        if prepare := getattr(self._transform, "prepare", None):
            try:
                images, labels = prepare(images, labels, parameters)
            except Exception as error:
                cases = ", ".join(position.case for position in positions)
                raise SegForgeError(f"The augmentation failed on batch {number} ({cases}): {_reason(error)}.") from error
        if self._pins:
            images, labels = ([tensor.pin_memory() for tensor in tensors] for tensors in (images, labels))
        return Batch(images, labels, parameters)

    @contextmanager
    def ahead(self, numbers: Sequence[int]) -> Iterator[Iterator[Batch]]:
        """Lend an iterator over batches that are read a few ahead; an error while reading comes up in its place."""
        count = max(_THREADS, getattr(self._transform, "workers", 0))
        with ThreadPoolExecutor(count) as threads:
            try:
                yield self._in_order(threads, deque(numbers), count + 1)
            finally:
                threads.shutdown(wait=True, cancel_futures=True)

    def _in_order(self, threads: ThreadPoolExecutor, numbers: deque[int], ahead: int) -> Iterator[Batch]:
        under_way: deque[Future[Batch]] = deque()
        while numbers or under_way:
            while numbers and len(under_way) < ahead:
                under_way.append(threads.submit(self.read, numbers.popleft()))
            yield under_way.popleft().result()

    def _sample(self, position: Position, size: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """The box of `size` in the centre of the initial patch at `position`; 2D sizes are one slice thick."""
        initial = self._transform.initial_patch_size
        offset = centre_offset(initial, size)
        thick = (0,) * (3 - len(size)) + offset, (1,) * (3 - len(size)) + size
        corner = tuple(low + shift for low, shift in zip(position.corner, thick[0], strict=True))
        case = self._cases[position.case]
        assert case.classes is not None
        image = cut(case.image, corner, thick[1], 0)
        maps = [case.classes] if case.previous is None else [case.classes, case.previous]
        labels = np.concatenate([cut(array, corner, thick[1], OUTSIDE) for array in maps])
        if len(maps) == 1:
            labels = labels[0]
        if len(size) == 2:
            image, labels = image[:, 0], labels[..., 0, :, :]
        return torch.from_numpy(image.astype(np.float32, copy=False)), torch.from_numpy(labels)


def _reason(error: Exception) -> str:
    """The error in words; of one that only programmers know its kind too."""
    words = f"{type(error).__name__}: {error}" if not isinstance(error, SegForgeError | WorkerDied) else str(error)
    return words.rstrip(".")


def cut(array: Array, corner: Sequence[int], size: Sequence[int], outside: float) -> Array:
    """Copy a box out of `(C, Z, Y, X)`; what lies beyond the border has the value `outside`.

    Args:
        array: The volume, in memory or mapped.
        corner: First voxel of the box; may be negative.
        size: Voxels of the box.
        outside: Value beyond the border.
    """
    result = np.full((array.shape[0], *size), outside, array.dtype)
    source, target = [slice(None)], [slice(None)]
    for low, length, limit in zip(corner, size, array.shape[1:], strict=True):
        begin, end = max(low, 0), min(low + length, limit)
        if begin >= end:
            return result
        source.append(slice(begin, end))
        target.append(slice(begin - low, end - low))
    result[tuple(target)] = array[tuple(source)]
    return result
