"""Two models, one after the other: a coarse one finds a region, a fine one sees only that.

    python crop_then_predict.py FINDER MODEL IMAGE OUTPUT

FINDER: a model whose labels mark the region, an organ for example. MODEL: the one that looks into it.
"""

import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

import segforge

MARGIN = 20.0  # mm around the region


def main(finder: Path, model: Path, source: Path, target: Path) -> None:
    image = sitk.ReadImage(str(source))
    array, spacing = sitk.GetArrayFromImage(image), image.GetSpacing()[::-1]
    found = segforge.load(finder, mirroring=False).predict_array(array, spacing)
    labels = np.zeros(array.shape, np.int32)
    if found.any():
        region = box_around(found > 0, [round(MARGIN / size) for size in spacing])
        labels[region] = segforge.load(model).predict_array(array[region], spacing)
        print("region:", ", ".join(f"{part.start} to {part.stop}" for part in region))
    else:
        print("the region was not found; the result is empty")
    result = sitk.GetImageFromArray(labels)
    result.CopyInformation(image)
    sitk.WriteImage(result, str(target))


def box_around(mask: np.ndarray, margins: list[int]) -> tuple[slice, ...]:
    """The smallest box around the true voxels, and a margin on each side as far as the image goes."""
    places = np.argwhere(mask)
    first, last = places.min(0), places.max(0)
    return tuple(
        slice(max(0, low - margin), min(size, high + 1 + margin))
        for low, high, margin, size in zip(first, last, margins, mask.shape, strict=True)
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]))
