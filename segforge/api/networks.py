"""What networks cost, and which one a file of weights has, for `segforge plan`; torch is imported only where it is needed."""

from pathlib import Path

from pydantic import JsonValue

from segforge.errors import SegForgeError
from segforge.planning import cost
from segforge.planning.cost import Cost
from segforge.planning.plans import Configuration


def cost_of(configuration: Configuration) -> Cost:
    """Parameters, memory and operations of a configuration.

    Raises:
        SegForgeError: If its network is of a package that is not installed, or does not take its patch.
    """
    if configuration.architecture.has_stages:
        return cost.cost_of(configuration)
    from segforge.networks import measuring

    return measuring.cost_of(configuration)


def network_of(checkpoint: Path) -> tuple[str, dict[str, JsonValue]]:
    """Name and arguments of the network of a checkpoint, to plan with it.

    Raises:
        SegForgeError: If the file is missing or damaged, or holds one of SegForge's own networks.
    """
    from segforge.networks.checkpoint import load_checkpoint

    spec = load_checkpoint(checkpoint).facts.architecture
    if spec.has_stages:
        raise SegForgeError(f"{checkpoint} holds a {spec.network}, which a planner makes. Take its plans with --import.")
    return spec.network, spec.arguments
