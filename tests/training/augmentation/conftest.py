"""Patches of random images and blocky labels."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

MakePatch = Callable[..., tuple[Tensor, Tensor]]


@pytest.fixture
def make_patch() -> MakePatch:
    """A function that makes an image `(C, *size)` and labels -1 to `largest` of blocks a few voxels wide."""

    def make(size: Sequence[int], *, channels: int = 2, largest: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        image = torch.randn((channels, *size), generator=generator)
        blocks = torch.rand((1, 1, *(-(-length // 4) for length in size)), generator=generator)
        labels = torch.nn.functional.interpolate(blocks, tuple(size), mode="nearest")[0, 0]
        return image, (labels * (largest + 2)).floor().sub(1).to(torch.int16)

    return make
