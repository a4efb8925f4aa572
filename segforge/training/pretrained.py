"""Weights of another training -> the network to begin with."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from segforge.errors import SegForgeError
from segforge.networks.checkpoint import load_weights

log = logging.getLogger(__name__)

_HEADS = "heads."


@dataclass(frozen=True)
class StartingWeights:
    """Weights to begin with.

    Attributes:
        source: Where they come from, for messages.
        weights: By name.
    """

    source: str
    weights: Mapping[str, Tensor]


def adopt(network: nn.Module, start: StartingWeights) -> None:
    """Copy weights into a fresh network; heads that differ stay fresh, and that is said.

    Raises:
        SegForgeError: If anything but a head is missing, left over or of another shape, or a weight is not finite.
    """
    own = network.state_dict()
    differing = [name for name in dict.fromkeys((*own, *start.weights)) if _shape(own, name) != _shape(start.weights, name)]
    if others := [name for name in differing if not name.startswith(_HEADS)]:
        raise SegForgeError(
            f"The weights in {start.source} are of another network: {others[0]} is {_shape(start.weights, others[0])} there "
            f"and {_shape(own, others[0])} here ({len(others)} differ). Plan and train with the same architecture and "
            "channels; segforge plan --move-from takes plans over."
        )
    load_weights(network, own | {name: start.weights[name] for name in own if name not in differing}, start.source)
    fresh = [name for name in differing if name in own]
    log.info("Begins with the weights in %s%s.", start.source, f"; fresh are {', '.join(fresh)}" if fresh else "")


def _shape(weights: Mapping[str, Tensor], name: str) -> str:
    return "x".join(map(str, weights[name].shape)) or "a number" if name in weights else "missing"
