"""A planner of your own: half the channels, and patches that a network with windows of 16 voxels can divide.

Use it from the folder of this file, or any folder on PYTHONPATH:

    segforge plan -d 4 --planner custom_planner:WindowPlanner
"""

from dataclasses import replace

from segforge.planning.planner import Planner
from segforge.planning.presets import Preset, find_preset


class WindowPlanner(Planner):
    def choose_preset(self) -> Preset:
        """The default's reference numbers, under a name of its own, which the plans get too."""
        return replace(find_preset("default"), name="window", base_features=16)

    def divisible_by(self, dimensions: int) -> tuple[int, ...]:
        """What the network needs the patch to be divisible by, besides its strides."""
        return (16,) * dimensions
