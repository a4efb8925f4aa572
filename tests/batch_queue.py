"""Stand-ins for the commands of Slurm, PBS and LSF, which run jobs on this machine, each after those that it needs.

`install` puts `sbatch`, `scancel`, `qsub`, `qdel`, `bsub` and `bkill` into a folder. They know the options that our scripts
use and refuse others; jobs of an array run side by side; a job whose needs failed is never begun.
"""

import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

SECONDS = 120  # after which a job that waits gives up
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "NEVER")
INDICES = {"sbatch": "SLURM_ARRAY_TASK_ID", "qsub": "PBS_ARRAY_INDEX", "bsub": "LSB_JOBINDEX"}
DIRECTIVES = {"sbatch": "#SBATCH", "qsub": "#PBS", "bsub": "#BSUB"}
NEEDS = {
    "sbatch": r"afterok(:\d+)+",
    "qsub": r"depend=afterok(:\d+(\[\])?\.here)+",
    "bsub": r"done\(\d+\)( && done\(\d+\))*",
}


@dataclass(frozen=True)
class Job:
    """What was submitted: an array if it has indices; `is_taken_out` if its needs fail, else it waits for ever."""

    system: str
    name: str
    script: str
    indices: list[int]
    log: str
    needs: list[str]
    is_taken_out: bool


def install(folder: Path) -> Path:
    """Put the commands into a folder, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    for command in ("sbatch", "qsub", "bsub", "scancel", "qdel", "bkill"):
        path = folder / command
        path.write_text(f'#!/bin/bash\nexec {shlex.join([sys.executable, __file__, str(folder), command])} "$@"\n')
        path.chmod(0o755)
    return folder


def states(folder: Path) -> dict[str, str]:
    """How all jobs stand at the end, by name; waits for it."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        jobs = sorted(folder.glob("[0-9]*"))
        found = {json.loads((job / "job").read_text())["name"]: (job / "state").read_text() for job in jobs}
        if set(found.values()) <= set(ENDED):
            break
        time.sleep(0.02)
    return found


def main(folder: Path, command: str, words: list[str]) -> None:
    if command == "job":
        run(folder, words[0])
    elif command in DIRECTIVES:
        submit(folder, read(command, words))
    else:
        cancel(folder, words)


def read(command: str, words: list[str]) -> Job:
    """The job of a command line and the directives in its script; an option that is not known ends with status 2."""
    script = sys.stdin.read() if command == "bsub" else Path(words[-1]).read_text()
    begin = DIRECTIVES[command]
    lines = [line.removeprefix(begin) for line in script.splitlines() if line.startswith(begin)]
    typed = words if command == "bsub" else words[:-1]
    found = parser(command).parse_args([*(word for line in lines for word in shlex.split(line)), *typed])
    assert found.needs is None or re.fullmatch(NEEDS[command], found.needs), found.needs
    name, _, numbers = found.name.partition("[")
    numbers = numbers.removesuffix("]") if command == "bsub" else found.array
    first, last = map(int, numbers.split("-")) if numbers else (0, -1)
    needs = re.findall(r"\d+", found.needs or "")
    taken_out = {"sbatch": found.kill == "yes", "qsub": True, "bsub": found.ti}[command]
    return Job(command, name, script, list(range(first, last + 1)), found.log, needs, taken_out)


def parser(command: str) -> argparse.ArgumentParser:
    """The options that a command knows."""
    known = argparse.ArgumentParser(command, allow_abbrev=False)
    known.set_defaults(array=None, kill="no", ti=False)
    if command == "sbatch":
        names = {"--job-name": "name", "--output": "log", "--array": "array", "--dependency": "needs", "--mem": "memory"}
        known.add_argument("--kill-on-invalid-dep", dest="kill", choices=("yes", "no"))
        known.add_argument("--parsable", action="store_true", required=True)
        names |= {"--cpus-per-task": "cores", "--time": "time", "--gres": "gpus"}
    elif command == "qsub":
        names = {"-N": "name", "-o": "log", "-J": "array", "-W": "needs", "-j": "join", "-S": "shell"}
        known.add_argument("-l", action="append")
    else:
        names = {"-J": "name", "-o": "log", "-w": "needs", "-n": "cores", "-R": "place", "-M": "memory", "-W": "time"}
        names |= {"-gpu": "gpus"}
        known.add_argument("-ti", action="store_true")
    for option, name in names.items():
        known.add_argument(option, dest=name)
    return known


def submit(folder: Path, job: Job) -> None:
    """Note a job, have a process of its own wait for its needs and run it, and print its number as the system does."""
    number = str(41 + len(list(folder.glob("[0-9]*"))))
    place = folder / number
    place.mkdir()
    (place / "job").write_text(json.dumps(asdict(job)))
    (place / "state").write_text("PENDING")
    words = [sys.executable, __file__, str(folder), "job", number]
    with (place / "messages").open("w") as messages:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=messages, stderr=messages, start_new_session=True, cwd=folder
        )
    (place / "process").write_text(str(process.pid))
    array = f"{number}[].here" if job.indices else f"{number}.here"
    print({"sbatch": number, "qsub": array, "bsub": f"Job <{number}> is submitted to queue <normal>."}[job.system])


def run(folder: Path, number: str) -> None:
    """Wait for what a job needs, and run it; its state says how it ended."""
    place = folder / number
    job = Job(**json.loads((place / "job").read_text()))
    end = time.monotonic() + SECONDS
    while not set(needed := [(folder / need / "state").read_text() for need in job.needs]) <= set(ENDED):
        assert time.monotonic() < end
        time.sleep(0.02)
    if set(needed) - {"COMPLETED"}:
        (place / "state").write_text("CANCELLED" if job.is_taken_out else "NEVER")
        return
    (place / "state").write_text("RUNNING")
    processes = [begin(job, number, index) for index in job.indices or [None]]
    failed = [process for process in processes if process.wait()]
    (place / "state").write_text("FAILED" if failed else "COMPLETED")


def begin(job: Job, number: str, index: int | None) -> subprocess.Popen[bytes]:
    """Run a job of an array, or the only one, with its log where it was asked for."""
    log = Path(re.sub("%[jJA]", number, job.log.replace("%a", str(index)).replace("%I", str(index))))
    environment = os.environ | ({} if index is None else {INDICES[job.system]: str(index)})
    with (log / f"{job.name}.o{number}.{index}" if log.is_dir() else log).open("w") as output:
        return subprocess.Popen(["bash", "-c", job.script], env=environment, stdout=output, stderr=output)


def cancel(folder: Path, words: list[str]) -> None:
    """End jobs that wait or run."""
    for number in (re.match(r"\d+", word)[0] for word in words):
        (folder / number / "state").write_text("CANCELLED")
        with suppress(ProcessLookupError):
            os.killpg(int((folder / number / "process").read_text()), signal.SIGTERM)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
