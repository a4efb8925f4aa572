"""Torch's own files of weights, `.pth` and `.pt`, read without running anything in them; nothing else unpickles."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segforge.errors import SegForgeError

HARMLESS = (np.dtype, np._core.multiarray.scalar, np.dtypes.Float32DType, np.dtypes.Float64DType)  # type: ignore[attr-defined]
"""Beside tensors and plain values, all that nnU-Net's checkpoints need: single numbers of NumPy's."""

_PREFIXES = ("_orig_mod.", "module.")


def read_pth(path: Path, remedy: str) -> Mapping[str, Any]:
    """The content of a file of torch's; nothing that it names is imported or called.

    Args:
        path: The file.
        remedy: What to do instead, for messages.

    Raises:
        SegForgeError: If it is missing, damaged, no mapping, or needs other types than a fixed list of harmless ones.
    """
    if not path.is_file():
        raise SegForgeError(f"{path} is missing.")
    _refuse_other_containers(path, remedy)
    try:
        with torch.serialization.safe_globals(list(HARMLESS)):
            needed = torch.serialization.get_unsafe_globals_in_checkpoint(path)
            content = {} if needed else torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
        raise SegForgeError(f"{path} is damaged, or no checkpoint: {reason}. {remedy}") from error
    if needed:
        raise SegForgeError(
            f"{path} is refused: reading it would need {', '.join(sorted(needed))}, which may run code. Only numbers and "
            f"tensors are read. {remedy}"
        )
    if not isinstance(content, Mapping):
        raise SegForgeError(f"{path} is no checkpoint: it holds a {type(content).__name__}. {remedy}")
    return content


def tensors_by_name(weights: Mapping[Any, Any], path: Path, remedy: str) -> dict[str, Tensor]:
    """Weights without the prefixes that compiled and distributed networks give their names.

    Raises:
        SegForgeError: If one is no tensor, or is there twice.
    """
    found: dict[str, Tensor] = {}
    for key, tensor in weights.items():
        if not isinstance(key, str) or not isinstance(tensor, Tensor):
            raise SegForgeError(f"{path}: {key}, one of its weights, is no tensor. {remedy}")
        name = key
        while prefix := next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None):
            name = name.removeprefix(prefix)
        if name in found:
            raise SegForgeError(f"{path} is refused: it holds the weights {name} twice, once with a prefix. {remedy}")
        found[name] = tensor
    return found


def _refuse_other_containers(path: Path, remedy: str) -> None:
    """Torch's zip files hold everything uncompressed, so that reading one takes no more than its size."""
    try:
        with zipfile.ZipFile(path) as file:
            entries = file.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise SegForgeError(f"{path} is damaged, or no checkpoint of torch's (a zip file): {error}. {remedy}") from error
    compressed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    if compressed or sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise SegForgeError(f"{path} is refused: it holds compressed parts, which torch never writes. {remedy}")
    if len({entry.filename for entry in entries}) < len(entries):
        raise SegForgeError(f"{path} is refused: it holds the same part twice. {remedy}")
