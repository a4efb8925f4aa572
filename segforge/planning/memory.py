"""An ArchitectureSpec and a patch size -> the estimate of training memory: activations of all convolutions, as a count."""

import functools
import math
from collections.abc import Sequence

from segforge.planning.architecture import ArchitectureSpec, Axes

PLAIN = "plain_unet"
RESIDUAL = "residual_encoder_unet"


def estimate(spec: ArchitectureSpec, patch_size: Sequence[int], head_channels: int) -> int:
    """Values that all convolutions put out for one patch (METHOD section 3, memory estimate).

    Counts what nnU-Net counts: only the head of the full resolution, and no input channels.

    Args:
        spec: The network; anything but `residual_encoder_unet` is counted as a plain U-Net.
        patch_size: Input in voxels.
        head_channels: Channels of the head: entries of `labels`, background, ignore and every region among them.
    """
    return _estimate(spec, tuple(patch_size), head_channels)


@functools.lru_cache(maxsize=4096)
def _estimate(spec: ArchitectureSpec, patch_size: Axes, head_channels: int) -> int:
    # Cached: the search for a low resolution shrinks the same patches again and again.
    encoder = _residual_encoder_channels(spec) if spec.network == RESIDUAL else _plain_encoder_channels(spec)
    decoder = _decoder_channels(spec, head_channels)
    sizes, values = list(patch_size), 0
    for stride, down, up in zip(spec.strides, encoder, decoder, strict=True):
        sizes = [size // step for size, step in zip(sizes, stride, strict=True)]
        values += (down + up) * math.prod(sizes)
    return values


def _plain_encoder_channels(spec: ArchitectureSpec) -> list[int]:
    """Channels that the convolutions of each encoder stage put out."""
    return [convolutions * features for convolutions, features in zip(spec.encoder_blocks, spec.features, strict=True)]


def _residual_encoder_channels(spec: ArchitectureSpec) -> list[int]:
    """The same for residual blocks: two convolutions each, one more where channels or size change, and the stem."""
    channels = [2 * blocks * features for blocks, features in zip(spec.encoder_blocks, spec.features, strict=True)]
    channels[0] += spec.features[0]
    for stage in range(1, len(channels)):
        if max(spec.strides[stage]) > 1 or spec.features[stage] != spec.features[stage - 1]:
            channels[stage] += spec.features[stage]
    return channels


def _decoder_channels(spec: ArchitectureSpec, head_channels: int) -> list[int]:
    """Channels of each decoder stage, by the stage of its skip: its convolutions, the transposed one among them."""
    stages = zip(spec.decoder_convolutions, spec.features[:-1], strict=True)
    channels = [*((1 + convolutions) * features for convolutions, features in stages), 0]
    channels[0] += head_channels
    return channels
