"""The planner of the method with a network of MONAI's in the place of the U-Net."""

import logging
import math
from collections.abc import Sequence

from segforge.errors import SegForgeError
from segforge.networks import measuring
from segforge.networks.monai_network import HAVE_DEEP_SUPERVISION, for_patch
from segforge.planning.architecture import MONAI, ArchitectureSpec
from segforge.planning.drafts import Subject
from segforge.planning.planner import Planner
from segforge.planning.settings import PlannerSettings
from segforge.planning.spacing import Vector
from segforge.planning.topology import Topology

log = logging.getLogger(__name__)

_SMALLEST_STEP = 8


class MonaiPlanner(Planner):
    """Plans patch and batch for a network of MONAI's by passes without values: what divides the patch, and what it keeps."""

    def __init__(self, settings: PlannerSettings) -> None:
        """Prepare.

        Raises:
            SegForgeError: If there is no such network or planner, or MONAI is not installed.
        """
        super().__init__(settings)
        assert settings.network is not None
        self.network = settings.network
        self.name = settings.name or self.network.removeprefix(MONAI).lower()

    def dimensions(self, subject: Subject) -> tuple[int, ...]:
        """Those in which the network can be made with its arguments; says which configurations are left out.

        Raises:
            SegForgeError: If that leaves none.
        """
        possible, reasons = [], []
        for dimensions in super().dimensions(subject):
            try:
                measuring.divisor(self.spec(dimensions))
                possible.append(dimensions)
            except SegForgeError as error:
                reasons.append(error)
        if not possible:
            raise reasons[-1]
        for reason in reasons:
            log.warning("Some configurations are left out: %s", reason)
        return tuple(possible)

    def topology(self, spacing: Vector, patch_size: Sequence[float]) -> Topology:
        """A patch that the network takes; one that nobody asked for shrinks in larger steps than some networks need."""
        spec, given = self.spec(len(spacing)), self.settings.patch_size
        step = measuring.divisor(spec)
        if given is None or len(given) != len(spacing):
            step = tuple(math.lcm(each, _SMALLEST_STEP) for each in step)
        return Topology(measuring.padded(spec, tuple(patch_size), step), step, (), ())

    def architecture(self, subject: Subject, topology: Topology) -> ArchitectureSpec:
        """The network for a patch."""
        spec = self.spec(len(topology.patch_size), len(subject.normalization), subject.heads)
        return for_patch(spec, topology.patch_size)

    def memory_estimate(self, subject: Subject, topology: Topology) -> int:
        """Memory that training takes for one patch, measured in the units of the budget."""
        return measuring.kept_values(self.architecture(subject, topology), topology.patch_size)

    def spec(self, dimensions: int, input_channels: int = 1, output_channels: int = 2) -> ArchitectureSpec:
        """The network in two or three dimensions, for patches of any size."""
        return ArchitectureSpec.parse(
            {
                "network": self.network,
                "dimensions": dimensions,
                "input_channels": input_channels,
                "output_channels": output_channels,
                "arguments": dict(self.settings.network_arguments),
                "deep_supervision": self.network.removeprefix(MONAI) in HAVE_DEEP_SUPERVISION,
            },
            "The network",
        )
