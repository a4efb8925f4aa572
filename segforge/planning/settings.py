"""What a user may decide about the plans instead of the planner."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import JsonValue

from segforge.compute.wording import numbers
from segforge.errors import SegForgeError
from segforge.planning.architecture import MONAI
from segforge.planning.plans import UNCHANGED, ImageType
from segforge.planning.presets import SMALLEST_BATCH
from segforge.workspace import checked_name

_MOST_BLOCKS = 100


@dataclass(frozen=True)
class PlannerSettings:
    """The options of `segforge plan`; what is None, the planner decides.

    Attributes:
        planner: Name of a preset, ours or nnU-Net's.
        gpu_memory: Memory in GB that a training may fill; None is the preset's.
        name: Name of the plans; None is the preset's name.
        features: Channels of the first stage.
        blocks: Convolutions or residual blocks of each encoder stage; the last entry repeats, entries
            beyond the last stage are left out.
        batch_size: Patches per training step, in all configurations.
        patch_size: In voxels, (z, y, x) in stored axis order for the 3D configurations, or (y, x) for 2d.
        spacing: Target spacing in mm, (z, y, x) in stored axis order.
        transpose: Whether the axis of largest spacing becomes the first.
        resampling: How cases are resampled to a common spacing: `spline`, `linear`, `none`, or the name of a plug-in.
        dtype: Type of the preprocessed images; float16 halves disk and reading, and rounds to three digits.
        network: A network of MONAI's, `monai:NAME`, instead of the planner's.
        network_arguments: Of its constructor, by name.

    Raises:
        SegForgeError: If a value cannot work for any data set; says what can.
    """

    planner: str = "default"
    gpu_memory: float | None = None
    name: str | None = None
    features: int | None = None
    blocks: tuple[int, ...] | None = None
    batch_size: int | None = None
    patch_size: tuple[int, ...] | None = None
    spacing: tuple[float, ...] | None = None
    transpose: bool = True
    resampling: str = "spline"
    dtype: ImageType = "float32"
    network: str | None = None
    network_arguments: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def changes_plans(self) -> bool:
        """Whether anything but the planner and the name is decided here."""
        return replace(self, planner="default", name=None) != PlannerSettings()

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_lists()
        self._check_network()
        if self.name is not None:
            checked_name(self.name, "plans' name")
        if self.spacing is not None and self.resampling == UNCHANGED:
            raise SegForgeError("A spacing has no effect where nothing is resampled: leave out --spacing or --resampling none.")

    def _check_numbers(self) -> None:
        if self.gpu_memory is not None and not 0 < self.gpu_memory < math.inf:
            raise SegForgeError(f"--gpu-memory {self.gpu_memory:g} must be a positive number of GB, such as 8.")
        if self.features is not None and self.features < 1:
            raise SegForgeError(f"--features {self.features} must be at least 1.")
        if self.batch_size is not None and self.batch_size < SMALLEST_BATCH:
            raise SegForgeError(
                f"--batch-size {self.batch_size} must be at least {SMALLEST_BATCH}: the last third of each batch is centred on "
                f"foreground, the rest is not. The nearest that works is {SMALLEST_BATCH}."
            )

    def _check_lists(self) -> None:
        if self.blocks is not None and not (self.blocks and all(1 <= count <= _MOST_BLOCKS for count in self.blocks)):
            raise SegForgeError(f"--blocks {numbers(self.blocks)} must be one or more numbers, each 1 to {_MOST_BLOCKS}.")
        if self.patch_size is not None and (len(self.patch_size) not in (2, 3) or min(self.patch_size) < 1):
            raise SegForgeError(
                f"--patch-size {numbers(self.patch_size)} must be z y x (3D) or y x (2D), each at least 1 voxel."
            )
        if self.spacing is not None and (len(self.spacing) != 3 or not all(0 < value < math.inf for value in self.spacing)):
            raise SegForgeError(f"--spacing {numbers(self.spacing)} must be z y x, each a positive number of mm.")

    def _check_network(self) -> None:
        if self.network is None:
            if self.network_arguments:
                raise SegForgeError(
                    "--network-arguments are for a network of MONAI's. Name it with --network monai:NAME, or leave them out."
                )
        elif not self.network.startswith(MONAI):
            raise SegForgeError(
                f"--network takes one of MONAI's, {MONAI}NAME; found {self.network}. A planner chooses SegForge's own, and a "
                "trainer asks for one of yours."
            )
        elif self.features is not None or self.blocks is not None:
            raise SegForgeError(
                f"--features and --blocks are for SegForge's own networks. {self.network} takes --network-arguments instead."
            )
