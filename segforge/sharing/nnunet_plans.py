"""nnU-Net's plans <-> SegForge's plans; with the layout beside it, all that the program knows of nnU-Net's plans keys."""

import logging
import math
from typing import Any

from segforge.dataset.description import DatasetDescription
from segforge.errors import SegForgeError
from segforge.planning.fingerprint import IntensityProperties
from segforge.planning.memory import PLAIN, RESIDUAL
from segforge.planning.plans import UNCHANGED as ON_ITS_OWN_GRID
from segforge.planning.plans import Configuration, Plans, ResamplingSpec
from segforge.planning.presets import DEFAULT, PRESETS
from segforge.sharing.nnunet_layout import (
    SPLINE,
    UNCHANGED,
    Architecture,
    NnunetConfiguration,
    NnunetPlans,
    SplineArguments,
    architecture_content,
)
from segforge.sharing.nnunet_releases import read_layout

log = logging.getLogger(__name__)

_NETWORKS = {"PlainConvUNet": PLAIN, "ResidualEncoderUNet": RESIDUAL}

_NORMALIZATIONS = {
    "CTNormalization": "ct",
    "NoNormalization": "none",
    "ZScoreNormalization": "zscore",
    "RescaleTo01Normalization": "rescale_to_0_1",
    "RGBTo01Normalization": "rgb_to_0_1",
}

_PLANNERS = {
    "ExperimentPlanner": "default",
    "nnUNetPlannerResEncM": "resenc-m",
    "nnUNetPlannerResEncL": "resenc-l",
    "nnUNetPlannerResEncXL": "resenc-xl",
}

_READERS = {
    ".png": "NaturalImage2DIO",
    ".bmp": "NaturalImage2DIO",
    ".tif": "Tiff3DIO",
    ".tiff": "Tiff3DIO",
    ".nii.gz": "SimpleITKIO",
    ".nrrd": "SimpleITKIO",
    ".mha": "SimpleITKIO",
    ".gipl": "SimpleITKIO",
    ".nii": "NibabelIO",
}
"""Of nnU-Net's readers, the first that opens files with that ending."""

_REORIENTING = ("SimpleITKIOWithReorient", "NibabelIOWithReorient")
"""Those that turn the axes towards right, anterior and superior."""


def plans_to_nnunet(plans: Plans, description: DatasetDescription, *, reader: str | None = None) -> dict[str, Any]:
    """The content of a plans file that nnU-Net 2.8.1 plans, trains and predicts with.

    nnU-Net has no place for `gpu_memory`, for spline orders where nothing is resampled, and for `deep_supervision`, which
    its trainer decides. Configurations are written complete, but for cascades, which inherit as nnU-Net's own do.

    Args:
        plans: Plans of ours.
        description: Of the data set; nnU-Net takes the network's channels and heads from it.
        reader: nnU-Net's reader; None takes the one of `dataset.json`, else the one that nnU-Net chooses by the file ending.

    Raises:
        SegForgeError: If nnU-Net has no such network, normalization, or reader; names the field.
    """
    volumes = any(configuration.dimensions == 3 for configuration in plans.configurations.values())
    return {
        "dataset_name": plans.dataset,
        "plans_name": plans.name,
        "original_median_spacing_after_transp": list(plans.original_median_spacing),
        "original_median_shape_after_transp": [round(size) for size in plans.original_median_shape],
        "image_reader_writer": reader or _reader(description, volumes=volumes),
        "transpose_forward": list(plans.transpose_forward),
        "transpose_backward": list(plans.transpose_backward),
        "configurations": _written_configurations(plans, description),
        "experiment_planner_used": _swapped(_PLANNERS).get(plans.planner, plans.planner),
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            str(channel): statistics.model_dump() for channel, statistics in enumerate(plans.intensities)
        },
    }


def plans_from_nnunet(content: Any, description: DatasetDescription, source: str) -> Plans:
    """Plans of ours from the content of nnU-Net's plans file, of whatever release of version 2.

    Network classes, operations and functions are looked up in fixed tables; nothing that the file names is imported. All
    configurations are complete afterwards, and `inherits_from` is gone.

    Args:
        content: As JSON gives it.
        description: Of the data set that the plans are for; nnU-Net takes the network's channels and heads from it.
        source: Where the content comes from, for messages.

    Raises:
        SegForgeError: If the file is damaged, does not fit the data set, or asks for what SegForge does not have; names the
            path of the field, its value, and what is supported.
    """
    layout = read_layout(content, source)
    _warn_of_reader(layout.image_reader_writer, description, source)
    planner = _PLANNERS.get(layout.experiment_planner_used, layout.experiment_planner_used)
    configurations = {
        name: _read_configuration(configuration, description, f"{source}: configurations.{name}")
        for name, configuration in layout.configurations.items()
    }
    return Plans.parse(
        {
            "name": layout.plans_name,
            "dataset": layout.dataset_name,
            "planner": planner,
            "gpu_memory": PRESETS.get(planner, DEFAULT).gpu_memory,
            "transpose_forward": layout.transpose_forward,
            "original_median_spacing": layout.original_median_spacing_after_transp,
            "original_median_shape": layout.original_median_shape_after_transp,
            "intensities": _read_intensities(layout, description, source),
            "configurations": configurations,
        },
        source,
    )


def with_reader(description: DatasetDescription, content: Any) -> DatasetDescription:
    """The description with the reader that nnU-Net's plans name, if that one turns images."""
    reader = content.get("image_reader_writer") if isinstance(content, dict) else None
    return description.model_copy(update={"reader": reader}) if reader in _REORIENTING else description


def _reader(description: DatasetDescription, *, volumes: bool) -> str:
    if description.is_canonical and not str(description.reader).endswith("Reorient"):
        return "SimpleITKIOWithReorient"
    if description.reader and description.reader not in ("stored", "canonical"):
        return description.reader
    ending = description.file_ending.lower()
    if ending == ".tif" and not volumes:
        return "NaturalImage2DIO"
    if ending not in _READERS:
        raise SegForgeError(
            f"nnU-Net has no reader for {description.file_ending}, the file_ending in dataset.json; it reads "
            f"{', '.join(_READERS)}. Convert the images, or name the reader as overwrite_image_reader_writer in dataset.json."
        )
    return _READERS[ending]


def _written_configurations(plans: Plans, description: DatasetDescription) -> dict[str, Any]:
    written = {
        name: _written_configuration(configuration, description, f"plans {plans.name}: configurations.{name}")
        for name, configuration in plans.configurations.items()
    }
    stages = {name: configuration.previous_stage for name, configuration in plans.configurations.items()}
    parents = {name: content for name, content in written.items() if not stages[name] and name not in stages.values()}
    result: dict[str, Any] = {}
    for name, content in written.items():
        following = [other for other, previous in stages.items() if previous == name]
        # As nnU-Net does: a cascade is its full resolution with a previous stage.
        twin = next((other for other, own in parents.items() if own == content), None) if stages[name] else None
        result[name] = {
            **({"inherits_from": twin} if twin else content),
            **({"next_stage": following if len(following) > 1 else following[0]} if following else {}),
            **({"previous_stage": stages[name]} if stages[name] else {}),
        }
    return result


def _written_configuration(configuration: Configuration, description: DatasetDescription, where: str) -> dict[str, Any]:
    return {
        "data_identifier": configuration.data,
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": configuration.batch_size,
        "patch_size": list(configuration.patch_size),
        "median_image_size_in_voxels": list(configuration.median_shape),
        "spacing": list(configuration.spacing),
        "normalization_schemes": [
            _looked_up(_swapped(_NORMALIZATIONS), spec.name, f"{where}.normalization.{channel}.name")
            for channel, spec in enumerate(configuration.normalization)
        ],
        "use_mask_for_norm": [spec.use_mask for spec in configuration.normalization],
        **_written_resampling(configuration.resampling),
        "architecture": _written_architecture(configuration, description, f"{where}.architecture"),
        "batch_dice": configuration.batch_dice,
    }


def _written_resampling(resampling: ResamplingSpec) -> dict[str, Any]:
    orders = {"data": resampling.image_order, "seg": resampling.label_order, "probabilities": resampling.logits_order}
    written: dict[str, Any] = {}
    for kind, order in orders.items():
        arguments = {"is_seg": kind == "seg", "order": order, "order_z": 0, "force_separate_z": None}
        written[f"resampling_fn_{kind}"] = SPLINE if resampling.enabled else UNCHANGED
        written[f"resampling_fn_{kind}_kwargs"] = arguments if resampling.enabled else {}
    return written


def _written_architecture(configuration: Configuration, description: DatasetDescription, where: str) -> dict[str, Any]:
    spec = configuration.architecture
    network = _looked_up(_swapped(_NETWORKS), spec.network, f"{where}.network")
    for field, implied in _implied_by(description, cascade=configuration.previous_stage is not None).items():
        if getattr(spec, field) != implied:
            raise SegForgeError(
                f"{where}.{field} is {getattr(spec, field)}, but nnU-Net would take {implied} from dataset.json. Give the "
                "dataset.json that the plans were made for."
            )
    return architecture_content(
        network,
        features=spec.features,
        strides=spec.strides,
        kernel_sizes=spec.kernel_sizes,
        encoder_blocks=spec.encoder_blocks,
        decoder_convolutions=spec.decoder_convolutions[::-1],
        dimensions=spec.dimensions,
    )


def _read_configuration(content: NnunetConfiguration, description: DatasetDescription, where: str) -> dict[str, Any]:
    schemes, channels = content.normalization_schemes, len(description.channels)
    for field, values in (("normalization_schemes", schemes), ("use_mask_for_norm", content.use_mask_for_norm)):
        if len(values) != channels:
            raise SegForgeError(
                f"{where}.{field} has {len(values)} entries, but dataset.json has {channels} channels. Give the dataset.json "
                "that the plans were made for."
            )
    names = [
        _looked_up(_NORMALIZATIONS, scheme, f"{where}.normalization_schemes.{channel}")
        for channel, scheme in enumerate(schemes)
    ]
    return {
        "data": content.data_identifier,
        "spacing": content.spacing,
        "median_shape": content.median_image_size_in_voxels,
        "patch_size": content.patch_size,
        "batch_size": content.batch_size,
        "batch_dice": content.batch_dice,
        "normalization": [
            {"name": name, "use_mask": mask} for name, mask in zip(names, content.use_mask_for_norm, strict=True)
        ],
        "resampling": _read_resampling(content, where),
        "architecture": _read_architecture(content.architecture)
        | _implied_by(description, cascade=content.previous_stage is not None),
        "previous_stage": content.previous_stage,
    }


def _read_resampling(content: NnunetConfiguration, where: str) -> dict[str, Any]:
    if content.resampling_fn_data == UNCHANGED:
        return {"method": ON_ITS_OWN_GRID}
    orders = {}
    for kind, order in (("data", "image_order"), ("seg", "label_order"), ("probabilities", "logits_order")):
        field = f"resampling_fn_{kind}_kwargs"
        arguments = SplineArguments.parse(getattr(content, field), f"{where}.{field}")
        if arguments.is_seg != (kind == "seg"):
            raise SegForgeError(
                f"{where}.{field}.is_seg is {str(arguments.is_seg).lower()}, it must be the opposite. Correct it."
            )
        orders[order] = arguments.order
    return orders


def _read_architecture(architecture: Architecture) -> dict[str, Any]:
    arguments = architecture.arch_kwargs
    return {
        "network": _NETWORKS[architecture.network],
        "dimensions": arguments.dimensions,
        "features": arguments.features_per_stage,
        "strides": arguments.strides,
        "kernel_sizes": arguments.kernel_sizes,
        "encoder_blocks": architecture.encoder_blocks,
        # nnU-Net counts the decoder's stages from the bottom upward.
        "decoder_convolutions": arguments.n_conv_per_stage_decoder[::-1],
    }


def _implied_by(description: DatasetDescription, *, cascade: bool) -> dict[str, int]:
    """What nnU-Net derives from `dataset.json` when it builds a network."""
    labels = description.label_scheme
    further = labels.classes - 1 if cascade else 0
    return {"input_channels": len(description.channels) + further, "output_channels": labels.heads}


def _read_intensities(layout: NnunetPlans, description: DatasetDescription, source: str) -> list[IntensityProperties]:
    field = "foreground_intensity_properties_per_channel"
    expected = [str(channel) for channel in range(len(description.channels))]
    if sorted(layout.intensities) != sorted(expected):
        raise SegForgeError(
            f"{source}: {field} has the channels {', '.join(layout.intensities) or 'none'}, but dataset.json has "
            f"{', '.join(expected)}. Give the dataset.json that the plans were made for."
        )
    intensities = [IntensityProperties.model_validate(layout.intensities[channel].model_dump()) for channel in expected]
    by_intensity = {
        channel
        for configuration in layout.configurations.values()
        for channel, scheme in enumerate(configuration.normalization_schemes)
        if scheme == "CTNormalization"
    }
    for channel in sorted(by_intensity):
        for name, value in intensities[channel]:
            if not math.isfinite(value):
                raise SegForgeError(
                    f"{source}: {field}.{channel}.{name} is {value}, but CTNormalization needs a number. Plan again with cases "
                    "that have foreground."
                )
    return intensities


def _warn_of_reader(reader: str, description: DatasetDescription, source: str) -> None:
    if reader not in _READERS.values() and not (reader in _REORIENTING and description.is_canonical):
        log.warning(
            "%s: image_reader_writer is %s; SegForge reads the axes as they are stored. If that reader turns images (RAS), "
            "turn yours the same way first.",
            source,
            reader,
        )


def _looked_up(table: dict[str, str], name: str, where: str) -> str:
    if name not in table:
        raise SegForgeError(f"{where} is {name!r}, which has no counterpart; known here are {', '.join(table)}.")
    return table[name]


def _swapped(table: dict[str, str]) -> dict[str, str]:
    return {value: key for key, value in table.items()}
