"""What a cascade is worth on a phantom that is large for its patch: python benchmarks/cascade.py WORKSPACE

WORKSPACE: an empty folder. Each volume holds threads two voxels thin on two sides; only those on the side of a bright ball
belong to the label, and the ball is too far away for a patch of the full resolution to see. So the low resolution knows which
side it is but cannot draw the threads, and the full resolution needs to be told.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

NAME = "Dataset801_Threads"
SIZE, CASES, TEST_CASES, THREADS = 96, 12, 4, 6
LOW = "--epochs 12 --iterations 50 --batch-size 2 --validation-iterations 5"
CASCADE = "--epochs 16 --iterations 50 --batch-size 2 --validation-iterations 5"


def main(workspace: Path) -> None:
    write(workspace / "raw" / NAME)
    run(workspace, "plan -d 801 --gpu-memory 0.4 --features 8 --patch-size 32 32 32")
    for fold in (0, 1):
        run(workspace, f"train 801 3d_lowres {fold} {LOW}")
    run(workspace, f"train 801 3d_cascade_fullres 0 {CASCADE}")
    run(workspace, f"train 801 3d_fullres 0 {CASCADE}")
    test = workspace / "raw" / NAME / "imagesTs"
    for configuration in ("3d_lowres", "3d_fullres", "3d_cascade_fullres"):
        run(workspace, f"predict -i {test} -o {configuration} -c {configuration}")
        print(f"{configuration}: Dice {dice(workspace, configuration):.3f}", flush=True)
    for path in (workspace / "3d_lowres").glob("*.nii.gz"):
        save(workspace / "nothing" / path.name, np.zeros((SIZE,) * 3, np.uint8))
    run(workspace, f"predict -i {test} -o zeroed -c 3d_cascade_fullres --previous-stage nothing")
    print(f"3d_cascade_fullres without its previous stage: Dice {dice(workspace, 'zeroed'):.3f}")


def write(folder: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(CASES + TEST_CASES):
        kinds = ("imagesTr", "labelsTr") if number < CASES else ("imagesTs", "labelsTs")
        image, labels = volume(random)
        save(folder / kinds[0] / f"case_{number:02d}_0000.nii.gz", image)
        save(folder / kinds[1] / f"case_{number:02d}.nii.gz", labels)
    description = {
        "channel_names": {"0": "MRI"}, "labels": {"background": 0, "thread": 1}, "numTraining": CASES, "file_ending": ".nii.gz"
    }  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(description))
    names = [f"case_{number:02d}" for number in range(CASES)]
    halves = names[: CASES // 2], names[CASES // 2 :]
    splits = [{"train": halves[1], "val": halves[0]}, {"train": halves[0], "val": halves[1]}]
    (folder / "splits_final.json").write_text(json.dumps(splits))


def volume(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    image, labels = random.normal(0, 0.25, (SIZE,) * 3), np.zeros((SIZE,) * 3, np.uint8)
    side = int(random.integers(2))
    z, y, x = np.indices((SIZE,) * 3)
    ball = (z - SIZE // 2) ** 2 + (y - SIZE // 2) ** 2 + (x - (20 if side == 0 else SIZE - 21)) ** 2 < 12**2
    image[ball] += 3
    along = np.arange(4, SIZE - 4)
    for this_side in (0, 1):
        for _ in range(THREADS):
            column = random.integers(4, 24) if this_side == 0 else random.integers(72, 92)
            centre = random.integers(8, SIZE - 8), column
            wave = np.round(3 * np.sin(along / random.uniform(6, 14) + random.uniform(0, 6))).astype(int)
            for dz in (0, 1):
                for dx in (0, 1):
                    place = np.clip(centre[0] + wave + dz, 0, SIZE - 1), along, np.clip(centre[1] + dx, 0, SIZE - 1)
                    image[place] = 1.5 + random.normal(0, 0.25, len(along))
                    labels[place] = this_side == side
    return image.astype(np.float32), labels


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))


def dice(workspace: Path, predictions: str) -> float:
    scores = []
    for path in sorted((workspace / "raw" / NAME / "labelsTs").glob("*.nii.gz")):
        files = path, workspace / predictions / path.name
        truth, found = (sitk.GetArrayFromImage(sitk.ReadImage(str(file))) > 0 for file in files)
        scores.append(2 * (truth & found).sum() / (truth.sum() + found.sum()))
    return float(np.mean(scores))


def run(workspace: Path, command: str) -> None:
    words = [sys.executable, "-m", "segforge", *command.split()]
    with (workspace / "output.log").open("a") as log:
        subprocess.run(words, cwd=workspace, stdout=log, stderr=log, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
