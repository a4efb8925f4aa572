"""Predict with a model as ONNX, without torch and without SegForge: python predict_onnx.py FOLDER OUTPUT IMAGE ...

FOLDER: from `segforge export MODEL -o FOLDER --format onnx`. IMAGE: a file for each channel. Needs numpy, scipy, onnxruntime
and SimpleITK.
"""

import itertools
import json
import math
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import SimpleITK as sitk
from scipy import ndimage


def main(folder: Path, output: Path, *images: Path) -> None:
    model = json.loads((folder / "model.json").read_text())
    files = [sitk.ReadImage(str(path)) for path in images]
    array = np.stack([sitk.GetArrayFromImage(file).astype(np.float32) for file in files])
    labels = sitk.GetImageFromArray(predict(folder, model, array, files[0].GetSpacing()[::-1]))
    labels.CopyInformation(files[0])
    sitk.WriteImage(labels, str(output))


def predict(folder: Path, model: dict, array: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """The label map (Z, Y, X) of an image (C, Z, Y, X), in the values of the training's label maps."""
    order = model["transpose"]
    image, old = array.transpose(0, *(axis + 1 for axis in order)), [spacing[axis] for axis in order]
    nonzero = (image != 0).any(0)
    box = ndimage.find_objects(nonzero.astype(int))[0] if nonzero.any() else tuple(slice(0, size) for size in nonzero.shape)
    inside = ndimage.binary_fill_holes(nonzero[box])
    image = np.stack([normalized(model, n, channel, inside) for n, channel in enumerate(image[(slice(None), *box)])])
    new = model["spacing"] if len(model["spacing"]) == 3 else [old[0], *model["spacing"]]
    shape = [max(round(a / b * size), 1) for size, a, b in zip(inside.shape, old, new, strict=True)]
    rules = model["resampling"]
    shape = inside.shape if rules["method"] == "none" else shape
    image = np.stack([resampled(channel, shape, rules["image_order"], coarse_axis(model, old, new)) for channel in image])
    logits = sliding_window(folder, model, image)
    back = coarse_axis(model, new, old)
    classes = decided(model, [resampled(head, inside.shape, rules["logits_order"], back) for head in logits])
    whole = np.zeros(nonzero.shape, int)
    whole[box] = classes
    return np.array(model["stored_values"], np.int32)[whole.transpose(np.argsort(order))]


def normalized(model: dict, number: int, channel: np.ndarray, inside: np.ndarray) -> np.ndarray:
    spec, facts = model["normalization"][number], model["intensities"][number]
    if spec["name"] == "zscore":
        mask = inside if spec["use_mask"] else np.ones_like(inside)
        result = channel.copy()
        result[mask] = (channel[mask] - channel[mask].mean()) / max(channel[mask].std(), 1e-8)
        return result
    if spec["name"] == "ct":
        clipped = np.clip(channel, facts["percentile_00_5"], facts["percentile_99_5"])
        return (clipped - facts["mean"]) / max(facts["std"], 1e-8)
    if spec["name"] == "rescale_to_0_1":
        return (channel - channel.min()) / max(channel.max() - channel.min(), 1e-8)
    return {"none": channel, "rgb_to_0_1": channel / 255}[spec["name"]]


def coarse_axis(model: dict, before: list[float], after: list[float]) -> int | None:
    """The axis that is resampled by its nearest slice: much coarser than the others, before or after."""
    for spacing in (before, after):
        if max(spacing) / min(spacing) > model["anisotropy"]:
            return spacing.index(max(spacing)) if spacing.count(max(spacing)) == 1 else None
    return None


def resampled(volume: np.ndarray, shape: tuple[int, ...], order: int, coarse: int | None) -> np.ndarray:
    if volume.shape == tuple(shape):
        return volume
    if coarse is None:
        return zoomed(volume, shape, order)
    slices, (size, count) = np.moveaxis(volume, coarse, 0), (volume.shape[coarse], shape[coarse])
    plane = [length for axis, length in enumerate(shape) if axis != coarse]
    slices = np.stack([zoomed(each, plane, order) for each in slices])
    nearest = [min(max(math.floor(size / count * (i + 0.5) - 0.5 + 0.5), 0), size - 1) for i in range(count)]
    return np.moveaxis(slices[nearest], 0, coarse)


def zoomed(array: np.ndarray, shape: tuple[int, ...], order: int) -> np.ndarray:
    factors = [new / old for new, old in zip(shape, array.shape, strict=True)]
    result = ndimage.zoom(array.astype(float), factors, order=order, mode="nearest", grid_mode=True)
    return result.clip(array.min(), array.max()).astype(np.float32)


def sliding_window(folder: Path, model: dict, image: np.ndarray) -> np.ndarray:
    """Mean logits of all networks (heads, Z, Y, X); a network that sees slices gets one after the other."""
    sessions = [onnxruntime.InferenceSession(str(folder / name)) for name in model["networks"]]
    weights, patch = np.load(folder / model["tile_weights"]), model["patch_size"]
    spatial = image.shape[-len(patch) :]
    padded = [max(size, tile) for size, tile in zip(spatial, patch, strict=True)]
    low = [(new - old) // 2 for new, old in zip(padded, spatial, strict=True)]
    pads = [(first, new - old - first) for first, new, old in zip(low, padded, spatial, strict=True)]
    samples = image.swapaxes(0, 1) if len(patch) == 2 else image[None]
    boxes = [
        tuple(slice(begin, begin + tile) for begin, tile in zip(corner, patch, strict=True))
        for corner in itertools.product(*(corners(size, tile, model["step"]) for size, tile in zip(padded, patch, strict=True)))
    ]
    inner = tuple(slice(first, first + size) for first, size in zip(low, spatial, strict=True))
    results = []
    for sample in samples:
        volume = np.pad(sample, [(0, 0), *pads])
        total, weight = 0, np.zeros(padded, np.float32)
        for box in boxes:
            logits = tile_logits(sessions, model, volume[(slice(None), *box)]) * weights
            total = np.zeros((len(logits), *padded), np.float32) if isinstance(total, int) else total
            total[(slice(None), *box)] += logits
            weight[box] += weights
        results.append((total / weight)[(slice(None), *inner)])
    return np.stack(results, 1) if len(patch) == 2 else results[0]


def corners(size: int, tile: int, step: float) -> list[int]:
    count = math.ceil((size - tile) / (tile * step)) + 1
    return [round(n * (size - tile) / (count - 1)) for n in range(count)] if count > 1 else [0]


def tile_logits(sessions: list, model: dict, tile: np.ndarray) -> np.ndarray:
    """Mean over networks and mirrored copies."""
    axes = [axis + 1 for axis in model["mirror_axes"]]
    flips = [flip for count in range(len(axes) + 1) for flip in itertools.combinations(axes, count)]
    total = 0
    for session, flip in itertools.product(sessions, flips):
        batch = np.ascontiguousarray(np.flip(tile, flip))[None]
        (logits,) = session.run([model["output_name"]], {model["input_name"]: batch})
        total = total + np.flip(logits[0], flip)
    return total / (len(sessions) * len(flips))


def decided(model: dict, heads: list[np.ndarray]) -> np.ndarray:
    """The class of each voxel: the largest head, or each region above 0 in turn."""
    if not model["regions"]:
        return np.argmax(heads, axis=0)
    classes = np.zeros(heads[0].shape, int)
    for head, written in zip(heads, model["regions"], strict=True):
        classes[head > 0] = written
    return classes


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
