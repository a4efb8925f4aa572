"""Weights of another training -> the network to begin with."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from segforge.errors import SegForgeError
from segforge.networks.checkpoint import load_weights

log = logging.getLogger(__name__)

_HEADS = "heads."
_SHOWN = 6


@dataclass(frozen=True)
class StartingWeights:
    """Weights to begin with.

    Attributes:
        source: Where they come from, for messages.
        weights: By name.
        adapt_channels: Whether the first layer may be made to fit another number of input channels.
    """

    source: str
    weights: Mapping[str, Tensor]
    adapt_channels: bool = False


def adopt(network: nn.Module, start: StartingWeights) -> None:
    """Copy weights into a fresh network and say what was loaded, adapted and left fresh: heads that differ are fresh.

    Raises:
        SegForgeError: If anything but a head is missing, left over or of another shape, or a weight is not finite.
    """
    own = network.state_dict()
    adapted = _adapted(own, start)
    theirs = {**start.weights, **adapted}
    differing = [name for name in dict.fromkeys((*own, *theirs)) if _shape(own, name) != _shape(theirs, name)]
    if others := [name for name in differing if not name.startswith(_HEADS)]:
        raise SegForgeError(
            f"The weights in {start.source} are of another network: {others[0]} is {_shape(start.weights, others[0])} there "
            f"and {_shape(own, others[0])} here ({len(others)} differ). {_remedy(own, start, others)}"
        )
    loaded = [name for name in own if name not in differing and name not in adapted]
    load_weights(network, own | {name: theirs[name] for name in (*loaded, *adapted)}, start.source)
    fresh = [f"{name} {_shape(own, name)}" for name in differing if name in own]
    changed = [f"{name} {_shape(start.weights, name)} to {_shape(own, name)}" for name in adapted]
    numbers = sum(own[name].numel() for name in loaded)
    rows = [
        f"loaded: {len(loaded)} of {len(own)} weights, {numbers:,} numbers",
        *_row("adapted", changed),
        *_row("fresh", fresh),
    ]
    log.info("Begins with the weights in %s\n  %s", start.source, "\n  ".join(rows))


def _adapted(own: Mapping[str, Tensor], start: StartingWeights) -> dict[str, Tensor]:
    """The first layer for another number of channels: averaged for fewer, repeated in turn for more.

    What a sum of channels is multiplied by does not matter, as a normalization follows.
    """
    first = next(iter(own))
    if not start.adapt_channels or not _differs_in_channels(own, start.weights, first):
        return {}
    theirs, count = start.weights[first], own[first].shape[1]
    if count < theirs.shape[1]:
        return {first: theirs.mean(1, keepdim=True).repeat_interleave(count, 1)}
    return {first: theirs[:, torch.arange(count) % theirs.shape[1]]}


def _differs_in_channels(own: Mapping[str, Tensor], theirs: Mapping[str, Tensor], name: str) -> bool:
    """Whether a convolution has another number of input channels, and all else as it is."""
    if name not in theirs or theirs[name].ndim != own[name].ndim or own[name].ndim < 2:
        return False
    here, there = own[name].shape, theirs[name].shape
    return here[1] != there[1] and (here[0], here[2:]) == (there[0], there[2:])


def _remedy(own: Mapping[str, Tensor], start: StartingWeights, others: Sequence[str]) -> str:
    if others == [next(iter(own))] and _differs_in_channels(own, start.weights, others[0]):
        return "For another number of input channels: --adapt-channels."
    return "Plan and train with the same architecture and channels; segforge plan --move-from takes plans over."


def _row(what: str, names: Sequence[str]) -> list[str]:
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [f"{what}: {', '.join(names[:_SHOWN])}{more}"] if names else []


def _shape(weights: Mapping[str, Tensor], name: str) -> str:
    return "x".join(map(str, weights[name].shape)) or "a number" if name in weights else "missing"
