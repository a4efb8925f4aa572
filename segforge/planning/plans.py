"""The plans of an experiment: the contract that preprocessing, training and inference read."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from segforge.compute.documents import Document
from segforge.errors import SegForgeError, did_you_mean
from segforge.planning.architecture import ArchitectureSpec
from segforge.planning.fingerprint import IntensityProperties
from segforge.planning.inheritance import resolve

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"  # of what becomes a folder or a file

_PLANS = "plans"

SPLINE, UNCHANGED = "spline", "none"
"""Our methods of resampling."""

ImageType = Literal["float32", "float16"]
"""Types in which preprocessed images may be stored."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class NormalizationSpec(Document):
    """How one image channel is normalized.

    Attributes:
        name: Registry name of the normalization.
        use_mask: Whether only the non-zero region is normalized.
    """

    name: str
    use_mask: bool = False


class ResamplingSpec(Document):
    """How cases are brought to the target spacing.

    Attributes:
        method: `spline`, `none` to leave every case on its own grid, or the name of a plug-in (group `resamplings`).
        image_order: For images; 1 is linear, 3 cubic.
        label_order: For each label's 0/1 volume.
        logits_order: For predicted logits.
    """

    method: str = SPLINE
    image_order: int = Field(default=3, ge=0, le=3)
    label_order: int = Field(default=1, ge=0, le=1)
    logits_order: int = Field(default=1, ge=0, le=3)

    @property
    def enabled(self) -> bool:
        """Whether cases leave their own grid."""
        return self.method != UNCHANGED


class Configuration(Document):
    """One way to train on the data set; 2D configurations have two entries per axis list, without the slice axis.

    Attributes:
        data: Name of the folder of preprocessed data; configurations with the same data share it.
        spacing: Target spacing in mm, transposed axis order.
        median_shape: Median shape of the cases at that spacing, in voxels.
        patch_size: Network input in voxels.
        batch_size: Patches per training step.
        batch_dice: Whether Dice sums run over the batch instead of each sample.
        normalization: One entry per image channel.
        resampling: How cases are resampled.
        dtype: Type of the stored images.
        architecture: The network.
        previous_stage: The configuration whose prediction is a further input (cascade).
        inherits_from: The configuration that a file took the rest from; here everything is complete.
    """

    data: str = Field(pattern=_NAME)
    spacing: tuple[Positive, ...]
    median_shape: tuple[Positive, ...]
    patch_size: tuple[int, ...]
    batch_size: int = Field(ge=1)
    batch_dice: bool
    normalization: tuple[NormalizationSpec, ...]
    resampling: ResamplingSpec = ResamplingSpec()
    dtype: ImageType = "float32"
    architecture: ArchitectureSpec
    previous_stage: str | None = None
    inherits_from: str | None = None

    @model_validator(mode="after")
    def _patch_fits_the_network(self) -> Self:
        for name in ("spacing", "median_shape", "patch_size"):
            if len(getattr(self, name)) != self.dimensions:
                raise ValueError(f"{name} has {len(getattr(self, name))} axes, the network has {self.dimensions}")
        if self.data == _PLANS:
            raise ValueError(f"data cannot be {_PLANS}, the folder of the plans themselves")
        divisor = self.architecture.divisor
        if any(size < 1 or size % step for size, step in zip(self.patch_size, divisor, strict=True)):
            raise ValueError(f"patch_size {list(self.patch_size)} must be divisible by the network's strides, {list(divisor)}")
        return self

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return self.architecture.dimensions

    @property
    def makes_data(self) -> tuple[object, ...]:
        """What the preprocessed data depend on."""
        return self.spacing, self.normalization, self.resampling, self.dtype


class Plans(Document):
    """What `segforge plan` decides for a data set.

    Attributes:
        version: Version of this schema.
        name: Name of the plans.
        dataset: Folder name of the data set.
        planner: Name of the planner that made them.
        gpu_memory: Memory in GB that a training may fill.
        transpose_forward: Axis order in which everything is computed, as indices into the stored axes.
        original_median_spacing: Median spacing of the cases in mm, transposed.
        original_median_shape: Median shape after cropping in voxels, transposed.
        intensities: Foreground intensities of the data set, one entry per image channel.
        configurations: The ways to train, by name.
    """

    version: Literal[1] = 1
    name: str = Field(pattern=_NAME)
    dataset: str
    planner: str
    gpu_memory: Positive
    transpose_forward: tuple[int, int, int]
    original_median_spacing: tuple[float, float, float]
    original_median_shape: tuple[float, float, float]
    intensities: tuple[IntensityProperties, ...]
    configurations: dict[Annotated[str, Field(pattern=_NAME)], Configuration] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _complete_configurations(cls, content: Any) -> Any:
        if isinstance(content, dict) and isinstance(content.get("configurations"), dict):
            return content | {"configurations": resolve(content["configurations"], str(content.get("name")))}
        return content

    @model_validator(mode="after")
    def _configurations_fit_the_data_set(self) -> Self:
        channels = len(self.intensities)
        for name, item in self.configurations.items():
            if item.previous_stage not in (None, *(set(self.configurations) - {name})):
                raise ValueError(f"configurations.{name}.previous_stage: there is no configuration {item.previous_stage}")
            if len(item.normalization) != channels:
                raise ValueError(
                    f"configurations.{name}.normalization has {len(item.normalization)} entries, "
                    f"the data set has {channels} channels"
                )
            inputs = item.architecture.input_channels
            if inputs != channels and not (item.previous_stage and inputs > channels):
                raise ValueError(
                    f"configurations.{name}.architecture.input_channels is {inputs}, the data set has {channels} channels"
                )
        return self

    @model_validator(mode="after")
    def _shared_data_are_the_same(self) -> Self:
        made: dict[str, tuple[str, Configuration]] = {}
        for name, item in self.configurations.items():
            first, other = made.setdefault(item.data, (name, item))
            if item.makes_data != other.makes_data:
                raise ValueError(
                    f"configurations.{name}.data: {item.data} is also the folder of {first}, which is preprocessed otherwise; "
                    "give it another name"
                )
        return self

    @model_validator(mode="after")
    def _axes_are_a_permutation(self) -> Self:
        if sorted(self.transpose_forward) != [0, 1, 2]:
            raise ValueError(f"transpose_forward {list(self.transpose_forward)} must hold 0, 1 and 2 once each")
        return self

    @property
    def transpose_backward(self) -> tuple[int, int, int]:
        """The axis order that undoes `transpose_forward`."""
        first, second, third = (self.transpose_forward.index(axis) for axis in range(3))
        return first, second, third

    def configuration(self, name: str) -> Configuration:
        """The configuration of that name.

        Raises:
            SegForgeError: If there is none; names those that there are.
        """
        try:
            return self.configurations[name]
        except KeyError:
            known = ", ".join(self.configurations)
            hint = did_you_mean(name, self.configurations)
            raise SegForgeError(f"The plans {self.name} have no configuration {name}.{hint} They have: {known}.") from None

    def with_previous_stages(self, name: str) -> dict[str, Configuration]:
        """The configuration of that name, and after it those that it builds on."""
        chain = {}
        stage: str | None = name
        while stage is not None and stage not in chain:
            chain[stage] = self.configuration(stage).model_copy(update={"inherits_from": None})
            stage = chain[stage].previous_stage
        return chain


def plans_path(preprocessed: Path, name: str) -> Path:
    """File of the plans `name` of a data set's preprocessed folder."""
    return preprocessed / _PLANS / f"{name}.json"


def read_plans(preprocessed: Path, name: str) -> Plans:
    """The plans `name` of a data set's preprocessed folder.

    Raises:
        SegForgeError: If there are none of that name; lists those that there are, and says how to make them.
    """
    path = plans_path(preprocessed, name)
    if path.is_file():
        return Plans.read(path)
    known = sorted(other.stem for other in path.parent.glob("*.json"))
    there, hint, dataset = ", ".join(known) or "none", did_you_mean(name, known), preprocessed.name
    raise SegForgeError(f"{dataset} has no plans {name} (there are: {there}).{hint} Make them with: segforge plan -d {dataset}")
