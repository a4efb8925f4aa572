"""Checkpoints as safetensors: weights, optimizer state, and everything else as JSON in the header."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from segforge.compute.documents import Document, NanFloat, without_nan
from segforge.compute.files import write_bytes
from segforge.errors import SegForgeError
from segforge.planning.architecture import ArchitectureSpec

_HEADER = "segforge"  # the only key: safetensors writes several in random order
_NETWORK = "network."
_OPTIMIZER = "optimizer."

_REMEDY = "Copy it again, or train the fold anew with --restart."


class CheckpointFacts(Document):
    """What a checkpoint says of itself.

    Attributes:
        version: Version of this schema.
        configuration: Name of the configuration.
        fold: Fold number, or `all`.
        architecture: The network.
        epoch: Completed epochs.
        losses: Losses of the training steps that were done in the epoch after those.
        record: What the history says of the last completed epoch, in a checkpoint made at its end.
        ema: Moving average of the pseudo-Dice, NaN before the first epoch.
        best_ema: The highest so far.
        mirror_axes: Spatial axes that were mirrored in training, and may be in prediction.
        threads: CPU threads of the training; with the same number a resumed run gives the same bytes.
        course: How long the training goes on and at which learning rates, where the settings' epochs do not say it.
    """

    version: Literal[1] = 1
    configuration: str
    fold: str
    architecture: ArchitectureSpec
    epoch: int
    losses: tuple[float, ...] = ()
    record: dict[str, Any] | None = None
    ema: NanFloat
    best_ema: NanFloat
    mirror_axes: tuple[int, ...]
    threads: int
    course: dict[str, Any] | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A training's state: weights by name, optimizer tensors by name, facts."""

    weights: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    facts: CheckpointFacts


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole and flushed to disk."""
    tensors = {_NETWORK + name: tensor for name, tensor in checkpoint.weights.items()}
    tensors |= {_OPTIMIZER + name: tensor for name, tensor in checkpoint.optimizer.items()}
    tensors = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    facts = json.dumps(without_nan(checkpoint.facts.model_dump(mode="json")))
    header = json.dumps({"facts": facts, "digest": _digest(tensors, facts)})
    write_bytes(path, save(tensors, {_HEADER: header}), durable=True)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint onto the CPU and compare its hash.

    Raises:
        SegForgeError: If the file is missing, damaged, or not SegForge's.
    """
    if not path.is_file():
        raise SegForgeError(f"{path} is missing.")
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})[_HEADER])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, no mapping
        facts, digest = header["facts"], header["digest"]
    except KeyError as error:
        raise SegForgeError(
            f"{path} is not a checkpoint of SegForge. Choose one, such as fold_0/checkpoint_final.safetensors of a model."
        ) from error
    except Exception as error:
        raise SegForgeError(f"{path} is damaged: {error}. {_REMEDY}") from error
    if _digest(tensors, facts) != digest:
        raise SegForgeError(f"{path} is damaged: its content does not fit its hash. {_REMEDY}")
    return Checkpoint(
        weights={name.removeprefix(_NETWORK): tensor for name, tensor in tensors.items() if name.startswith(_NETWORK)},
        optimizer={name.removeprefix(_OPTIMIZER): tensor for name, tensor in tensors.items() if name.startswith(_OPTIMIZER)},
        facts=CheckpointFacts.parse(json.loads(facts), str(path)),
    )


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Copy weights into a network that has exactly these names and shapes.

    Raises:
        SegForgeError: If a name or shape differs, or a weight is not finite.
    """
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip().rstrip(".")
        raise SegForgeError(f"The weights in {source} do not fit the network: {reason}. {_REMEDY}") from error
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise SegForgeError(f"The weights {name} in {source} hold NaN or infinity. {_REMEDY}")


def _digest(tensors: Mapping[str, Tensor], facts: str) -> str:
    digest = hashlib.blake2b(facts.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
