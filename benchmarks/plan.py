"""Milliseconds to plan all five presets for each golden data set, in a fresh process: plan.py GOLDEN_PLANNER_FOLDER

GOLDEN_PLANNER_FOLDER holds files with `dataset_json` and `fingerprint`. Beside it, seconds of nnU-Net's
`nnUNetv2_plan_experiment` for one preset, if its data sets are set up: plan.py FOLDER --peer COMMAND ...
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

PRESETS = (("default", None), ("default", 16.0), ("resenc-m", None), ("resenc-l", None), ("resenc-xl", None))
ROUNDS = 5


def main() -> None:
    arguments = sys.argv[1:]
    peer = arguments[arguments.index("--peer") + 1 :] if "--peer" in arguments else []
    if arguments[0] == "--one":
        return print(plan_all(Path(arguments[1])))
    for path in sorted(Path(arguments[0]).glob("*.json")):
        words = [sys.executable, __file__, "--one", str(path)]
        seconds = [float(subprocess.run(words, check=True, capture_output=True, text=True).stdout) for _ in range(ROUNDS)]
        print(f"{path.stem:32} {statistics.median(seconds) * 1000:6.1f} ms", flush=True)
    if peer:
        seconds = []
        for _ in range(3):
            begin = time.perf_counter()
            subprocess.run(peer, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - begin)
        print(f"{'nnU-Net, one preset':32} {statistics.median(seconds) * 1000:6.0f} ms")
    return None


def plan_all(path: Path) -> float:
    from segforge.dataset.description import DatasetDescription
    from segforge.planning.fingerprint import Fingerprint
    from segforge.planning.planner import Planner
    from segforge.planning.settings import PlannerSettings

    content = json.loads(path.read_text())
    description = DatasetDescription.parse(content["dataset_json"], str(path))
    fingerprint = Fingerprint.parse(content["fingerprint"], str(path))
    begin = time.perf_counter()
    for planner, memory in PRESETS:
        Planner(PlannerSettings(planner=planner, gpu_memory=memory)).plan(fingerprint, description, "Dataset001_X")
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
