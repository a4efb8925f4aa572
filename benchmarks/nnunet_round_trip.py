"""A model of SegForge's, exported, predicted with by nnU-Net: nnunet_round_trip.py MODEL IMAGES NNUNET_BIN

Exports MODEL for nnU-Net, predicts IMAGES with both in fp32 on the processor, with and without mirroring, and prints the share
of voxels with equal labels; fails below 0.9999. NNUNET_BIN: the folder of nnUNetv2_predict_from_modelfolder.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from segforge.api.prediction import PredictionOptions, predict
from segforge.api.sharing import ExportOptions, export_model

LEAST = 0.9999


def main(model: Path, images: Path, peer: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        export_model(model, work / "exported", options=ExportOptions(format="nnunet"))
        shares = [agreement(work, model, images, peer, mirroring=mirroring) for mirroring in (False, True)]
    sys.exit(min(shares) < LEAST)


def agreement(work: Path, model: Path, images: Path, peer: Path, *, mirroring: bool) -> float:
    """Share of voxels to which both give the same label."""
    ours, theirs = work / f"ours_{mirroring}", work / f"theirs_{mirroring}"
    predict(images, ours, model=model, device="cpu", options=PredictionOptions(mirroring=mirroring, precision="fp32"))
    command = [str(peer / "nnUNetv2_predict_from_modelfolder"), "-i", str(images), "-o", str(theirs), "-device", "cpu"]
    folds = sorted(path.name.removeprefix("fold_") for path in (work / "exported").glob("fold_*"))
    command += ["-m", str(work / "exported"), "-f", *folds, "-npp", "1", "-nps", "1", *([] if mirroring else ["--disable_tta"])]
    variables = {name: str(work) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | variables)
    equal = [(labels(path) == labels(theirs / path.name)).ravel() for path in sorted(ours.iterdir()) if path.suffix != ".json"]
    share = float(np.concatenate(equal).mean())
    print(f"{'with' if mirroring else 'without'} mirroring: {len(equal)} cases, {share:.6f} of the voxels equal")
    return share


def labels(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
