"""What a cascade is worth on a phantom that is large for its patch: python benchmarks/cascade.py WORKSPACE

WORKSPACE: an empty folder. Near two opposite faces of each volume lie vessels: thick trunks, and branches two voxels thin. They
are arteries where the stripes of two plates in the middle of the volume run one way, and veins where they run the other; the
plates are too far away for a patch of the full resolution to see both. So the low resolution knows what they are but cannot
draw the branches, and the full resolution needs to be told. Prints the Dice of the branches.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

NAME = "Dataset801_Vessels"
SIZE, CASES, TEST_CASES, BRANCHES = 96, 12, 4, 6
MARGIN, DEPTH = 4, 6  # of what lies near the faces
LABELS = {"background": 0, "artery": 1, "vein": 2}
TRUNKS = [slice(first, first + 8) for first in range(2 * MARGIN, SIZE - 2 * MARGIN, 24)]
PLATES = slice(36, 44), slice(52, 60)
LENGTH = "--epochs 12 --iterations 50 --batch-size 4 --validation-iterations 5 --no-mirroring --optimizer adamw --lr 0.003"


def main(workspace: Path) -> None:
    write(workspace / "raw" / NAME)
    run(workspace, "plan -d 801 --gpu-memory 0.4 --features 8 --patch-size 24 24 24")
    for fold in (0, 1):
        run(workspace, f"train 801 3d_lowres {fold} {LENGTH}")
    run(workspace, f"train 801 3d_cascade_fullres 0 {LENGTH}")
    run(workspace, f"train 801 3d_fullres 0 {LENGTH}")
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
        "channel_names": {"0": "MRI"},
        "labels": LABELS,
        "numTraining": CASES,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    names = [f"case_{number:02d}" for number in range(CASES)]
    halves = names[: CASES // 2], names[CASES // 2 :]
    splits = [{"train": halves[1], "val": halves[0]}, {"train": halves[0], "val": halves[1]}]
    (folder / "splits_final.json").write_text(json.dumps(splits))


def volume(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    image, labels = random.normal(0, 0.25, (SIZE,) * 3), np.zeros((SIZE,) * 3, np.uint8)
    label = int(random.integers(1, 3))
    stripes = np.where(np.arange(SIZE) // 12 % 2, 3, -3)
    for plate in PLATES:
        image[..., plate] += stripes[:, None, None] if label == LABELS["artery"] else stripes[:, None]
    for near in (slice(MARGIN, MARGIN + DEPTH), slice(SIZE - MARGIN - DEPTH, SIZE - MARGIN)):
        for rows in TRUNKS:
            trunk = slice(2 * MARGIN, SIZE - 2 * MARGIN), rows, near
            image[trunk] += 1
            labels[trunk] = label
        for _ in range(BRANCHES):
            draw_branch(random, image, labels, near, label)
    return image.astype(np.float32), labels


def draw_branch(random: np.random.Generator, image: np.ndarray, labels: np.ndarray, near: slice, label: int) -> None:
    along = np.arange(MARGIN, SIZE - MARGIN)
    wave = np.round(3 * np.sin(along / random.uniform(6, 14) + random.uniform(0, 6))).astype(int)
    depth, row = random.integers(near.start, near.stop - 1), random.integers(2 * MARGIN, SIZE - 2 * MARGIN) + wave
    for dz in (0, 1):
        for dx in (0, 1):
            place = row + dz, along, depth + dx
            image[place] = 2 + random.normal(0, 0.25, len(along))
            labels[place] = label


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))


def dice(workspace: Path, predictions: str) -> float:
    """Mean over the cases of the Dice of the right kind of vessel, without the trunks."""
    scores = []
    for path in sorted((workspace / "raw" / NAME / "labelsTs").glob("*.nii.gz")):
        truth, found = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(file))) for file in (path, workspace / predictions / path.name)
        )
        for rows in TRUNKS:
            truth[:, rows] = found[:, rows] = 0
        label = truth.max()
        scores.append(2 * ((truth == label) & (found == label)).sum() / ((truth == label).sum() + (found == label).sum()))
    return float(np.mean(scores))


def run(workspace: Path, command: str) -> None:
    words = [sys.executable, "-m", "segforge", *command.split()]
    with (workspace / "output.log").open("a") as log:
        subprocess.run(words, cwd=workspace, stdout=log, stderr=log, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
