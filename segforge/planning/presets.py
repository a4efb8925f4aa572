"""The name of a planner -> its reference numbers: the network, and the estimate that fills a graphics card with it."""

from dataclasses import dataclass

from segforge.errors import SegForgeError, did_you_mean
from segforge.planning.memory import PLAIN, RESIDUAL

SMALLEST_BATCH = 2


@dataclass(frozen=True)
class Budget:
    """What one training step may use.

    Attributes:
        estimate: The memory estimate of one patch that fills the card at `batch_size`.
        batch_size: Patches of the reference batch.
    """

    estimate: float
    batch_size: int

    def holds(self, estimate: int, batch_size: int) -> bool:
        """Whether a batch of patches with that estimate fits."""
        return estimate * batch_size / self.batch_size <= self.estimate


@dataclass(frozen=True)
class Preset:
    """Reference numbers of a planner (METHOD section 3, references).

    Attributes:
        name: Its name, and that of its plans unless the user gives one.
        network: Registry name of the network.
        gpu_memory: Memory in GB that the budgets belong to.
        budget_2d: Budget of 2D configurations.
        budget_3d: Budget of 3D configurations.
        encoder_blocks: Convolutions or residual blocks of the encoder stages; the last entry repeats.
        decoder_convolutions: Convolutions of every decoder stage.
        fits_reference_batch: Whether the patch must fit with the reference batch, not just with the smallest.
        data_share: Largest share of the data set's voxels in one batch.
        base_features: Channels of the first stage.
    """

    name: str
    network: str
    gpu_memory: float
    budget_2d: Budget
    budget_3d: Budget
    encoder_blocks: tuple[int, ...]
    decoder_convolutions: int
    fits_reference_batch: bool
    data_share: float
    base_features: int = 32

    def budget(self, dimensions: int, gpu_memory: float) -> Budget:
        """The budget on a card with `gpu_memory` GB."""
        reference = self.budget_2d if dimensions == 2 else self.budget_3d
        return Budget(reference.estimate * (gpu_memory / self.gpu_memory), reference.batch_size)


def _residual(size: str, gpu_memory: float, estimate_2d: float, estimate_3d: float) -> Preset:
    return Preset(
        name=f"resenc-{size}",
        network=RESIDUAL,
        gpu_memory=gpu_memory,
        budget_2d=Budget(estimate_2d, 12),
        budget_3d=Budget(estimate_3d, 2),
        encoder_blocks=(1, 3, 4, 6),
        decoder_convolutions=1,
        fits_reference_batch=True,
        data_share=1.0,
    )


DEFAULT = Preset(
    name="default",
    network=PLAIN,
    gpu_memory=8.0,
    budget_2d=Budget(8.5e7, 12),
    budget_3d=Budget(5.6e8, 2),
    encoder_blocks=(2,),
    decoder_convolutions=2,
    fits_reference_batch=False,
    data_share=0.05,
)

PRESETS = {
    preset.name: preset
    for preset in (
        DEFAULT,
        _residual("m", 8.0, 1.35e8, 6.8e8),
        _residual("l", 24.0, 3.8e8, 2.1e9),
        _residual("xl", 40.0, 5.6e8, 3.6e9),
    )
}

_NNUNET_NAMES = {
    "ExperimentPlanner": "default",
    "nnUNetPlannerResEncM": "resenc-m",
    "nnUNetPlannerResEncL": "resenc-l",
    "nnUNetPlannerResEncXL": "resenc-xl",
}


SPELLED_OTHERWISE = {
    "nnUNetPlanner_torchres": "--planner default --resampling linear",
    "nnUNetPlannerResEncL_torchres": "--planner resenc-l --resampling linear",
    "nnUNetPlannerResEncL_torchres_sepz": "--planner resenc-l --resampling linear",
    "nnUNetPlannerResEncL_noResampling": "--planner resenc-l --resampling none",
}
"""nnU-Net's planners that are a preset with another resampling, and the options that say so."""

PLANNER_NAMES = (*PRESETS, *_NNUNET_NAMES)
"""All names that `find_preset` knows."""


def find_preset(name: str) -> Preset:
    """The preset of that name, or of that name of an nnU-Net planner.

    Raises:
        SegForgeError: If there is none; names the nearest, and all.
    """
    if preset := PRESETS.get(_NNUNET_NAMES.get(name, name)):
        return preset
    if options := SPELLED_OTHERWISE.get(name):
        raise SegForgeError(f"The planner {name} is spelled: {options}.")
    raise SegForgeError(f"There is no planner {name}.{did_you_mean(name, PLANNER_NAMES)} Known are {', '.join(PLANNER_NAMES)}.")
