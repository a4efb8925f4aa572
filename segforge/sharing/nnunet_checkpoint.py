"""nnU-Net's checkpoints, `.pth`, read and written; nothing else pickles."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segforge.compute.files import whole_file
from segforge.errors import SegForgeError
from segforge.sharing.pth import read_pth, tensors_by_name

CHECKPOINTS = {"final": "checkpoint_final.pth", "best": "checkpoint_best.pth", "latest": "checkpoint_latest.pth"}
"""nnU-Net's file names of its checkpoints."""

_REMEDY = "Get it again from where it came from, or save it with nnU-Net 2."


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
    content = read_pth(path, _REMEDY)
    weights = content.get("network_weights")
    arguments = content.get("init_args")
    if not isinstance(weights, Mapping) or not isinstance(arguments, Mapping):
        raise SegForgeError(f"{path} is no checkpoint of nnU-Net 2: it has no network_weights or no init_args. {_REMEDY}")
    best = content.get("_best_ema")
    return NnunetCheckpoint(
        weights=tensors_by_name(weights, path, _REMEDY),
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
