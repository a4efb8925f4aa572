"""An augmentation of your own from batchgenerators' transforms, or from any that take and return its dictionaries.

Use it from the folder of this file, or any folder on PYTHONPATH:

    segforge train 4 3d_fullres 0 --augmentation custom_augmentation:elastic

The transforms get `data` (B, C, ...) and `seg` (B, 1, ...) of a patch that is large enough to be turned, and return one of
the patch's size or larger. Mirroring comes afterwards by itself (`--no-mirroring` leaves it out).
"""

from collections.abc import Sequence

import numpy as np
from batchgenerators.transforms.abstract_transforms import Compose
from batchgenerators.transforms.color_transforms import GammaTransform
from batchgenerators.transforms.spatial_transforms import SpatialTransform


class Spikes:
    """Sets single voxels to the patch's highest intensity; numbers are drawn from NumPy's global state."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, **data: np.ndarray) -> dict[str, np.ndarray]:
        chosen = np.random.uniform(size=data["data"].shape) < self.share
        data["data"] = np.where(chosen, data["data"].max(), data["data"])
        return data


def elastic(patch_size: Sequence[int], *, mirror_axes: Sequence[int], masked_channels: Sequence[bool]) -> Compose:
    """Rotation, scaling, elastic deformation, gamma, and spikes."""
    del mirror_axes, masked_channels
    space = SpatialTransform(
        tuple(patch_size),
        do_elastic_deform=True,
        p_el_per_sample=0.2,
        p_rot_per_sample=0.2,
        angle_x=(-0.5, 0.5),
        p_scale_per_sample=0.2,
        scale=(0.7, 1.4),
        random_crop=False,
        border_mode_data="constant",
        border_cval_seg=-1,
        order_data=1,
        order_seg=1,
    )
    return Compose([space, GammaTransform((0.7, 1.5), retain_stats=True, p_per_sample=0.3), Spikes(0.001)])
