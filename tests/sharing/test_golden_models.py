"""nnU-Net's own models predict here what nnU-Net predicts with them."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

import segforge
from segforge.inference.predictor import Predictor

CASES = {
    "hippocampus_2d_plain": ("hippocampus_001", "hippocampus_035"),
    "hippocampus_3d_plain": ("hippocampus_001", "hippocampus_007", "hippocampus_035"),
    "hippocampus_3d_residual": ("hippocampus_007", "hippocampus_035"),
}
PAIRS = [(model, case, kind) for model, cases in CASES.items() for case in cases for kind in ("plain", "tta")]

SMALLEST = 2.0**-24  # of float16's subnormal numbers, and the distance between them


class InHalfPrecision:
    """A sliding window that sums as nnU-Net does: weighted logits and weights in float16. For images of a single tile."""

    def __init__(self, window: Any, patch: tuple[int, ...]) -> None:
        self.window, self.weights = window, nnunet_weights(patch)
        self.is_coarse = np.zeros(())  # where rounding a sum to float16 may move a logit by more than 0.001

    def logits(self, image: Any, *arguments: Any) -> Tensor:
        exact = self.window.logits(image, *arguments)
        assert self.window.tiles(image.shape[1:]) == (1 if self.weights.ndim == 3 else image.shape[1])
        weights = cropped(self.weights, exact.shape[-self.weights.ndim :])
        weighted = exact * weights.float()
        self.is_coarse = (SMALLEST / 2 / weights.float() > 1e-3).expand(exact.shape[1:]).numpy()
        return (weighted.half() / weights).float()


@cache
def nnunet_weights(patch: tuple[int, ...]) -> Tensor:
    """The Gaussian weights (METHOD, section 6) with nnU-Net's factor 10, float16."""
    impulse = np.zeros(patch)
    impulse[tuple(size // 2 for size in patch)] = 1
    smooth = gaussian_filter(impulse, [size / 8 for size in patch], mode="constant")
    weights = torch.from_numpy(smooth / smooth.max() * 10).half()
    weights[weights == 0] = weights[weights > 0].min()
    return weights


def cropped(weights: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The part of a tile's weights over an image that was padded to the tile, the odd voxel after."""
    corner = [(tile - size) // 2 for tile, size in zip(weights.shape, shape, strict=True)]
    return weights[tuple(slice(low, low + size) for low, size in zip(corner, shape, strict=True))]


@cache
def loaded(model: Path, *, mirroring: bool) -> Predictor:
    return segforge.load(model, mirroring=mirroring, precision="fp32", device="cpu")


def read(path: Path) -> tuple[Any, tuple[float, ...]]:
    image = sitk.ReadImage(str(path))
    return sitk.GetArrayFromImage(image), image.GetSpacing()[::-1]


def predicted(shared: Path, predictor: Predictor, case: str) -> tuple[Any, Any]:
    (path,) = (shared / "data/Dataset004_Hippocampus").rglob(f"{case}_0000.nii.gz")
    array, spacing = read(path)
    return predictor.predict_array(array, spacing, probabilities=True)


@pytest.mark.parametrize(("model", "case", "kind"), PAIRS)
def test_predictions_are_those_of_nnunet(shared: Path, model: str, case: str, kind: str) -> None:
    folder = shared / "golden/models" / model
    predictor = loaded(folder, mirroring=kind == "tta")
    (member,) = predictor.members
    window = member.window
    labels, probabilities = predicted(shared, predictor, case)
    in_half: Any = InHalfPrecision(window, member.configuration.patch_size)
    member.window = in_half
    try:
        _, rounded = predicted(shared, predictor, case)
    finally:
        member.window = window
    reference = np.load(folder / "reference" / f"{case}__{kind}.npz")["probabilities"]
    assert (labels == read(folder / "reference" / f"{case}__{kind}.nii.gz")[0]).mean() >= 0.9999
    difference = np.abs(probabilities - reference)
    if "residual" not in model:
        assert difference.max() <= 2e-3
        assert difference.mean() <= 1e-4
    # In a tile's corners nnU-Net's sums are subnormal in float16: two logits may become equal there. Elsewhere all agrees, ...
    assert in_half.is_coarse.mean() <= 0.05
    assert difference[:, ~in_half.is_coarse].max() <= 2e-3
    assert difference[:, ~in_half.is_coarse].mean() <= 1e-4
    # ... and with such sums there too.
    assert np.abs(rounded - reference).max() <= 2e-3
    assert np.abs(rounded - reference).mean() <= 1e-4
