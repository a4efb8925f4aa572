"""Kills `segforge run` at random moments and compares what it comes to with an undisturbed run: run.py WORKSPACE FOLDER [KILLS]

WORKSPACE has Dataset004_Hippocampus in raw/; its first 40 cases are taken. FOLDER gets three workspaces, which are left
there: one run undisturbed, one killed (-9) KILLS times (5) and typed again each time, one on a dask scheduler with three
workers, of which one is killed in the middle. Prints the time of each, what the orchestration cost, and whether all
hashes agree.
"""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

NAME = "Dataset004_Hippocampus"
CASES, FOLDS = 40, 3
COMMAND = (
    "run -d 4 -c 2d 3d_fullres --features 8 --epochs 2 --iterations 20 --validation-iterations 5 --no-mirroring "
    "--threads 1 --device cpu"
)
COMPARED = (
    "preprocessed/*/plans/*",
    "preprocessed/*/splits_final.json",
    "preprocessed/*/default_*/*",
    "results/*/*__*/*.json",
    "results/*/*__*/fold_*/checkpoint_final.safetensors",
    "results/*/*__*/fold_*/validation/*.nii.gz",
    "results/*/*__*/fold_*/validation/summary.json",
    "results/*/selection.json",
)
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def main() -> None:
    source, folder = Path(sys.argv[1]) / "raw" / NAME, Path(sys.argv[2])
    kills = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    ways = {"undisturbed": undisturbed, "killed": lambda place: killed(place, kills), "dask": on_dask}
    hashes = {}
    for way, carry_out in ways.items():
        place = folder / way
        prepare(source, place)
        begin = time.monotonic()
        carry_out(place)
        print(f"{way}: {time.monotonic() - begin:.0f} s", flush=True)
        hashes[way] = compared(place)
    for way in ("killed", "dask"):
        differing = [name for name in hashes["undisturbed"] if hashes["undisturbed"][name] != hashes[way].get(name)]
        agree = "agree" if not differing and len(hashes[way]) == len(hashes["undisturbed"]) else f"differ: {differing[:10]}"
        print(
            f"{way}: the hashes of {len(hashes['undisturbed'])} files {agree}; done twice: {twice(folder / way) or 'nothing'}"
        )


def prepare(source: Path, place: Path) -> None:
    """A workspace with the first cases, divided into three folds; times of files are kept, by which they are recognised."""
    target = place / "raw" / NAME
    names = sorted(path.name.removesuffix(".nii.gz") for path in (source / "labelsTr").glob("*.nii.gz"))[:CASES]
    for name in names:
        for kind, file in (("imagesTr", f"{name}_0000.nii.gz"), ("labelsTr", f"{name}.nii.gz")):
            (target / kind).mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / kind / file, target / kind / file)
    description = json.loads((source / "dataset.json").read_text()) | {"numTraining": CASES}
    (target / "dataset.json").write_text(json.dumps(description))
    splits = [{"train": [n for n in names if n not in names[f::FOLDS]], "val": names[f::FOLDS]} for f in range(FOLDS)]
    (target / "splits_final.json").write_text(json.dumps(splits))


def begin_run(place: Path, more: str = "") -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "segforge", *COMMAND.split(), *more.split()]
    return subprocess.Popen(words, cwd=place, env=ENVIRONMENT, start_new_session=True)


def undisturbed(place: Path) -> None:
    begin = time.monotonic()
    assert begin_run(place).wait() == 0
    whole = time.monotonic() - begin
    logs = "".join(path.read_text() for path in (place / "results" / NAME / "logs").glob("*.log"))
    print(f"  {len(re.findall(r'[$] segforge', logs))} commands in {whole:.0f} s", flush=True)


def killed(place: Path, kills: int) -> None:
    """As long as an undisturbed run would take, killed at random moments of it."""
    moments = random.Random(0)
    for _ in range(kills):
        process = begin_run(place)
        try:
            process.wait(moments.uniform(10, 90))
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            print("  killed", flush=True)
    assert begin_run(place).wait() == 0


def on_dask(place: Path) -> None:
    dask = Path(sys.executable).with_name("dask")
    scheduler = place / "scheduler.json"
    servants = [subprocess.Popen([dask, "scheduler", "--scheduler-file", scheduler, "--no-dashboard", "--port", "0"])]
    try:
        while not scheduler.is_file():
            time.sleep(0.1)
        worker = [dask, "worker", "--scheduler-file", scheduler, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
        servants += [subprocess.Popen([*worker, "--local-directory", place / f"worker_{n}"]) for n in range(3)]
        time.sleep(10)
        address = json.loads(scheduler.read_text())["address"]
        process = begin_run(place, f"--executor dask --scheduler {address}")
        time.sleep(60)
        servants[1].send_signal(signal.SIGKILL)
        print("  a worker is killed", flush=True)
        assert process.wait() == 0
    finally:
        for servant in servants:
            servant.terminate()


def compared(place: Path) -> dict[str, str]:
    """Hashes of what a run is made for, without the workspace's own place in it."""
    files = sorted({path for pattern in COMPARED for path in place.glob(pattern) if path.is_file()})
    contents = ((path, path.read_bytes().replace(str(place.resolve()).encode(), b".")) for path in files)
    return {str(path.relative_to(place)): hashlib.sha256(content).hexdigest() for path, content in contents}


def twice(place: Path) -> list[str]:
    """Epochs that the history has twice, and trainings that were begun anew after their end."""
    found = []
    for path in sorted(place.glob("results/*/*__*/fold_*/history.jsonl")):
        epochs = [json.loads(line)["epoch"] for line in path.read_text().splitlines()]
        found += [f"{path}: {epochs}"] if epochs != list(range(len(epochs))) else []
    for path in sorted(place.glob("results/*/logs/*fold*.log")):
        if path.read_text().count("Validation of fold") > 1:
            found.append(f"{path}: validated twice")
    return found


if __name__ == "__main__":
    main()
