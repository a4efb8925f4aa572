"""A topology and the numbers of a planner -> the ArchitectureSpec of the network."""

import functools

from segforge.planning.architecture import ArchitectureSpec
from segforge.planning.topology import Topology

MOST_FEATURES = {2: 512, 3: 320}
"""Channels that no stage exceeds, by dimensions."""


def stage_features(first: int, stages: int, dimensions: int) -> tuple[int, ...]:
    """Channels of each stage: doubled from stage to stage, up to a limit (METHOD section 3, features)."""
    return tuple([min(first * 2**stage, MOST_FEATURES[dimensions]) for stage in range(stages)])


def network_spec(
    network: str,
    topology: Topology,
    *,
    input_channels: int,
    output_channels: int,
    features: tuple[int, ...],
    blocks: tuple[int, ...],
    decoder_convolutions: int,
) -> ArchitectureSpec:
    """The network for a topology.

    Args:
        network: Registry name.
        topology: Gives strides and kernels.
        input_channels: Image channels.
        output_channels: Segmentation heads.
        features: Channels of each stage.
        blocks: Of the encoder stages from the first; the last entry repeats for the stages that are left.
        decoder_convolutions: Of each decoder stage.
    """
    stages = len(topology.strides)
    return _validated(
        network=network,
        dimensions=len(topology.patch_size),
        input_channels=input_channels,
        output_channels=output_channels,
        features=features,
        strides=topology.strides,
        kernel_sizes=topology.kernel_sizes,
        encoder_blocks=(*blocks, *blocks[-1:] * stages)[:stages],
        decoder_convolutions=(decoder_convolutions,) * (stages - 1),
    )


def with_previous_stage(spec: ArchitectureSpec, foreground_labels: int) -> ArchitectureSpec:
    """The network with an input channel more for each foreground label of a previous stage."""
    return spec.model_copy(update={"input_channels": spec.input_channels + foreground_labels})


@functools.lru_cache(maxsize=1024)
def _validated(**fields: object) -> ArchitectureSpec:
    # Cached: every step of shrinking asks for one, few are different, and validation takes longer than all else.
    return ArchitectureSpec.model_validate(fields)
