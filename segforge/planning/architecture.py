"""The description of a network that planning decides, training builds, and a checkpoint carries."""

from typing import Literal, Self

from pydantic import Field, model_validator

from segforge.compute.documents import Document

Axes = tuple[int, ...]


class ArchitectureSpec(Document):
    """Everything that `networks.build` needs; lists have one entry per encoder stage, from the full resolution downward.

    Attributes:
        network: Registry name of the network's class.
        dimensions: Spatial dimensions of the input, 2 or 3.
        input_channels: Image channels, and those of a previous stage.
        output_channels: Segmentation heads.
        features: Channels of each stage.
        strides: Stride of each stage's first convolution per axis; all 1 in the first stage.
        kernel_sizes: Kernel size of each stage's convolutions per axis, 1 or 3.
        encoder_blocks: Convolutions (plain) or residual blocks of each encoder stage.
        decoder_convolutions: Convolutions of each decoder stage, one entry fewer.
        deep_supervision: Whether every decoder stage has a head in training.
    """

    network: str = "plain_unet"
    dimensions: Literal[2, 3]
    input_channels: int = Field(ge=1)
    output_channels: int = Field(ge=1)
    features: tuple[int, ...] = Field(min_length=1)
    strides: tuple[Axes, ...]
    kernel_sizes: tuple[Axes, ...]
    encoder_blocks: tuple[int, ...]
    decoder_convolutions: tuple[int, ...]
    deep_supervision: bool = True

    @model_validator(mode="after")
    def _lists_fit_together(self) -> Self:
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
    def divisor(self) -> Axes:
        """Per axis, what the size of the input must be divisible by."""
        product = [1] * self.dimensions
        for stride in self.strides:
            product = [total * step for total, step in zip(product, stride, strict=True)]
        return tuple(product)
