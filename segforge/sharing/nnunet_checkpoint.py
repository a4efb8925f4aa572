"""nnU-Net's checkpoints, `.pth`, read without running anything in them, and written; nothing else (un)pickles."""

import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segforge.compute.files import whole_file
from segforge.errors import SegForgeError

HARMLESS = (np.dtype, np._core.multiarray.scalar, np.dtypes.Float32DType, np.dtypes.Float64DType)  # type: ignore[attr-defined]
"""Beside tensors and plain values, all that nnU-Net's checkpoints need: single numbers of NumPy's."""

CHECKPOINTS = {"final": "checkpoint_final.pth", "best": "checkpoint_best.pth", "latest": "checkpoint_latest.pth"}
"""nnU-Net's file names of its checkpoints."""

_REMEDY = "Get it again from where it came from, or save it with nnU-Net 2."
_PREFIXES = ("_orig_mod.", "module.")


@dataclass(frozen=True)
class NnunetCheckpoint:
    """What SegForge takes from a checkpoint of nnU-Net's.

    Attributes:
        weights: By nnU-Net's names, without the prefixes of compiled or distributed networks.
        configuration: Name of the configuration.
        trainer: Name of the trainer's class.
        mirror_axes: Spatial axes that may be mirrored in prediction.
        epoch: Completed epochs.
        ema: Moving average of the pseudo-Dice, NaN if it is not told.
        best_ema: The highest so far.
    """

    weights: Mapping[str, Tensor]
    configuration: str
    trainer: str
    mirror_axes: tuple[int, ...]
    epoch: int
    ema: float
    best_ema: float


def read_nnunet_checkpoint(path: Path) -> NnunetCheckpoint:
    """Read a checkpoint of nnU-Net's; nothing that it names is imported or called.

    Raises:
        SegForgeError: If it is missing, damaged, needs other types than a fixed list of harmless ones, or lacks something.
    """
    content = _unpickled(path)
    weights = content.get("network_weights")
    arguments = content.get("init_args")
    if not isinstance(weights, Mapping) or not isinstance(arguments, Mapping):
        raise SegForgeError(f"{path} is no checkpoint of nnU-Net 2: it has no network_weights or no init_args. {_REMEDY}")
    best = content.get("_best_ema")
    return NnunetCheckpoint(
        weights=_without_prefixes(weights, path),
        configuration=_word(arguments.get("configuration"), "init_args.configuration", path),
        trainer=_word(content.get("trainer_name", "nnUNetTrainer"), "trainer_name", path),
        mirror_axes=_axes(content.get("inference_allowed_mirroring_axes"), path),
        epoch=_count(content.get("current_epoch", 0), path),
        ema=_last(content.get("logging")),
        best_ema=_number(best),
    )


def write_nnunet_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write a checkpoint that nnU-Net reads: tensors and plain values."""
    with whole_file(path, durable=True) as temporary:
        torch.save(dict(content), temporary)


def _unpickled(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise SegForgeError(f"{path} is missing.")
    _refuse_other_containers(path)
    try:
        with torch.serialization.safe_globals(list(HARMLESS)):
            needed = torch.serialization.get_unsafe_globals_in_checkpoint(path)
            content = {} if needed else torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:
        raise SegForgeError(f"{path} is damaged, or no checkpoint: {str(error).splitlines()[0]} {_REMEDY}") from error
    if needed:
        raise SegForgeError(
            f"{path} is refused: reading it would need {', '.join(sorted(needed))}, which may run code. Only numbers and "
            f"tensors are read. {_REMEDY}"
        )
    if not isinstance(content, Mapping):
        raise SegForgeError(f"{path} is no checkpoint of nnU-Net: it holds a {type(content).__name__}. {_REMEDY}")
    return content


def _refuse_other_containers(path: Path) -> None:
    """Torch's zip files hold everything uncompressed, so that reading one takes no more than its size."""
    try:
        with zipfile.ZipFile(path) as file:
            entries = file.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise SegForgeError(f"{path} is damaged, or no checkpoint of nnU-Net 2 (a zip file): {error}. {_REMEDY}") from error
    compressed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    if compressed or sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise SegForgeError(f"{path} is refused: it holds compressed parts, which torch never writes. {_REMEDY}")
    if len({entry.filename for entry in entries}) < len(entries):
        raise SegForgeError(f"{path} is refused: it holds the same part twice. {_REMEDY}")


def _without_prefixes(weights: Mapping[Any, Any], path: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for key, tensor in weights.items():
        if not isinstance(key, str) or not isinstance(tensor, Tensor):
            raise SegForgeError(f"{path}: network_weights.{key} is no tensor. {_REMEDY}")
        name = key
        while prefix := next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None):
            name = name.removeprefix(prefix)
        if name in found:
            raise SegForgeError(f"{path} is refused: it holds the weights {name} twice, once with a prefix. {_REMEDY}")
        found[name] = tensor
    return found


def _word(value: Any, field: str, path: Path) -> str:
    if not isinstance(value, str):
        raise SegForgeError(f"{path}: {field} is {value!r}, not a name. {_REMEDY}")
    return value


def _axes(value: Any, path: Path) -> tuple[int, ...]:
    axes = tuple(value) if isinstance(value, (list, tuple)) else () if value is None else None
    if axes is None or any(axis not in (0, 1, 2) for axis in axes) or len(set(axes)) < len(axes):
        raise SegForgeError(f"{path}: inference_allowed_mirroring_axes is {value!r}, not a list of axes. {_REMEDY}")
    return axes


def _count(value: Any, path: Path) -> int:
    if not isinstance(value, int) or value < 0:
        raise SegForgeError(f"{path}: current_epoch is {value!r}, not a number of epochs. {_REMEDY}")
    return value


def _last(logging: Any) -> float:
    values = logging.get("ema_fg_dice") if isinstance(logging, Mapping) else None
    return _number(values[-1]) if isinstance(values, (list, tuple)) and values else math.nan


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float, np.floating)) else math.nan
