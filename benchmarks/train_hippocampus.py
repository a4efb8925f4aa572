"""Trains Dataset004_Hippocampus with few iterations and prints time and Dice: train_hippocampus.py NAME WORKSPACE

WORKSPACE has the data set in raw/. NAME is one of RUNS; "3d small" and "2d small" have the numbers of the reference
trainings in golden/training.json.
"""

import subprocess
import sys
import time
from pathlib import Path

RUNS = {
    "3d small": ("small", "3d_fullres", "--epochs 20 --iterations 50 --batch-size 2 --validation-iterations 5"),
    "2d small": ("small", "2d", "--epochs 20 --iterations 50 --batch-size 24 --validation-iterations 5"),
    "2d full": ("default", "2d", "--epochs 12 --iterations 50 --batch-size 12"),
}


def main() -> None:
    name, workspace = sys.argv[1], Path(sys.argv[2])
    plans, configuration, numbers = RUNS[name]
    run(workspace, f"plan -d 4 --name {plans}" + (" --features 8" if plans == "small" else ""))
    begin = time.monotonic()
    shown = run(workspace, f"train 4 {configuration} 0 -p {plans} --name bench {numbers} --restart")
    print(f"{name}: {time.monotonic() - begin:.0f} s with validation")
    print("\n".join(line for line in shown.splitlines() if line.startswith(("mean Dice", "Mean foreground Dice", "   "))))


def run(workspace: Path, command: str) -> str:
    words = [sys.executable, "-m", "segforge", *command.split(), "--workspace", str(workspace)]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
