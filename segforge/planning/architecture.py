"""The description of a network that planning decides, training builds, and a checkpoint carries."""

import math
from collections.abc import Iterator
from typing import Any, Literal, Self

from pydantic import Field, JsonValue, SerializerFunctionWrapHandler, model_serializer, model_validator

from segforge.compute.documents import Document

Axes = tuple[int, ...]

MONAI = "monai:"
"""What the registry names of MONAI's networks begin with."""

STAGES = ("features", "strides", "kernel_sizes", "encoder_blocks", "decoder_convolutions")
"""The fields that describe a network stage by stage."""

_LARGEST_ARGUMENT = 10_000


class ArchitectureSpec(Document):
    """Everything that `networks.build` needs; lists have one entry per encoder stage, from the full resolution downward.

    A network of MONAI's has arguments instead of these lists.

    Attributes:
        network: Registry name of the network's class.
        dimensions: Spatial dimensions of the input, 2 or 3.
        input_channels: Image channels, and those of a previous stage.
        output_channels: Segmentation heads.
        arguments: Of the constructor of a network of MONAI's, by name, without dimensions and channels.
        features: Channels of each stage.
        strides: Stride of each stage's first convolution per axis; all 1 in the first stage.
        kernel_sizes: Kernel size of each stage's convolutions per axis, 1 or 3.
        encoder_blocks: Convolutions (plain) or residual blocks of each encoder stage.
        decoder_convolutions: Convolutions of each decoder stage, one entry fewer.
        deep_supervision: Whether every decoder stage has a head in training; a network of MONAI's where it can have them.
    """

    network: str = "plain_unet"
    dimensions: Literal[2, 3]
    input_channels: int = Field(ge=1)
    output_channels: int = Field(ge=1)
    arguments: dict[str, JsonValue] = Field(default_factory=dict)
    features: tuple[int, ...] = ()
    strides: tuple[Axes, ...] = ()
    kernel_sizes: tuple[Axes, ...] = ()
    encoder_blocks: tuple[int, ...] = ()
    decoder_convolutions: tuple[int, ...] = ()
    deep_supervision: bool = True

    def __hash__(self) -> int:
        return hash((self.network, self.dimensions, self.input_channels, self.output_channels, *self._stages))

    @model_serializer(mode="wrap")
    def _without_what_it_has_not(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        missing = (() if self.arguments else ("arguments",)) + (() if self.has_stages else STAGES)
        return {name: value for name, value in handler(self).items() if name not in missing}

    @model_validator(mode="after")
    def _is_described_in_one_way(self) -> Self:
        if self.has_stages and self.arguments:
            raise ValueError(f"arguments are for networks of MONAI's ({MONAI}NAME); {self.network} has none")
        if self.has_stages and not self.features:
            raise ValueError(f"{self.network} needs {', '.join(STAGES)}")
        if not self.has_stages and (given := [name for name in STAGES if getattr(self, name)]):
            raise ValueError(f"{', '.join(given)} describe no network of MONAI's; give {self.network} arguments instead")
        for number in _numbers(self.arguments):
            if not -_LARGEST_ARGUMENT <= number <= _LARGEST_ARGUMENT:
                raise ValueError(f"arguments has the number {number}, beyond the {_LARGEST_ARGUMENT} of any network")
        return self

    @model_validator(mode="after")
    def _lists_fit_together(self) -> Self:
        if not self.has_stages:
            return self
        stages = len(self.features)
        for name, values, expected in (
            ("strides", self.strides, stages),
            ("kernel_sizes", self.kernel_sizes, stages),
            ("encoder_blocks", self.encoder_blocks, stages),
            ("decoder_convolutions", self.decoder_convolutions, stages - 1),
        ):
            if len(values) != expected:
                raise ValueError(f"{name} has {len(values)} entries, {stages} stages need {expected}")
        for axes in (*self.strides, *self.kernel_sizes):
            if len(axes) != self.dimensions:
                raise ValueError(f"{list(axes)} has {len(axes)} axes, the network has {self.dimensions}")
        positive = (
            *self.features,
            *self.encoder_blocks,
            *self.decoder_convolutions,
            *(n for axes in self.strides for n in axes),
        )
        if min(positive) < 1:
            raise ValueError("features, strides, blocks and convolutions must be at least 1")
        if max(self.strides[0]) > 1:
            raise ValueError("the first stage must have stride 1, or the output would be smaller than the input")
        if any(size not in (1, 3, 5, 7) for axes in self.kernel_sizes for size in axes):
            raise ValueError("kernel sizes must be odd, 1 to 7")
        return self

    @property
    def has_stages(self) -> bool:
        """Whether it is described stage by stage, and not by arguments."""
        return not self.network.startswith(MONAI)

    @property
    def divisor(self) -> Axes:
        """Per axis, what the strides of the stages need the size of the input to be divisible by."""
        product = [1] * self.dimensions
        for stride in self.strides:
            product = [total * step for total, step in zip(product, stride, strict=True)]
        return tuple(product)

    @property
    def _stages(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in STAGES)


def _numbers(value: JsonValue) -> Iterator[float]:
    """All numbers in a JSON value; what is no number counts as infinite."""
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers(item)
    elif isinstance(value, int | float):
        yield value if math.isfinite(value) else math.inf
