"""The schema of nnU-Net's plans file, and of what in it SegForge can do: everything else is an error that names the field."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AliasChoices, ConfigDict, Field, FiniteFloat, PositiveInt, model_validator

from segforge.compute.documents import Document
from segforge.errors import SegForgeError
from segforge.planning.fingerprint import IntensityProperties

BLOCKS = {"PlainConvUNet": "n_conv_per_stage", "ResidualEncoderUNet": "n_blocks_per_stage"}
"""The network classes that SegForge has, and what nnU-Net calls the sizes of their encoder stages."""

SPLINE, UNCHANGED = "resample_data_or_seg_to_shape", "no_resampling_hack"
"""The resampling functions that SegForge has."""

REMEDY = "Correct the file, or make it again with nnUNetv2_plan_experiment or segforge plan."

_NETWORK_CLASS = re.compile(rf"(dynamic_network_architectures\.(\w+\.)*)?({'|'.join(BLOCKS)})")


def _known_network(name: str) -> str:
    # Looked up here and built by our own classes: whatever a file names, nothing is imported.
    if not _NETWORK_CLASS.fullmatch(name):
        known = " and ".join(BLOCKS)
        raise ValueError(
            f"{name!r} is no network that SegForge has; those of nnU-Net are {known} of dynamic_network_architectures"
        )
    return name


def _only(allowed: float) -> AfterValidator:
    def check(value: float) -> float:
        if not math.isclose(value, allowed):
            raise ValueError(f"is {value:g}, SegForge's networks and resampling have {allowed:g}")
        return value

    return AfterValidator(check)


# Part of file and folder names later on: no separators, and no leading dot.
Name = Annotated[str, Field(pattern=r"^\w[\w .+-]*$", max_length=200)]
PositiveFloat = Annotated[FiniteFloat, Field(gt=0)]
Axes = list[PositiveInt]
ResamplingFunction = Literal["resample_data_or_seg_to_shape", "no_resampling_hack"]
ImportedArgument = Literal["conv_op", "norm_op", "dropout_op", "nonlin"]
Convolution = Literal["torch.nn.modules.conv.Conv2d", "torch.nn.modules.conv.Conv3d", "torch.nn.Conv2d", "torch.nn.Conv3d"]
InstanceNorm = Literal[
    "torch.nn.modules.instancenorm.InstanceNorm2d",
    "torch.nn.modules.instancenorm.InstanceNorm3d",
    "torch.nn.InstanceNorm2d",
    "torch.nn.InstanceNorm3d",
]


class NnunetPart(Document):
    """A part of nnU-Net's file: what it does not know is kept, what it knows must have the right type."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    @classmethod
    def parse(cls, content: Any, source: str, *, named: Callable[[str], str] = str) -> Self:
        """As `Document.parse`, with what to do in the error."""
        try:
            return super().parse(content, source, named=named)
        except SegForgeError as error:
            raise SegForgeError(f"{error} {REMEDY}") from error


class Arguments(NnunetPart):
    """Arguments of a class or function of nnU-Net; one that is not listed would change what it does."""

    model_config = ConfigDict(extra="forbid")


class SplineArguments(Arguments):
    """Arguments of `resample_data_or_seg_to_shape`, with its own defaults: null for `force_separate_z` must be written."""

    is_seg: bool = False
    order: int = Field(default=3, ge=0, le=3)
    order_z: Literal[0] = 0
    force_separate_z: None
    separate_z_anisotropy_threshold: Annotated[float, _only(3)] = 3


class InstanceNormArguments(Arguments):
    """Arguments of `InstanceNorm`."""

    eps: Annotated[float, _only(1e-5)] = 1e-5
    affine: Literal[True]


class LeakyReluArguments(Arguments):
    """Arguments of `LeakyReLU`."""

    negative_slope: Annotated[float, _only(0.01)] = 0.01
    inplace: bool = False


class NetworkArguments(Arguments):
    """`arch_kwargs`: the network's sizes, and the operations, of which SegForge's networks have one each."""

    n_stages: PositiveInt
    features_per_stage: Axes
    conv_op: Convolution
    kernel_sizes: list[list[Literal[1, 3, 5, 7]]]
    strides: list[Axes]
    n_conv_per_stage: Axes | None = None
    n_blocks_per_stage: Axes | None = None
    n_conv_per_stage_decoder: Axes
    conv_bias: Literal[True]
    norm_op: InstanceNorm
    norm_op_kwargs: InstanceNormArguments
    dropout_op: None = None
    dropout_op_kwargs: dict[str, Any] | None = None
    nonlin: Literal["torch.nn.LeakyReLU", "torch.nn.modules.activation.LeakyReLU"]
    nonlin_kwargs: LeakyReluArguments | None = None
    nonlin_first: Literal[False] = False
    stem_channels: None = None
    deep_supervision: bool = True

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return int(self.conv_op[-2])

    @model_validator(mode="after")
    def _lists_fit_together(self) -> Self:
        stages = self.n_stages
        wanted = dict.fromkeys(("features_per_stage", "kernel_sizes", "strides", *BLOCKS.values()), stages)
        for key, length in {**wanted, "n_conv_per_stage_decoder": stages - 1}.items():
            values = getattr(self, key)
            if values is not None and len(values) != length:
                raise ValueError(f"{key} has {len(values)} entries, n_stages {stages} needs {length}")
        return self

    @model_validator(mode="after")
    def _dimensions_agree(self) -> Self:
        if self.norm_op[-2] != self.conv_op[-2]:
            raise ValueError(f"norm_op {self.norm_op} does not go with conv_op {self.conv_op}")
        for key, sizes in (("kernel_sizes", self.kernel_sizes), ("strides", self.strides)):
            if wrong := [axes for axes in sizes if len(axes) != self.dimensions]:
                raise ValueError(f"{key} holds {wrong[0]}, conv_op {self.conv_op} needs {self.dimensions} axes")
        if set(self.strides[0]) != {1}:
            raise ValueError(f"strides begins with {self.strides[0]}, the first stage must keep the resolution (all 1)")
        return self


class Architecture(NnunetPart):
    """`architecture`: a network class by name, and its arguments."""

    network_class_name: Annotated[str, AfterValidator(_known_network)]
    arch_kwargs: NetworkArguments
    imported: list[ImportedArgument] = Field(alias="_kw_requires_import")

    @property
    def network(self) -> str:
        """The class's name without its modules."""
        return self.network_class_name.rsplit(".", 1)[-1]

    @property
    def encoder_blocks(self) -> Sequence[int]:
        """Convolutions or residual blocks of each encoder stage."""
        blocks: Sequence[int] = getattr(self.arch_kwargs, BLOCKS[self.network])
        return blocks

    @model_validator(mode="after")
    def _encoder_has_its_own_key(self) -> Self:
        for network, key in BLOCKS.items():
            if (getattr(self.arch_kwargs, key) is None) == (network == self.network):
                raise ValueError(f"{self.network} needs arch_kwargs.{BLOCKS[self.network]}, and no other list of its kind")
        return self


class NnunetConfiguration(NnunetPart):
    """One entry of `configurations`, complete."""

    data_identifier: Name
    preprocessor_name: Literal["DefaultPreprocessor"]
    batch_size: PositiveInt
    patch_size: Axes
    median_image_size_in_voxels: list[PositiveFloat]
    spacing: list[PositiveFloat]
    normalization_schemes: list[str]
    use_mask_for_norm: list[bool]
    resampling_fn_data: ResamplingFunction
    resampling_fn_data_kwargs: dict[str, Any]
    resampling_fn_seg: ResamplingFunction
    resampling_fn_seg_kwargs: dict[str, Any]
    resampling_fn_probabilities: ResamplingFunction
    resampling_fn_probabilities_kwargs: dict[str, Any]
    architecture: Architecture
    batch_dice: bool
    previous_stage: str | None = None
    next_stage: str | list[str] | None = None

    @model_validator(mode="after")
    def _axes_agree(self) -> Self:
        dimensions = self.architecture.arch_kwargs.dimensions
        for key in ("patch_size", "median_image_size_in_voxels", "spacing"):
            values = getattr(self, key)
            if len(values) != dimensions:
                raise ValueError(f"{key} {values} has {len(values)} axes, the network's conv_op has {dimensions}")
        return self

    @model_validator(mode="after")
    def _all_or_nothing_is_resampled(self) -> Self:
        names = (self.resampling_fn_data, self.resampling_fn_seg, self.resampling_fn_probabilities)
        if len(set(names)) > 1:
            raise ValueError(f"resampling_fn_data, _seg and _probabilities are {', '.join(names)}; they must be the same")
        return self


class NnunetIntensities(IntensityProperties):
    """The statistics of one channel, with whatever else is said of it."""

    model_config = ConfigDict(extra="ignore", strict=True)


class NnunetPlans(NnunetPart):
    """A whole plans file."""

    dataset_name: Name
    plans_name: Name
    original_median_spacing_after_transp: list[PositiveFloat] = Field(min_length=3, max_length=3)
    original_median_shape_after_transp: list[PositiveFloat] = Field(min_length=3, max_length=3)
    image_reader_writer: str
    transpose_forward: list[int]
    transpose_backward: list[int]
    configurations: dict[Name, NnunetConfiguration]
    experiment_planner_used: str
    label_manager: Literal["LabelManager"] = "LabelManager"
    intensities: dict[str, NnunetIntensities] = Field(
        # The second name is that of the first releases of version 2.
        validation_alias=AliasChoices(
            "foreground_intensity_properties_per_channel", "foreground_intensity_properties_by_modality"
        )
    )

    @model_validator(mode="after")
    def _transposes_undo_each_other(self) -> Self:
        forward, backward = self.transpose_forward, self.transpose_backward
        if sorted(forward) != [0, 1, 2] or backward != [forward.index(axis) for axis in range(3)]:
            raise ValueError(
                f"transpose_forward {forward} must hold 0, 1 and 2 once each, and transpose_backward {backward} must undo it"
            )
        return self


def architecture_content(
    network: str,
    *,
    features: Sequence[int],
    strides: Sequence[Sequence[int]],
    kernel_sizes: Sequence[Sequence[int]],
    encoder_blocks: Sequence[int],
    decoder_convolutions: Sequence[int],
    dimensions: int,
) -> dict[str, Any]:
    """The entry `architecture` for one of nnU-Net's network classes; lists in nnU-Net's order."""
    arguments = {
        "n_stages": len(features),
        "features_per_stage": list(features),
        "conv_op": f"torch.nn.modules.conv.Conv{dimensions}d",
        "kernel_sizes": [list(axes) for axes in kernel_sizes],
        "strides": [list(axes) for axes in strides],
        BLOCKS[network]: list(encoder_blocks),
        "n_conv_per_stage_decoder": list(decoder_convolutions),
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dimensions}d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{network}",
        "arch_kwargs": arguments,
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
