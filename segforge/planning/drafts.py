"""What the planner hands from one decision to the next before it becomes plans."""

from dataclasses import dataclass

from segforge.planning.architecture import ArchitectureSpec
from segforge.planning.fitting import BatchSize, PatchFit
from segforge.planning.plans import NormalizationSpec, ResamplingSpec
from segforge.planning.presets import Budget
from segforge.planning.spacing import Grid, Vector, voxels

SLICES, FULL, LOW, CASCADE = "2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres"


@dataclass(frozen=True)
class Subject:
    """The data set as planning sees it.

    Attributes:
        grid: The grid that its cases are resampled to.
        channel_names: Of the image channels.
        kept_by_cropping: Median share of a case's voxels that lie inside its non-zero region.
        normalization: One entry per image channel.
        resampling: How its cases are resampled.
        cases: Number of training cases.
        heads: Number of segmentation heads.
        foreground_labels: Number of labels, without background and ignore; regions do not count.
        label_entries: Entries of `labels`: background, ignore and every region count.
    """

    grid: Grid
    channel_names: tuple[str, ...]
    kept_by_cropping: float
    normalization: tuple[NormalizationSpec, ...]
    resampling: ResamplingSpec
    cases: int
    heads: int
    foreground_labels: int
    label_entries: int

    @property
    def has_volumes(self) -> bool:
        """Whether there is a third axis to plan for: False for 2D images."""
        return self.grid.median_shape[0] != 1

    @property
    def voxels(self) -> float:
        """Voxels of all training cases at full resolution."""
        return voxels(self.grid.median_shape) * self.cases

    def has_data_of(self, other: "Subject") -> bool:
        """Whether preprocessing at full resolution makes the same files for both."""
        return (self.grid.spacing, self.grid.transpose, self.normalization, self.resampling) == (
            other.grid.spacing,
            other.grid.transpose,
            other.normalization,
            other.resampling,
        )


@dataclass(frozen=True)
class Draft:
    """What is decided for one configuration.

    Attributes:
        spacing: Target spacing in mm.
        median_shape: Median shape of the cases in voxels.
        wanted: The patch that planning began with, in voxels: as long in mm along each axis, or the user's.
        given: Whether that is the user's.
        fit: The patch made to fit on the card.
        fitted_batch: The batch that it was made to fit with.
        architecture: The network for it.
        budget: What a training step may use.
        batch: The batch size.
    """

    spacing: Vector
    median_shape: Vector
    wanted: Vector
    given: bool
    fit: PatchFit
    fitted_batch: int
    architecture: ArchitectureSpec
    budget: Budget
    batch: BatchSize

    @property
    def cover(self) -> float:
        """Share of the median case that a patch covers."""
        return voxels(self.fit.topology.patch_size) / voxels(self.median_shape)
