"""Kills `segforge run` at random moments and compares what it comes to with an undisturbed run: run.py WORKSPACE FOLDER [KILLS]

WORKSPACE has Dataset004_Hippocampus in raw/; its first 40 cases are taken. FOLDER gets three workspaces, which are left
there: one run undisturbed, one killed (-9) KILLS times (5) and typed again each time, one on a dask scheduler with three
workers, of which one is killed in the middle. Prints the time of each, what the orchestration cost, whether all hashes
agree, and what was finished at a kill and was made again.
"""

import hashlib
import json
import os
import random
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


FINISHED = ("preprocessed/*/default_*/*.json", "results/*/*__*/fold_*/checkpoint_final.safetensors")
"""Files whose existence says that a piece of work is finished; label maps are named by their folder's `prediction.json`."""

COSTS = """
import json, sys
from segforge import TrainingOptions, Workers, run
options = TrainingOptions(epochs=2, iterations=20, validation_iterations=5, mirror_axes=())
report = run(4, configurations=["2d", "3d_fullres"], options=options, workers=Workers(threads=1, device="cpu"))
assert report.is_done
print(json.dumps([piece.seconds for piece in report.pieces]))
"""


def main() -> None:
    source, folder = Path(sys.argv[1]) / "raw" / NAME, Path(sys.argv[2])
    kills = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    for way in ("undisturbed", "killed", "dask"):
        prepare(source, folder / way)
    seconds = undisturbed(folder / "undisturbed")
    expected = compared(folder / "undisturbed")
    for way, carry_out in {"killed": lambda place: killed(place, kills, seconds), "dask": on_dask}.items():
        begin = time.monotonic()
        again = carry_out(folder / way)
        found = compared(folder / way)
        differing = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        print(
            f"{way}: {time.monotonic() - begin:.0f} s; of the hashes of {len(expected)} files {len(differing)} differ "
            f"{differing[:5]}; finished and made again: {again or 'nothing'}",
            flush=True,
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


def begin_run(place: Path, more: str = "") -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "segforge", *COMMAND.split(), *more.split()]
    return subprocess.Popen(
        words, cwd=place, env=ENVIRONMENT, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    """Read what a run says until it says that."""
    for line in process.stdout:
        if words in line:
            return
    raise AssertionError(f"the run ended before it said {words}")


def end_of(process: subprocess.Popen[str]) -> None:
    said = process.communicate()[0]
    assert process.returncode == 0, said


def undisturbed(place: Path) -> list[float]:
    """Planned by itself, so that what remains of the time of a run beside its pieces is orchestration; their seconds."""
    words = "plan -d 4 --features 8 -c 2d 3d_fullres"
    subprocess.run([sys.executable, "-m", "segforge", *words.split()], cwd=place, env=ENVIRONMENT, check=True)
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-c", COSTS], cwd=place, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE)
    whole, pieces = time.monotonic() - begin, json.loads(done.stdout.splitlines()[-1])
    cost = whole - sum(pieces)
    print(
        f"undisturbed: {len(pieces)} pieces in {whole:.0f} s, {cost:.1f} s ({cost / whole:.1%}) of it orchestration", flush=True
    )
    return pieces


def killed(place: Path, kills: int, seconds: list[float]) -> list[str]:
    """Killed in the middle of random pieces."""
    moments, again = random.Random(0), dict[str, int]()
    for piece in sorted(moments.sample(range(len(seconds)), kills)):
        process = begin_run(place)
        wait_for(process, f"[{piece} of {len(seconds)}]" if piece else "Their messages")
        moment = moments.uniform(0.1, 0.9) * seconds[piece]
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        time.sleep(5)  # its commands notice, save and end
        again |= finished(place)
        print(f"  killed {moment:.0f} s into piece {piece + 1}; {len(again)} pieces of work are finished", flush=True)
    end_of(begin_run(place))
    return changed(place, again)


def on_dask(place: Path) -> list[str]:
    """One of three workers is killed once three trainings are under way."""
    dask = Path(sys.executable).with_name("dask")
    scheduler = place / "scheduler.json"
    servants = [subprocess.Popen([dask, "scheduler", "--scheduler-file", scheduler, "--no-dashboard", "--port", "0"])]
    try:
        while not scheduler.is_file():
            time.sleep(0.1)
        worker = [dask, "worker", "--scheduler-file", scheduler, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
        servants += [subprocess.Popen([*worker, "--local-directory", place / f"worker_{n}"]) for n in range(3)]
        address = json.loads(scheduler.read_text())["address"]
        process = begin_run(place, f"--executor dask --scheduler {address}")
        while len(list(place.glob("results/*/*__*/fold_*/history.jsonl"))) < 3:
            assert process.poll() is None, "the run ended before a worker was killed"
            time.sleep(0.5)
        before = finished(place)
        servants[1].send_signal(signal.SIGKILL)
        print(f"  a worker is killed, {len(before)} pieces of work are finished", flush=True)
        end_of(process)
        begun = [path.read_text().count("$ segforge train") for path in place.glob("results/*/logs/*fold*.log")]
        print(f"  {len(begun)} trainings were begun {sum(begun)} times", flush=True)
        return changed(place, before)
    finally:
        for servant in servants:
            servant.terminate()


def finished(place: Path) -> dict[str, int]:
    """What is finished, with the time at which it was written."""
    paths = [path for pattern in FINISHED for path in place.glob(pattern)]
    for record in place.glob("results/*/*__*/fold_*/validation/prediction.json"):
        paths += [record.parent / f"{case}.nii.gz" for case in json.loads(record.read_text())["cases"]]
    epochs = {
        f"{path.parent.relative_to(place)} epoch {json.loads(line)['epoch']}": hash(line)
        for path in place.glob("results/*/*__*/fold_*/history.jsonl")
        for line in path.read_text().splitlines()
    }
    return {str(path.relative_to(place)): path.stat().st_mtime_ns for path in paths} | epochs


def changed(place: Path, before: dict[str, int]) -> list[str]:
    """What was finished before and is now gone or made again."""
    now = finished(place)
    return [name for name, time_of in before.items() if now.get(name) != time_of]


def compared(place: Path) -> dict[str, str]:
    """Hashes of what a run is made for, without the workspace's own place in it."""
    files = sorted({path for pattern in COMPARED for path in place.glob(pattern) if path.is_file()})
    contents = ((path, path.read_bytes().replace(str(place.resolve()).encode(), b".")) for path in files)
    return {str(path.relative_to(place)): hashlib.sha256(content).hexdigest() for path, content in contents}


if __name__ == "__main__":
    main()
