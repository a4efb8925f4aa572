"""Weights of another training -> the network to begin with."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from segforge.errors import SegForgeError
from segforge.networks.build import build_on_meta
from segforge.networks.checkpoint import load_weights
from segforge.planning.architecture import MONAI, ArchitectureSpec

log = logging.getLogger(__name__)

_SHOWN = 6


@dataclass(frozen=True)
class StartingWeights:
    """Weights to begin with.

    Attributes:
        source: Where they come from, for messages.
        weights: By name.
        adapt_channels: Whether the first layers may be made to fit another number of input channels.
    """

    source: str
    weights: Mapping[str, Tensor]
    adapt_channels: bool = False


def adopt(network: nn.Module, spec: ArchitectureSpec, start: StartingWeights) -> None:
    """Copy weights into a fresh network and say what was loaded, adapted and left fresh.

    Heads that differ in number are fresh, except for fewer heads of MONAI's networks with `adapt_channels`: each is the mean
    of those that were trained.

    Args:
        network: The network.
        spec: What it was built from.
        start: The weights.

    Raises:
        SegForgeError: If anything but a head is missing, left over or of another shape, or a weight is not finite.
    """
    own = network.state_dict()
    heads = _changed_by(spec.model_copy(update={"deep_supervision": True}), "output_channels")
    first = [name for name in _changed_by(spec, "input_channels") if _differs_in_channels(own, start.weights, name)]
    adapted = {name: _adapted(start.weights[name], own[name].shape[1]) for name in first} if start.adapt_channels else {}
    if start.adapt_channels and spec.network.startswith(MONAI):
        adapted |= _averaged({name: (start.weights[name], own[name]) for name in heads if name in start.weights})
    theirs = {**start.weights, **adapted}
    differing = [name for name in dict.fromkeys((*own, *theirs)) if _shape(own, name) != _shape(theirs, name)]
    if others := [name for name in differing if name not in heads]:
        raise SegForgeError(
            f"The weights in {start.source} are of another network: {others[0]} is {_shape(start.weights, others[0])} there "
            f"and {_shape(own, others[0])} here ({len(others)} differ). {_remedy(others, first)}"
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


def _changed_by(spec: ArchitectureSpec, field: str) -> list[str]:
    """Names of the weights whose shape depends on a field that is a number: the heads, or the first layers."""
    more = spec.model_copy(update={field: getattr(spec, field) + 1})
    now, then = (build_on_meta(each).state_dict() for each in (spec, more))
    return [name for name in now if now[name].shape != then[name].shape]


def _adapted(weights: Tensor, channels: int) -> Tensor:
    """A first layer for another number of channels: averaged for fewer, repeated in turn for more.

    What a sum of channels is multiplied by does not matter, as a normalization follows.
    """
    if channels < weights.shape[1]:
        return weights.mean(1, keepdim=True).repeat_interleave(channels, 1)
    return weights[:, torch.arange(channels) % weights.shape[1]]


def _averaged(heads: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """Of heads, theirs and ours, those that are fewer here: their mean, as often as it is needed."""
    averaged = {}
    for name, (theirs, own) in heads.items():
        if theirs.ndim != own.ndim:
            continue
        differing = [axis for axis in range(own.ndim) if theirs.shape[axis] != own.shape[axis]]
        if len(differing) == 1 and own.shape[differing[0]] < theirs.shape[differing[0]]:
            averaged[name] = theirs.mean(differing[0], keepdim=True).expand(own.shape).clone()
    return averaged


def _differs_in_channels(own: Mapping[str, Tensor], theirs: Mapping[str, Tensor], name: str) -> bool:
    """Whether a convolution has another number of input channels, and all else as it is."""
    if name not in theirs or theirs[name].ndim != own[name].ndim or own[name].ndim < 2:
        return False
    here, there = own[name].shape, theirs[name].shape
    return here[1] != there[1] and (here[0], here[2:]) == (there[0], there[2:])


def _remedy(others: Sequence[str], first: Sequence[str]) -> str:
    if set(others) <= set(first):
        return "For another number of input channels: --adapt-channels."
    return "Plan and train with the same architecture and channels; segforge plan --move-from takes plans over."


def _row(what: str, names: Sequence[str]) -> list[str]:
    more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [f"{what}: {', '.join(names[:_SHOWN])}{more}"] if names else []


def _shape(weights: Mapping[str, Tensor], name: str) -> str:
    return "x".join(map(str, weights[name].shape)) or "a number" if name in weights else "missing"
