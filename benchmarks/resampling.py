"""Resampling beside scikit-image's, in one run: `python benchmarks/resampling.py`."""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
from skimage.transform import resize

from segforge.preprocessing.resampling import Resampling

SHAPE, NEW_SHAPE = (120, 300, 300), (200, 280, 280)


def seconds(function: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return median(times)


def main() -> None:
    random = np.random.default_rng(0)
    image = random.normal(size=(1, *SHAPE)).astype(np.float32)
    ours = Resampling(SHAPE, NEW_SHAPE, None)
    mine = seconds(lambda: ours.image(image, 3), 5)
    options = {"order": 3, "mode": "edge", "clip": True, "anti_aliasing": False}
    theirs = seconds(lambda: resize(image[0].astype(np.float64), NEW_SHAPE, **options), 1)
    expected = resize(image[0].astype(np.float64), NEW_SHAPE, **options)
    difference = np.abs(ours.image(image, 3)[0] - expected).max() / np.ptp(image)
    print(f"order 3, {SHAPE} -> {NEW_SHAPE}: {mine:.2f} s, scikit-image {theirs:.2f} s, {theirs / mine:.1f} x; "
          f"largest difference {difference:.1e} of the range")  # fmt: skip
    logits = random.normal(size=(40, 60, 150, 150)).astype(np.float32)
    ours, options["order"] = Resampling((60, 150, 150), SHAPE, None), 1
    mine = seconds(lambda: [None for head in logits for slab in ours.slabs(4) if len(ours.rows(head, 1, slab))], 3)
    theirs = seconds(lambda: [resize(head.astype(np.float64), SHAPE, **options) for head in logits], 1)
    print(f"order 1, 40 x (60, 150, 150) -> {SHAPE}: {mine:.2f} s, scikit-image {theirs:.2f} s, {theirs / mine:.1f} x")


if __name__ == "__main__":
    main()
