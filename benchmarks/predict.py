"""`segforge predict` beside nnU-Net's, same weights, from the command line, in one run: time, peak memory, agreement.

    python benchmarks/predict.py hippocampus SHARED SCRATCH PEER_BIN
    python benchmarks/predict.py large SHARED SCRATCH PEER_BIN

SHARED: a folder with data/Dataset004_Hippocampus and golden/models. SCRATCH: an empty folder. PEER_BIN: the folder of
nnU-Net's commands. `large` makes a volume of 512 x 512 x 300 voxels that is about 40 tiles for the network.
"""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from preprocess import measured

from segforge.sharing.nnunet_model import import_nnunet_model

CASES = 20
VOXELS, EXTENT = (300, 512, 512), (80.0, 112.0, 100.0)  # and mm, along z, y, x


def main(kind: str, shared: Path, scratch: Path, peer: Path) -> None:
    images = scratch / "images"
    images.mkdir(parents=True)
    if kind == "large":
        write_large(images / "large_0000.nii.gz")
    else:
        for path in sorted((shared / "data" / "Dataset004_Hippocampus" / "imagesTr").iterdir())[:CASES]:
            shutil.copy(path, images)
    theirs = shared / "golden" / "models" / "hippocampus_3d_plain"
    model = import_nnunet_model(theirs, scratch / "models").path
    nnunet = [peer / "nnUNetv2_predict_from_modelfolder", "-i", images, "-o", "nnunet", "-m", theirs, "-f", "0"]
    runs = {
        "nnU-Net": [*nnunet, "-device", "cpu", "--disable_progress_bar"],
        "SegForge": [sys.executable, "-m", "segforge", "predict", "-i", images, "-o", "ours", "-m", model],
        "SegForge fp32": [
            sys.executable, "-m", "segforge", "predict", "-i", images, "-o", "fp32", "-m", model, "--precision", "fp32"
        ],
    }  # fmt: skip
    took = {name: measured(list(map(str, command)), scratch, {}) for name, command in runs.items()}
    for name, (seconds, gigabytes) in took.items():
        times, memory = took["nnU-Net"][0] / seconds, gigabytes / took["nnU-Net"][1]
        print(f"{name}: {seconds:.1f} s, {gigabytes:.2f} GB; {times:.1f} x as fast, {memory:.2f} of the memory")
    for name in ("ours", "fp32"):
        same = [(voxels(path) == voxels(scratch / name / path.name)).mean() for path in (scratch / "nnunet").glob("*.nii.gz")]
        print(f"{name}: {len(same)} cases, {np.mean(same):.6%} of the voxels as nnU-Net's, at least {min(same):.6%}")
    forecast = re.findall(r".*passes through networks.*", (scratch / "output.log").read_text())
    record = json.loads((scratch / "ours" / "prediction.json").read_text())
    print(f"forecast: {forecast[0]}")
    for stage in ("read", "preprocess", "network", "export"):
        print(f"  {stage}: {sum(case['seconds'][stage] for case in record['cases'].values()):.1f} s")


def write_large(path: Path) -> None:
    random = np.random.default_rng(0)
    coarse = sitk.GetImageFromArray(random.normal(size=[int(size) // 4 for size in EXTENT]).astype(np.float32))
    coarse.SetSpacing([n / (int(size) // 4) for n, size in zip(VOXELS[::-1], EXTENT[::-1], strict=True)])
    image = sitk.Resample(coarse, VOXELS[::-1], sitk.Transform(), sitk.sitkLinear, (0, 0, 0), (1, 1, 1))
    image = sitk.GetImageFromArray((sitk.GetArrayFromImage(image) * 40 + 100 + random.normal(0, 5, VOXELS)).astype(np.int16))
    image.SetSpacing([size / n for n, size in zip(VOXELS[::-1], EXTENT[::-1], strict=True)])
    sitk.WriteImage(image, str(path))


def voxels(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
