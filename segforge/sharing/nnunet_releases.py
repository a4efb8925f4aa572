"""The content of a plans file of any release of nnU-Net v2 -> the layout of 2.8.1, checked, with inheritance resolved."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from segforge.errors import SegForgeError
from segforge.sharing.nnunet_layout import REMEDY, Axes, Name, NnunetPart, NnunetPlans, architecture_content


class Heir(NnunetPart):
    """A configuration, of which only its parent matters."""

    inherits_from: str | None = None


class Outline(NnunetPart):
    """A plans file, of which only the configurations' parents matter."""

    configurations: dict[Name, Heir]


class OldNetwork(NnunetPart):
    """The keys of a configuration of before 2.2 that described its network."""

    patch_size: Axes = Field(min_length=2, max_length=3)
    network: Literal["PlainConvUNet", "ResidualEncoderUNet"] = Field(alias="UNet_class_name")
    first_features: PositiveInt = Field(alias="UNet_base_num_features")
    most_features: PositiveInt = Field(alias="unet_max_num_features")
    encoder_blocks: Axes = Field(alias="n_conv_per_stage_encoder", min_length=1)
    decoder_convolutions: Axes = Field(alias="n_conv_per_stage_decoder")
    strides: list[Axes] = Field(alias="pool_op_kernel_sizes")
    kernel_sizes: list[Axes] = Field(alias="conv_kernel_sizes")

    @model_validator(mode="after")
    def _lists_fit_together(self) -> Self:
        stages = len(self.encoder_blocks)
        for key, values, length in (
            ("n_conv_per_stage_decoder", self.decoder_convolutions, stages - 1),
            ("pool_op_kernel_sizes", self.strides, stages),
            ("conv_kernel_sizes", self.kernel_sizes, stages),
        ):
            if len(values) != length:
                raise ValueError(f"{key} has {len(values)} entries, n_conv_per_stage_encoder with {stages} needs {length}")
        return self


def read_layout(content: Any, source: str) -> NnunetPlans:
    """Check the content of nnU-Net's plans file, of whatever release of version 2.

    Args:
        content: As JSON gives it.
        source: Where it comes from, for messages.

    Raises:
        SegForgeError: If something is missing, of a wrong type, contradicts itself, or is nothing that SegForge has; names
            the path of the field.
    """
    if not isinstance(content, dict):
        raise SegForgeError(f"{source} must hold a JSON object with nnU-Net's plans, not {type(content).__name__}. {REMEDY}")
    outline = Outline.parse(content, source)
    parents = {name: heir.inherits_from for name, heir in outline.configurations.items()}
    complete = {}
    for name in parents:
        chain = _chain(parents, name, "inherits_from", source)
        complete[name] = _modernized(_merged(content["configurations"], chain, source), f"{source}: configurations.{name}")
    plans = NnunetPlans.parse({**content, "configurations": complete}, source)
    previous = {name: configuration.previous_stage for name, configuration in plans.configurations.items()}
    for name in previous:
        _chain(previous, name, "previous_stage", source)
    return plans


def _chain(following: Mapping[str, str | None], name: str, key: str, source: str) -> list[str]:
    """The name, what it refers to, and so on to the end, which need not be there itself."""
    chain = [name]
    while (successor := following.get(chain[-1])) is not None:
        if successor in chain:
            circle = " -> ".join([*chain, successor])
            raise SegForgeError(f"{source}: configurations.{name}.{key} goes in a circle, {circle}. {REMEDY}")
        chain.append(successor)
    return chain


def _merged(configurations: Mapping[str, dict[str, Any]], chain: Sequence[str], source: str) -> dict[str, Any]:
    """The configuration that a chain begins with, completed by its ancestors."""
    if chain[-1] not in configurations:
        raise SegForgeError(
            f"{source}: configurations.{chain[-2]}.inherits_from names {chain[-1]}, which is not there. There are "
            f"{', '.join(configurations)}. {REMEDY}"
        )
    merged: dict[str, Any] = {}
    for ancestor in reversed(chain):
        merged |= configurations[ancestor]
    return merged


def _modernized(configuration: dict[str, Any], where: str) -> dict[str, Any]:
    if "architecture" in configuration or "UNet_class_name" not in configuration:
        return configuration
    old = OldNetwork.parse(configuration, where)
    architecture = architecture_content(
        old.network,
        features=[min(old.first_features * 2**stage, old.most_features) for stage in range(len(old.encoder_blocks))],
        strides=old.strides,
        kernel_sizes=old.kernel_sizes,
        encoder_blocks=old.encoder_blocks,
        decoder_convolutions=old.decoder_convolutions,
        dimensions=len(old.patch_size),
    )
    return {**configuration, "architecture": architecture}
