"""From logits to a label map beside nnU-Net's function for it: time, and peak memory of the process.

    python benchmarks/export.py DATA SCRATCH PEER_PYTHON

DATA: a folder with ct_abdomen. SCRATCH: a folder with room for 1 GB. PEER_PYTHON: the Python that has nnU-Net.
Random smooth logits of 3, 30 and 117 classes at 3 mm go to 1.5 mm; each run is a process of its own.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

CLASSES = (3, 30, 117)
SPACING, NEW_SPACING = (3.0, 3.0, 3.0), (1.5, 1.5, 1.5)


def main(data: Path, scratch: Path, peer: str) -> None:
    import nibabel
    from scipy.ndimage import zoom

    shape = nibabel.load(data / "ct_abdomen" / "example_ct.nii.gz").shape[::-1]
    random = np.random.default_rng(0)
    results = {}
    for classes in CLASSES:
        logits = np.empty((classes, *shape), np.float32)
        for head in logits:
            coarse = random.normal(size=[size // 8 for size in shape])
            head[...] = zoom(coarse, [n / c for n, c in zip(shape, coarse.shape, strict=True)], order=1) * 3
        np.save(scratch / "logits.npy", logits)
        megabytes = logits.nbytes / 1e6
        del logits
        for name, python in (("ours", sys.executable), ("nnunet", peer)):
            process = subprocess.run([python, __file__, name, scratch], check=True, capture_output=True, text=True)
            results[name] = json.loads(process.stdout.splitlines()[-1])
        ours, theirs = results["ours"], results["nnunet"]
        same = (np.load(scratch / "ours.npy") == np.load(scratch / "nnunet.npy")).mean()
        print(
            f"{classes} classes: {ours['seconds']:.2f} s, nnU-Net {theirs['seconds']:.2f} s, "
            f"{theirs['seconds'] / ours['seconds']:.1f} x; above the logits ({megabytes:.0f} MB) and what was loaded before "
            f"{ours['above']:.0f} MB, nnU-Net {theirs['above']:.0f} MB; whole process {ours['peak']:.0f} MB, "
            f"nnU-Net {theirs['peak']:.0f} MB, {ours['peak'] / theirs['peak']:.2f}; same labels {same:.6%}",
            flush=True,
        )


def measure(name: str, scratch: Path) -> None:
    logits = np.load(scratch / "logits.npy")
    prepared = prepare_ours(logits) if name == "ours" else prepare_nnunet(logits)
    before = peak()
    begin = time.perf_counter()
    labels = prepared()
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "peak": peak(), "above": peak() - before}))
    np.save(scratch / f"{name}.npy", labels)


def prepare_ours(logits: np.ndarray):
    import torch

    from segforge.dataset.labels import LabelScheme
    from segforge.images.image import Geometry
    from segforge.inference.export import CaseLogits, labels_of
    from segforge.preprocessing.preprocessor import CaseProperties
    from segforge.preprocessing.resampling import Resampling

    names = {"background": 0} | {f"structure {number}": number for number in range(1, len(logits))}
    scheme, shape, small = LabelScheme.from_description(names), new_shape(logits), logits.shape[1:]
    properties = CaseProperties(
        geometry=Geometry(shape, NEW_SPACING), spacing=NEW_SPACING, shape=shape, crop_begin=(0, 0, 0), crop_end=shape,
        new_shape=small,
    )  # fmt: skip
    resampling = Resampling.between(small, shape, SPACING, NEW_SPACING)
    case = CaseLogits(torch.from_numpy(logits), properties, (0, 1, 2), resampling, 1)
    return lambda: labels_of([case], scheme)


def prepare_nnunet(logits: np.ndarray):
    from functools import partial
    from types import SimpleNamespace

    import torch
    from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape as convert
    from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape
    from nnunetv2.utilities.label_handling.label_handling import LabelManager

    shape = new_shape(logits)
    names = {"background": 0} | {f"structure {number}": number for number in range(1, len(logits))}
    plans = SimpleNamespace(transpose_forward=[0, 1, 2], transpose_backward=[0, 1, 2])
    resample = partial(resample_data_or_seg_to_shape, is_seg=False, order=1, order_z=0, force_separate_z=None)
    configuration = SimpleNamespace(spacing=list(SPACING), resampling_fn_probabilities=resample)
    properties = {
        "spacing": list(NEW_SPACING), "shape_after_cropping_and_before_resampling": shape, "shape_before_cropping": shape,
        "bbox_used_for_cropping": [[0, size] for size in shape],
    }  # fmt: skip
    manager, tensor = LabelManager(names, None), torch.from_numpy(logits)
    return lambda: convert(tensor, plans, configuration, manager, properties, num_threads_torch=2)


def new_shape(logits: np.ndarray) -> tuple[int, ...]:
    return tuple(round(old * size / new) for old, new, size in zip(SPACING, NEW_SPACING, logits.shape[1:], strict=True))


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    if sys.argv[1] in ("ours", "nnunet"):
        measure(sys.argv[1], Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
