"""Transforms in batchgenerators' convention, found by name in the tests and in their worker processes."""

import os
import random
import signal

import numpy as np
from batchgenerators.transforms.abstract_transforms import Compose
from batchgenerators.transforms.color_transforms import BrightnessMultiplicativeTransform, GammaTransform
from batchgenerators.transforms.noise_transforms import GaussianNoiseTransform
from batchgenerators.transforms.spatial_transforms import SpatialTransform


def spatial_and_intensity(patch_size, *, mirror_axes, masked_channels):
    space = SpatialTransform(
        tuple(patch_size), do_elastic_deform=True, p_el_per_sample=0.5, p_rot_per_sample=0.5, p_scale_per_sample=0.5,
        random_crop=False, border_cval_seg=-1, order_data=1, order_seg=1,
    )  # fmt: skip
    return Compose([space, GaussianNoiseTransform(), GammaTransform((0.7, 1.5), retain_stats=True), swap])


def swap(**data):
    """Uses Python's random state."""
    if random.random() < 0.5:
        data["data"] = -data["data"]
    return data


brighter = Compose([BrightnessMultiplicativeTransform((2, 2), per_channel=False)])


class Doubles:
    def __call__(self, **data):
        data["data"] = 2 * data["data"]
        return data


doubles = Doubles()


class Fails:
    def __call__(self, **data):
        if np.random.uniform() < 2:
            raise ValueError("no lesion to paste")


fails = Fails()


class Dies:
    def __call__(self, **data):
        os.kill(os.getpid(), signal.SIGKILL)


dies = Dies()


class TooSmall:
    def __call__(self, **data):
        return {"data": data["data"][:, :, :4], "seg": data["seg"][:, :, :4]}


too_small = TooSmall()
number = 5
