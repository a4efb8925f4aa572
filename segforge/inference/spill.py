"""Room for logits that memory has no room for: a file beside the results that is gone when it is no longer used."""

import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from segforge.compute.files import make_folder
from segforge.compute.wording import size
from segforge.errors import SegForgeError
from segforge.inference.sliding_window import Allocate, zeros_in_memory


def spilling(folder: Path, limit: int) -> Allocate:
    """Give zeros in memory, or in a file without a name in a folder if they take more than a limit in bytes."""

    def allocate(shape: tuple[int, ...]) -> Tensor:
        needed = int(np.prod(shape)) * np.dtype(np.float32).itemsize
        return zeros_in_memory(shape) if needed <= limit else _mapped(folder, shape, needed)

    return allocate


def _mapped(folder: Path, shape: tuple[int, ...], needed: int) -> Tensor:
    make_folder(folder)
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, needed)  # a full disk is an error here, and the end of the process later
        except OSError as error:
            raise SegForgeError(
                f"{folder} has no room for {size(needed)} that memory has no room for: {error.strerror}. Make room there, or "
                "raise --max-memory."
            ) from error
        return torch.from_numpy(np.memmap(file, np.float32, "w+", shape=shape))
