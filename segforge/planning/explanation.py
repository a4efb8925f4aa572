"""The planner's decisions -> sentences with the values that led to them, as Markdown for `plans/NAME.md`."""

import json
from collections.abc import Mapping, Sequence

from segforge.planning.drafts import CASCADE, LOW, SLICES, Draft, Subject
from segforge.planning.fitting import BatchSize
from segforge.planning.low_resolution import LowResolution
from segforge.planning.normalization import MASK_BELOW
from segforge.planning.plans import Configuration, Plans
from segforge.planning.presets import SMALLEST_BATCH
from segforge.planning.spacing import ANISOTROPY, Grid, TargetSpacing

_STORED_AXES = "zyx"

_NORMALIZATIONS = {
    "ct": "clipped to the 0.5 and 99.5 percentiles of the data set's foreground, minus its mean, over its standard deviation",
    "none": "left as it is",
    "zscore": "each case minus its own mean, over its own standard deviation",
    "rescale_to_0_1": "each case scaled to 0-1",
    "rgb_to_0_1": "divided by 255",
}


def explain(plans: Plans, subject: Subject, drafts: Mapping[str, Draft], low: LowResolution | None) -> str:
    """Why each number of the plans is what it is.

    Args:
        plans: The result.
        subject: The data set.
        drafts: The decisions on each configuration, by name.
        low: The decision on a low resolution; None for 2D images.
    """
    sections = {
        "Target spacing": _target_spacing(subject),
        "Axis order": [_axis_order(subject.grid)],
        "Normalization": _normalization(subject),
        "Low resolution": [_low_resolution(low, subject)],
    }
    axes = [_STORED_AXES[axis] for axis in plans.transpose_forward]
    for name, draft in drafts.items():
        configuration = plans.configurations[name]
        lines = [_cascade(subject)] if name == CASCADE else _draft(draft, axes[-len(draft.spacing) :])
        lines += [_batch_dice(name, configuration), f"Its data are in `{configuration.data}`."]
        sections[f"Configuration {name}"] = lines
    return _markdown(
        f"Plans {plans.name} of {plans.dataset}",
        f"Made by the planner {plans.planner} for {plans.gpu_memory:g} GB of GPU memory.",
        sections,
    )


def _markdown(title: str, first: str, sections: Mapping[str, Sequence[str]]) -> str:
    bodies = [f"## {heading}\n\n" + "\n".join(f"- {line}" for line in lines) for heading, lines in sections.items()]
    return "\n\n".join([f"# {title}", first, *bodies]) + "\n"


def _target_spacing(subject: Subject) -> list[str]:
    target = subject.grid.target
    shape = _times(subject.grid.median_shape, [_STORED_AXES[axis] for axis in subject.grid.transpose])
    return [
        f"The median spacing of the cases is {_times(target.median_spacing)} mm ({' '.join(_STORED_AXES)}), their median shape "
        f"after cropping {_times(target.median_shape)} voxels.",
        _spacing_rule(target, resampled=subject.resampling.enabled),
        f"There the median case has {shape} voxels.",
    ]


def _spacing_rule(target: TargetSpacing, *, resampled: bool) -> str:
    if not resampled:
        return "Nothing is resampled, as asked for: every case stays on its own grid, and the median spacing stands for all."
    if target.given:
        return f"The target spacing is the one asked for: {_times(target.spacing)} mm."
    widest = target.widest
    others = [axis for axis in range(3) if axis != widest]
    spacing, next_spacing = target.median_spacing[widest], max(target.median_spacing[axis] for axis in others)
    size, next_size = target.median_shape[widest], min(target.median_shape[axis] for axis in others)
    facts = (
        f"axis {_STORED_AXES[widest]} has a median spacing of {spacing:.4g} mm, the next {next_spacing:.4g} mm, "
        f"and a median size of {size:g} voxels, the smallest other {next_size:g}"
    )
    rule = f"more than {ANISOTROPY:g} times the spacing and less than 1/{ANISOTROPY:g} of the size"
    if not target.anisotropic:
        return f"No axis is anisotropic ({rule}): {facts}. The target spacing is the median, {_times(target.spacing)} mm."
    return (
        f"One axis is anisotropic ({rule}): {facts}. Its target is the 10th percentile of its spacings, though not below the "
        f"next spacing: {target.spacing[widest]:.4g} mm. The target spacing is {_times(target.spacing)} mm."
    )


def _axis_order(grid: Grid) -> str:
    names = [_STORED_AXES[axis] for axis in grid.transpose]
    largest = max(grid.spacing)
    if grid.spacing[0] < largest:
        return f"The axes stay in their stored order, {' '.join(names)}, as asked for."
    return (
        f"The axis of largest target spacing, {names[0]} with {largest:.4g} mm, comes first: "
        f"everything is computed in the order {' '.join(names)}."
    )


def _normalization(subject: Subject) -> list[str]:
    share = f"cropping keeps {subject.kept_by_cropping:.0%} of the median case's voxels"
    lines = []
    for number, (name, spec) in enumerate(zip(subject.channel_names, subject.normalization, strict=True)):
        rule = f": {_NORMALIZATIONS[spec.name]}" if spec.name in _NORMALIZATIONS else ""
        region = f", over the non-zero region only, as {share}, less than {MASK_BELOW:.0%}" if spec.use_mask else ""
        lines.append(f"Channel {number}, {name}: {spec.name}{rule}{region}.")
    return lines


def _low_resolution(low: LowResolution | None, subject: Subject) -> str:
    if low is None:
        reason = "the network has two dimensions" if subject.has_volumes else "the median case has a single slice"
        return f"None, and no 3D configuration: {reason}."
    if not subject.resampling.enabled:
        return "None: it would have to resample."
    if not low.steps:
        return f"None: a patch of 3d_fullres covers {low.cover:.1%} of the median case, and 25% is enough."
    search = (
        f"a patch of 3d_fullres covers {low.cover:.1%} of the median case. With the spacing made coarser in {low.steps} steps "
        f"of 3% it covers the 25% that are enough, and the median case has {low.gain:.2f} times fewer voxels"
    )
    if low.draft is None:
        return f"None: {search}, but 2 times would be needed."
    return f"Worth it: {search}, at {_times(low.draft.spacing)} mm."


def _draft(draft: Draft, axes: Sequence[str]) -> list[str]:
    return [
        f"The spacing is {_times(draft.spacing, axes)} mm; the median case has {_times(draft.median_shape)} voxels.",
        *_patch(draft, axes),
        *_topology(draft, axes),
        _batch_size(draft.batch),
    ]


def _patch(draft: Draft, axes: Sequence[str]) -> list[str]:
    fit = draft.fit
    origin = "the one asked for" if draft.given else "as long in mm along each axis, nowhere longer than the median case"
    limit = draft.budget.estimate * draft.budget.batch_size / draft.fitted_batch
    lines = [
        f"The patch begins as {_times(draft.wanted, axes)} voxels ({origin}), padded for its topology to "
        f"{_times(fit.start.patch_size)}; its memory estimate is {fit.start_estimate:.3g}, and {limit:.3g} fits with a batch "
        f"of {draft.fitted_batch}."
    ]
    for step in fit.steps:
        lines.append(f"Too large: shrunk along {axes[step.axis]} to {_times(step.patch_size)}, estimate {step.estimate:.3g}.")
    if not fit.fits:
        lines.append("Still too large, but no axis is left that can shrink: training will need more memory than asked for.")
    return [*lines, f"The patch is {_times(fit.topology.patch_size, axes)} voxels, {draft.cover:.1%} of the median case."]


def _topology(draft: Draft, axes: Sequence[str]) -> list[str]:
    topology, spec = draft.fit.topology, draft.architecture
    if not spec.has_stages:
        arguments = ", ".join(f"{name} {json.dumps(value)}" for name, value in spec.arguments.items()) or "none"
        return [
            f"The network is {spec.network}, as asked for; its arguments: {arguments}. It takes patches that are divisible by "
            f"{_times(topology.divisor, axes)}."
        ]
    bottleneck = [size // step for size, step in zip(topology.patch_size, spec.divisor, strict=True)]
    lines = [
        f"{len(spec.features)} stages divide the patch by {_times(spec.divisor, axes)}, down to {_times(bottleneck)}: an axis "
        "is halved while it has 8 voxels or more and a spacing below twice the finest.",
        f"Features of the stages: {_listed(spec.features)}; blocks: {_listed(spec.encoder_blocks)}.",
    ]
    for axis, name in enumerate(axes):
        if flat := sum(kernel[axis] == 1 for kernel in spec.kernel_sizes):
            lines.append(f"Kernels are 1 along {name} in the first {flat} stages, its spacing being twice the finest or more.")
    return lines


def _batch_size(batch: BatchSize) -> str:
    bounds = f"memory allows {batch.by_memory}, the size of the data set {batch.by_data}"
    if batch.given:
        return f"The batch size is the one asked for, {batch.value} ({bounds})."
    if batch.value > min(batch.by_memory, batch.by_data):
        return f"The batch size is {batch.value}, the smallest ({bounds}, at least {SMALLEST_BATCH})."
    limit = "memory" if batch.by_memory <= batch.by_data else "the size of the data set"
    return f"The batch size is {batch.value}, limited by {limit} ({bounds}, at least {SMALLEST_BATCH})."


def _batch_dice(name: str, configuration: Configuration) -> str:
    if configuration.batch_dice:
        reason = "slices" if name == SLICES else "patches that cover little of a case"
        return f"Dice is taken over the batch, as {reason} often lack a class."
    reason = "patches of a low resolution cover much of a case" if name == LOW else "cases need no low resolution"
    return f"Dice is taken for each sample, as {reason}."


def _cascade(subject: Subject) -> str:
    further = f"{subject.foreground_labels} further input channels, one for each foreground label"
    return f"As 3d_fullres, with the prediction of 3d_lowres as {further}."


def _times(values: Sequence[float], axes: Sequence[str] = ()) -> str:
    text = " \N{MULTIPLICATION SIGN} ".join(f"{value:.6g}" for value in values)
    return f"{text} ({' '.join(axes)})" if axes else text


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))
