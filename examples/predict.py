"""Predict from Python, without files in between: python predict.py MODEL IMAGE OUTPUT

MODEL: a model's folder, or a data set's results folder after `segforge find-best`. IMAGE: a volume of one channel.
"""

import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

import segforge


def main(model: Path, source: Path, target: Path) -> None:
    predictor = segforge.load(model)  # loads the weights once; may be called as often as one likes, from several threads
    image = sitk.ReadImage(str(source))
    array = sitk.GetArrayFromImage(image)  # (Z, Y, X), as SegForge wants it
    labels, probabilities = predictor.predict_array(array, spacing=image.GetSpacing()[::-1], probabilities=True)
    result = sitk.GetImageFromArray(labels)
    result.CopyInformation(image)
    sitk.WriteImage(result, str(target))
    values, counts = np.unique(labels, return_counts=True)
    print({int(value): int(count) for value, count in zip(values, counts, strict=True)}, "voxels by label")
    print(f"least certain voxel: {probabilities.max(0).min():.2f}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
