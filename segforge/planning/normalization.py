"""Channel names and the effect of cropping -> how each image channel is normalized."""

from segforge.dataset.description import DatasetDescription
from segforge.planning.plans import NormalizationSpec

MASK_BELOW = 0.75
"""Median share of voxels that cropping keeps, below which z-scores are taken over the non-zero region only."""

_BY_CHANNEL_NAME = {
    "ct": "ct",
    "nonorm": "none",
    "zscore": "zscore",
    "rescale_to_0_1": "rescale_to_0_1",
    "rgb_to_0_1": "rgb_to_0_1",
}


def plan_normalization(description: DatasetDescription, kept_by_cropping: float) -> tuple[NormalizationSpec, ...]:
    """One normalization per channel (METHOD sections 1 and 3).

    Args:
        description: Its channel names choose, whatever their case; a name that is none of the known ones means z-score.
        kept_by_cropping: Median share of a case's voxels inside its non-zero region.
    """
    names = [_BY_CHANNEL_NAME.get(channel.casefold(), "zscore") for channel in description.channels]
    return tuple(NormalizationSpec(name=name, use_mask=name == "zscore" and kept_by_cropping < MASK_BELOW) for name in names)
