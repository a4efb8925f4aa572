"""One small case for each branch of preprocessing, by SegForge and by nnU-Net: `compare_preprocessing.py SCRATCH PEER_PYTHON`.

Prints, for each data set and configuration, the largest difference of an image and the number of differing label voxels.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from PIL import Image as Picture

from segforge.dataset.cases import open_dataset, read_case_classes, read_case_image
from segforge.preprocessing.preprocessor import Preprocessor
from segforge.sharing.nnunet_plans import plans_from_nnunet

PEER = """
import json, os, sys
from pathlib import Path
import numpy as np
from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

for folder in sorted(Path(os.environ["nnUNet_raw"]).iterdir()):
    number, limit = int(folder.name[7:10]), json.loads((folder / "dataset.json").read_text()).get("gpu_memory", 8)
    extract_fingerprints([number], num_processes=1, clean=False)
    plan_experiments([number], gpu_memory_target_in_gb=limit)
    plans = PlansManager(str(Path(os.environ["nnUNet_preprocessed"]) / folder.name / "nnUNetPlans.json"))
    description = json.loads((folder / "dataset.json").read_text())
    for name in plans.available_configurations:
        configuration = plans.get_configuration(name)
        preprocessor = configuration.preprocessor_class(verbose=False)
        for case, files in get_filenames_of_train_images_and_targets(str(folder), description).items():
            data, seg, _ = preprocessor.run_case(files["images"], files["label"], plans, configuration, description)
            target = Path(os.environ["nnUNet_preprocessed"]) / folder.name / f"{name}__{case}.npz"
            np.savez(target, image=data.astype(np.float32), seg=seg)
"""

LABELS = {"background": 0, "a": 1, "b": 2}
Spacing = tuple[float, float, float]


def write_case(
    folder: Path, name: str, shape: tuple[int, ...], spacing: Spacing, *, seed: int, labels: int = 3, channels: int = 1,
    border: int = 0, ignored: int | None = None,
) -> None:  # fmt: skip
    """A noisy case, spacing z y x, with blobs of labels; a border of zeros around an ellipsoid if asked for."""
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij"))
    bands = (np.sin(4 * grid[0] + seed) + np.cos(5 * grid[1]) + np.sin(6 * grid[2])) / 3
    classes = np.clip(((bands + 1) / 2 * labels).astype(np.int32), 0, labels - 1)
    inside = (grid**2).sum(0) < (1 - border / min(shape)) ** 2 if border else np.ones(shape, bool)
    classes[~inside] = 0
    if ignored is not None:
        classes[random.random(shape) < 0.3] = ignored
    arrays = [(classes * 50 + random.normal(100, 20, shape)).astype(np.float32) * inside for _ in range(channels)]
    for channel, array in enumerate(arrays):
        write(folder / "imagesTr" / f"{name}_{channel:04d}.nii.gz", array, spacing)
    write(folder / "labelsTr" / f"{name}.nii.gz", classes.astype(np.int16), spacing)


def write(path: Path, array: np.ndarray, spacing: Spacing) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing[::-1])
    sitk.WriteImage(image, str(path))


def describe(folder: Path, cases: int, **changes: Any) -> None:
    content = {"channel_names": {"0": "MRI"}, "labels": LABELS, "numTraining": cases, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(content | changes))


def data_set(raw: Path, number: int, name: str, cases: list[tuple[tuple[int, ...], Spacing]], **changes: Any) -> None:
    folder = raw / f"Dataset{number:03d}_{name}"
    own = {key: changes.pop(key) for key in ("labels_count", "channels", "border", "ignored") if key in changes}
    own["labels"] = own.pop("labels_count", 3)
    for index, (shape, spacing) in enumerate(cases):
        write_case(folder, f"case_{index}", shape, spacing, seed=number * 10 + index, **own)
    describe(folder, len(cases), **changes)


def photographs(raw: Path) -> None:
    folder, random = raw / "Dataset060_Rgb", np.random.default_rng(0)
    for index in range(3):
        for kind, array in (("imagesTr", random.integers(0, 256, (60, 70, 3))), ("labelsTr", random.integers(0, 2, (60, 70)))):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            path = folder / kind / (f"c{index}_0000.png" if kind == "imagesTr" else f"c{index}.png")
            Picture.fromarray(array.astype(np.uint8)).save(path)
    names = dict.fromkeys("012", "rgb_to_0_1")
    describe(folder, 3, channel_names=names, labels={"background": 0, "a": 1}, file_ending=".png")


def make_all(raw: Path) -> None:
    thin, thick = (24, 40, 44), (14, 44, 40)
    data_set(raw, 51, "CoarseFirst", [(thick, (5.0, 1.0, 1.0)), (thin, (3.1, 0.9, 1.1)), (thin, (5.0, 0.8, 0.8))])
    data_set(raw, 52, "CoarseMiddle", [((44, 14, 40), (1.0, 5.0, 1.0)), ((40, 24, 44), (0.9, 3.5, 1.0))])
    data_set(raw, 53, "CoarseLast", [((44, 40, 14), (1.0, 1.0, 5.0)), ((40, 44, 24), (0.9, 1.0, 2.0))])
    data_set(raw, 54, "JustBelow3", [(thin, (2.99, 1.0, 1.0)), (thin, (2.9, 0.99, 1.0))])
    data_set(raw, 55, "JustAbove3", [(thin, (3.01, 1.0, 1.0)), (thin, (3.2, 1.0, 1.02))])
    data_set(raw, 56, "Masked", [((40, 44, 48), (1.5, 1.0, 1.0)), ((44, 40, 48), (1.2, 1.1, 1.0))], border=6)
    data_set(raw, 57, "LowResolution", [((60, 64, 60), (1.0, 1.0, 1.0)), ((64, 60, 66), (1.1, 1.0, 1.0))], gpu_memory=0.1)
    many = {"background": 0} | {f"l{number}": number for number in range(1, 140)}
    data_set(
        raw, 58, "ManyLabels", [((30, 32, 34), (1.5, 1.0, 1.0)), ((32, 30, 34), (1.0, 1.1, 1.0))], labels_count=140, labels=many
    )
    regions = {"background": 0, "whole": [1, 2], "core": 2}
    data_set(raw, 59, "Regions", [((30, 32, 34), (1.5, 1.0, 1.0)), ((32, 30, 34), (1.0, 1.1, 1.0))], border=5,
             labels=regions, regions_class_order=[1, 2])  # fmt: skip
    photographs(raw)
    data_set(raw, 61, "Ignore", [((30, 32, 34), (1.5, 1.0, 1.0)), ((32, 30, 34), (1.0, 1.1, 1.0))], channels=2,
             channel_names={"0": "CT", "1": "rescale_to_0_1"}, ignored=3, labels=LABELS | {"ignore": 3})  # fmt: skip


def compare(folder: Path, reference: Path) -> None:
    dataset = open_dataset(folder)
    plans = plans_from_nnunet(json.loads((reference / "nnUNetPlans.json").read_text()), dataset.description, str(reference))
    cases = {case.id: case for case in dataset.cases}
    worst: dict[str, tuple[float, int, int]] = {}
    for path in sorted(reference.glob("*.npz")):
        name, case = path.stem.split("__")
        image = read_case_image(cases[case], dataset.description)
        classes = read_case_classes(cases[case], image, dataset.description)
        preprocess = Preprocessor(plans, plans.configuration(name), dataset.description.label_scheme)
        ours = preprocess(image, classes)
        with np.load(path) as theirs:
            difference = float(np.abs(ours.image - theirs["image"]).max())
            wrong, total = int((ours.classes != theirs["seg"]).sum()), theirs["seg"].size
        before = worst.get(name, (0.0, 0, 0))
        worst[name] = (max(before[0], difference), before[1] + wrong, before[2] + total)
    for name, (difference, wrong, total) in worst.items():
        print(f"{folder.name:26} {name:20} image {difference:.1e}   labels {wrong} of {total} differ")


def main() -> None:
    scratch, peer = Path(sys.argv[1]), sys.argv[2]
    make_all(scratch / "raw")
    places = {f"nnUNet_{place}": str(scratch / place) for place in ("raw", "preprocessed", "results")}
    subprocess.run([peer, "-W", "ignore", "-c", PEER], env=os.environ | places, check=True, stdout=subprocess.DEVNULL)
    for folder in sorted((scratch / "raw").iterdir()):
        compare(folder, scratch / "preprocessed" / folder.name)


if __name__ == "__main__":
    main()
