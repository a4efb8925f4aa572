"""`segforge plan` with preprocessing beside nnU-Net's, in one run, from the command line: time and peak memory.

    python benchmarks/preprocess.py hippocampus DATA SCRATCH PEER_BIN
    python benchmarks/preprocess.py ct DATA SCRATCH PEER_BIN

DATA: a folder with Dataset004_Hippocampus. SCRATCH: an empty folder. PEER_BIN: the folder of nnU-Net's commands.
`ct` makes two volumes of 512 x 512 x 300 voxels at 0.8 x 0.8 x 1.5 mm and brings them to 1.5 mm; `ct-finer` is the reverse.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

CASES = 2
VOXELS = (300, 512, 512)
COARSE, FINE = (1.5, 1.5, 1.5), (0.8, 0.8, 1.5)  # x, y, z


def make_volumes(folder: Path, spacing: tuple[float, float, float], shape: tuple[int, int, int]) -> None:
    """Smooth volumes in Hounsfield units with two structures."""
    random = np.random.default_rng(0)
    for kind in ("imagesTr", "labelsTr"):
        (folder / kind).mkdir(parents=True)
    for number in range(CASES):
        coarse = sitk.GetImageFromArray(random.normal(size=(20, 24, 24)).astype(np.float32))
        factors = [size / 24 if axis < 2 else size / 20 for axis, size in enumerate(reversed(shape))]
        coarse.SetSpacing(factors)
        smooth = sitk.Resample(coarse, shape[::-1], sitk.Transform(), sitk.sitkLinear, (0, 0, 0), (1, 1, 1))
        array = sitk.GetArrayFromImage(smooth)
        for name, voxels in (
            (f"imagesTr/ct_{number}_0000", (array * 300 - 100 + random.normal(0, 20, shape)).astype(np.int16)),
            (f"labelsTr/ct_{number}", (array > 0.8).astype(np.uint8) + (array > 1.2)),
        ):
            image = sitk.GetImageFromArray(voxels)
            image.SetSpacing(spacing)
            sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    description = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "organ": 1, "lesion": 2},
        "numTraining": CASES,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(description))


def measured(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds of a command, and the largest sum in GB of the memory of its processes that only they use."""
    with (folder / "output.log").open("a") as output:
        begin, peak = time.perf_counter(), 0.0
        process = subprocess.Popen(command, cwd=folder, env=os.environ | environment, stdout=output, stderr=output)
        while process.poll() is None:
            peak = max(peak, sum(private_memory(number) for number in tree(process.pid)))
            time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{command} failed: {folder / 'output.log'}")
    return time.perf_counter() - begin, peak / 1e9


def tree(root: int) -> list[int]:
    children = Path(f"/proc/{root}/task/{root}/children")
    try:
        return [root, *(number for child in children.read_text().split() for number in tree(int(child)))]
    except OSError:
        return [root]


def private_memory(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024


def main() -> None:
    kind, data, scratch, peer = sys.argv[1], *map(Path, sys.argv[2:5])
    name = "Dataset004_Hippocampus" if kind == "hippocampus" else "Dataset099_CT"
    raw = scratch / "raw" / name
    if kind == "hippocampus":
        shutil.copytree(data / name, raw)
    else:
        before = FINE if kind == "ct" else COARSE
        make_volumes(raw, before, VOXELS)
    number, configurations = str(int(name[7:10])), ["2d", "3d_fullres"] if kind == "hippocampus" else ["3d_fullres"]
    target = {"hippocampus": [], "ct": COARSE[::-1], "ct-finer": FINE[::-1]}[kind]
    spacing = [str(value) for value in target]
    ours = ["segforge", "plan", "-d", number, "-c", *configurations, *(["--spacing", *spacing] if spacing else [])]
    seconds, memory = measured([sys.executable, "-m", *ours], scratch, {})
    stored = sum(
        path.stat().st_size for path in (scratch / "preprocessed").rglob("*") if path.parent.name.startswith("default_")
    )
    print(f"segforge: {seconds:.1f} s, {memory:.2f} GB of memory, {stored / 1e9:.3f} GB on disk")
    print("\n".join(line for line in (scratch / "output.log").read_text().splitlines() if "cases:" in line or "takes" in line))
    places = {f"nnUNet_{place}": str(scratch / place) for place in ("raw", "results")}
    places["nnUNet_preprocessed"] = str(scratch / "peer")
    overwritten = ["-overwrite_target_spacing", *spacing] if spacing else []
    theirs = [
        "nnUNetv2_plan_and_preprocess",
        "-d",
        number,
        "-c",
        *configurations,
        "-npfp",
        "2",
        "-np",
        *["2"] * len(configurations),
    ]
    peer_seconds, peer_memory = measured([str(peer / theirs[0]), *theirs[1:], *overwritten], scratch, places)
    print(f"nnU-Net: {peer_seconds:.1f} s, {peer_memory:.2f} GB of memory")
    print(f"{peer_seconds / seconds:.1f} x faster, {memory / peer_memory:.2f} of the memory")


if __name__ == "__main__":
    main()
