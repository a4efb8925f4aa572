"""A data set's fingerprint and description -> the plans of all its configurations, and why each number is what it is."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from segforge import plugins
from segforge.dataset.description import DatasetDescription
from segforge.errors import SegForgeError
from segforge.planning import memory, overrides
from segforge.planning.architecture import ArchitectureSpec, Axes
from segforge.planning.drafts import CASCADE, FULL, LOW, SLICES, Draft, Subject
from segforge.planning.explanation import explain
from segforge.planning.fingerprint import Fingerprint
from segforge.planning.fitting import BatchSize, PatchFit, clipped, fit_batch, fit_patch, initial_patch
from segforge.planning.low_resolution import LowResolution, search_low_resolution
from segforge.planning.network import network_spec, stage_features, with_previous_stage
from segforge.planning.normalization import plan_normalization
from segforge.planning.plans import UNCHANGED, Configuration, NormalizationSpec, Plans, ResamplingSpec
from segforge.planning.presets import DEFAULT, PLANNER_NAMES, SMALLEST_BATCH, SPELLED_OTHERWISE, Budget, Preset, find_preset
from segforge.planning.settings import PlannerSettings
from segforge.planning.spacing import (
    Floats,
    TargetSpacing,
    Vector,
    plan_grid,
    target_spacing,
    transpose_order,
    transposed,
    voxels,
    whole,
)
from segforge.planning.topology import Topology, plan_topology

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Planned:
    """Plans, and why each number in them is what it is, as Markdown for `plans/NAME.md`."""

    plans: Plans
    explanation: str


def make_planner(settings: PlannerSettings) -> "Planner":
    """The planner that the settings name: a preset's, a plug-in's, or `PACKAGE:CLASS` where a user typed that.

    Raises:
        SegForgeError: If there is none of that name; gives the nearest.
    """
    ours = dict.fromkeys((*PLANNER_NAMES, *SPELLED_OTHERWISE), "segforge.planning.planner:Planner")
    kind = plugins.find("planners", settings.planner, ours, allow_path=True)
    if not (isinstance(kind, type) and issubclass(kind, Planner)):
        raise SegForgeError(f"{settings.planner} is no planner: it must be a subclass of segforge.planning.planner.Planner.")
    return kind(settings)


class Planner:
    """Plans an experiment by METHOD section 3; each decision is a method that a subclass may replace."""

    def __init__(self, settings: PlannerSettings | None = None) -> None:
        self.settings = settings or PlannerSettings()
        self.preset = self.choose_preset()
        self.gpu_memory = self.settings.gpu_memory or self.preset.gpu_memory
        self.name = self.settings.name or self.preset.name

    def plan(self, fingerprint: Fingerprint, description: DatasetDescription, dataset_name: str) -> Planned:
        """Decide everything.

        Raises:
            SegForgeError: If fingerprint and description contradict each other, or the user's settings cannot work for
                this data set; says why and names the nearest that can.
        """
        overrides.check_data(fingerprint, description)
        overrides.check_spacing(self.settings.spacing, fingerprint)
        subject = self.examine(fingerprint, description)
        overrides.check_for_subject(self.settings, subject)
        drafts, low = self.drafts(subject)
        for name, draft in drafts.items():
            if not draft.fit.fits:
                log.warning(
                    "%s: no patch fits into %g GB; the smallest is planned. Give more --gpu-memory.", name, self.gpu_memory
                )
        shared = subject.has_data_of(Planner().examine(fingerprint, description))
        target, order = subject.grid.target, subject.grid.transpose
        plans = Plans(
            name=self.name,
            dataset=dataset_name,
            planner=self.preset.name,
            gpu_memory=self.gpu_memory,
            transpose_forward=order,
            original_median_spacing=transposed(target.median_spacing, order),
            original_median_shape=transposed([round(size) for size in target.median_shape], order),
            intensities=fingerprint.intensities,
            configurations={name: self.configuration(name, drafts, subject, shared=shared) for name in drafts},
        )
        return Planned(plans, explain(plans, subject, drafts, low))

    def choose_preset(self) -> Preset:
        """Reference numbers of the network and the graphics card."""
        return find_preset(self.settings.planner)

    def examine(self, fingerprint: Fingerprint, description: DatasetDescription) -> Subject:
        """What the configurations are planned from."""
        labels = description.label_scheme
        spacings, shapes = np.array(fingerprint.spacings, np.float64), np.array(fingerprint.shapes_after_crop, np.float64)
        target = self.target_spacing(spacings, shapes)
        resampling = self.resampling()
        return Subject(
            grid=plan_grid(target, self.axis_order(target), spacings, shapes, resampled=resampling.enabled),
            channel_names=description.channels,
            kept_by_cropping=fingerprint.median_relative_size_after_cropping,
            normalization=self.normalization(fingerprint, description),
            resampling=resampling,
            cases=description.num_training,
            heads=labels.heads,
            foreground_labels=labels.classes - 1,
            label_entries=len(description.labels),
        )

    def target_spacing(self, spacings: Floats, shapes: Floats) -> TargetSpacing:
        """Spacing of the full resolution, from spacing and shape of each case, `(cases, 3)` in stored axis order."""
        target = target_spacing(spacings, shapes, self.settings.spacing)
        return (
            target
            if self.settings.resampling != UNCHANGED
            else replace(target, spacing=target.median_spacing, anisotropic=False)
        )

    def axis_order(self, target: TargetSpacing) -> tuple[int, int, int]:
        """The order that the stored axes are brought to."""
        return transpose_order(target.spacing) if self.settings.transpose else (0, 1, 2)

    def normalization(self, fingerprint: Fingerprint, description: DatasetDescription) -> tuple[NormalizationSpec, ...]:
        """One normalization per image channel."""
        return plan_normalization(description, fingerprint.median_relative_size_after_cropping)

    def resampling(self) -> ResamplingSpec:
        """How cases are brought to the target spacing."""
        if self.settings.resampling == "linear":
            return ResamplingSpec(image_order=1)
        return ResamplingSpec(method=self.settings.resampling)

    def drafts(self, subject: Subject) -> tuple[dict[str, Draft], LowResolution | None]:
        """All configurations by name, and the decision on a low resolution; 2D images have neither that nor 3D."""
        grid = subject.grid
        drafts, dimensions = dict[str, Draft](), self.dimensions(subject)
        if 2 in dimensions:
            drafts[SLICES] = self.draft(subject, grid.spacing[1:], grid.median_shape[1:], subject.voxels)
            self.check(SLICES, drafts[SLICES], subject)
        if 3 not in dimensions:
            return drafts, None
        drafts[FULL] = full = self.draft(subject, grid.spacing, grid.median_shape, subject.voxels)
        self.check(FULL, full, subject)
        low = self.low_resolution(subject, full)
        return drafts | ({LOW: low.draft, CASCADE: full} if low.draft else {}), low

    def dimensions(self, subject: Subject) -> tuple[int, ...]:
        """Of the configurations: 2 and 3, but for 2D images."""
        return (2, 3) if subject.has_volumes else (2,)

    def check(self, name: str, draft: Draft, subject: Subject) -> None:
        """Refuse a draft that is not what the user asked for."""
        overrides.check_draft(
            name, draft, self.settings, subject, lambda patch: self.fit(subject, draft.spacing, draft.median_shape, patch)
        )

    def low_resolution(self, subject: Subject, full: Draft) -> LowResolution:
        """Whether a low resolution is worth it, and its configuration."""
        if not subject.resampling.enabled:
            return LowResolution(None, full.cover, gain=1.0, steps=0)
        return search_low_resolution(
            subject.grid,
            full,
            lambda spacing, shape: self.draft(subject, spacing, whole(shape), voxels(shape) * subject.cases),
        )

    def draft(self, subject: Subject, spacing: Vector, median_shape: Vector, total_voxels: float) -> Draft:
        """Patch, network and batch size for a spacing.

        Args:
            subject: The data set.
            spacing: In mm.
            median_shape: Median shape of the cases at that spacing, in voxels.
            total_voxels: Voxels of all training cases at that spacing.
        """
        given = overrides.given_patch(self.settings.patch_size, subject.grid.transpose, len(spacing))
        wanted = given or self.initial_patch(spacing, median_shape)
        fit = self.fit(subject, spacing, median_shape, wanted)
        return Draft(
            spacing=spacing,
            median_shape=median_shape,
            wanted=wanted,
            given=given is not None,
            fit=fit,
            fitted_batch=self.fitted_batch(len(spacing)),
            architecture=self.architecture(subject, fit.topology),
            budget=self.budget(len(spacing)),
            batch=self.batch_size(fit, total_voxels),
        )

    def initial_patch(self, spacing: Vector, median_shape: Vector) -> Vector:
        """The patch that shrinking starts from, in voxels."""
        return clipped(initial_patch(spacing), median_shape)

    def fit(self, subject: Subject, spacing: Vector, median_shape: Vector, patch_size: Sequence[float]) -> PatchFit:
        """Make a patch fit on the card."""
        budget, batch_size = self.budget(len(spacing)), self.fitted_batch(len(spacing))
        return fit_patch(
            patch_size,
            median_shape,
            topology_of=lambda patch: self.topology(spacing, patch),
            estimate_of=lambda topology: self.memory_estimate(subject, topology),
            fits=lambda estimate: budget.holds(estimate, batch_size),
        )

    def topology(self, spacing: Vector, patch_size: Sequence[float]) -> Topology:
        """How the network goes down from a patch, which is padded for that."""
        return plan_topology(spacing, patch_size, self.divisible_by(len(spacing)))

    def budget(self, dimensions: int) -> Budget:
        """What a training step of a 2D or 3D configuration may use."""
        return self.preset.budget(dimensions, self.gpu_memory)

    def fitted_batch(self, dimensions: int) -> int:
        """The batch that a patch must fit with."""
        asked_for_patch = self.settings.patch_size is not None and len(self.settings.patch_size) == dimensions
        if self.settings.batch_size or asked_for_patch or not self.preset.fits_reference_batch:
            return self.settings.batch_size or SMALLEST_BATCH
        return self.budget(dimensions).batch_size

    def divisible_by(self, dimensions: int) -> Axes:
        """What the network needs the patch to be divisible by, besides its strides."""
        return (1,) * dimensions

    def architecture(self, subject: Subject, topology: Topology) -> ArchitectureSpec:
        """The network for a topology."""
        first = self.settings.features or self.preset.base_features
        return network_spec(
            self.preset.network,
            topology,
            input_channels=len(subject.normalization),
            output_channels=subject.heads,
            features=stage_features(first, len(topology.strides), len(topology.patch_size)),
            blocks=self.settings.blocks or self.preset.encoder_blocks,
            decoder_convolutions=self.preset.decoder_convolutions,
        )

    def memory_estimate(self, subject: Subject, topology: Topology) -> int:
        """Memory that training takes for one patch, in the units of the budget."""
        return memory.estimate(self.architecture(subject, topology), topology.patch_size, subject.label_entries)

    def batch_size(self, fit: PatchFit, total_voxels: float) -> BatchSize:
        """Patches per training step."""
        patch = fit.topology.patch_size
        batch = fit_batch(fit.estimate, self.budget(len(patch)), patch, self.preset.data_share * total_voxels)
        given = self.settings.batch_size
        return replace(batch, value=given, given=True) if given else batch

    def configuration(self, name: str, drafts: Mapping[str, Draft], subject: Subject, *, shared: bool) -> Configuration:
        """The draft of that name as a configuration; `shared` if the default planner's data serve it."""
        draft, spec, is_cascade = drafts[name], drafts[name].architecture, name == CASCADE
        return Configuration(
            data=self.data_folder(FULL if is_cascade else name, shared=shared),
            spacing=draft.spacing,
            median_shape=draft.median_shape,
            patch_size=draft.fit.topology.patch_size,
            batch_size=draft.batch.value,
            batch_dice=self.batch_dice(name, has_low_resolution=LOW in drafts),
            normalization=subject.normalization,
            resampling=subject.resampling,
            dtype=self.settings.dtype,
            architecture=with_previous_stage(spec, subject.foreground_labels) if is_cascade else spec,
            previous_stage=LOW if is_cascade else None,
        )

    def batch_dice(self, name: str, *, has_low_resolution: bool) -> bool:
        """Whether Dice sums run over the batch: patches that cover little of a case often lack a class."""
        return name == SLICES or (has_low_resolution and name != LOW)

    def data_folder(self, name: str, *, shared: bool) -> str:
        """Name of the folder of preprocessed data: the default planner's where that makes the same data."""
        if shared and name != LOW:
            return f"{DEFAULT.name}_{name}"
        # Plans named `default` with data of their own must not take the name that other planners' plans refer to.
        own = f"{self.name}_custom" if self.name == DEFAULT.name and name != LOW else self.name
        return f"{own}_{name}"
