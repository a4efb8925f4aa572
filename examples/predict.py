"""Predict one image with a trained model from Python: predict.py MODEL_FOLDER IMAGE OUTPUT

For example: predict.py results/Dataset004_Hippocampus/default__default__3d_fullres hippocampus_001_0000.nii.gz labels.nii.gz
"""

import sys

import SimpleITK as sitk

import segforge


def main() -> None:
    model, source, target = sys.argv[1:]
    predictor = segforge.load(model)
    image = sitk.ReadImage(source)
    labels = predictor.predict_array(sitk.GetArrayFromImage(image), spacing=image.GetSpacing()[::-1])
    result = sitk.GetImageFromArray(labels)
    result.CopyInformation(image)
    sitk.WriteImage(result, target)


if __name__ == "__main__":
    main()
