"""Measures constants on 1, 2 and 3 dask workers and simulates the preprocessing of 10,000 CTs: scale.py WORKSPACE FOLDER

WORKSPACE has Dataset004_Hippocampus in raw/; its first 40 cases are taken. FOLDER is empty and gets about 3 GB.
"""

import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from heapq import heappop, heappush
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import psutil
from distributed import Client
from preprocess import make_volumes
from run import CASES, prepare

from segforge import PlannerSettings, plan, preprocess, status
from segforge.api.planning import PREPROCESSED
from segforge.compute.executor_choice import ExecutorChoice
from segforge.compute.executors import Task, run_all
from segforge.dataset.cases import Case, open_dataset
from segforge.dataset.decoded import CaseReader
from segforge.planning.extraction import _case_facts
from segforge.planning.plans import Plans
from segforge.preprocessing.preprocessor import Preprocessor
from segforge.preprocessing.recipe import recipe
from segforge.preprocessing.store import CaseStore

HIPPOCAMPUS, CT, MANY = "Dataset004_Hippocampus", "Dataset099_CT", 10_000
CONFIGURATIONS = ("2d", "3d_fullres")
SHAPE, SPACING, TARGET = (120, 512, 512), (0.8, 0.8, 3.0), (2.5, 0.75, 0.75)  # of CTs; x, y, z and z, y, x
EMPTY, TIMES = 3000, 5  # tasks that do nothing, and how often the cases are preprocessed
DISKS = (0.5e9, 2e9, 10e9)  # bytes per second that a file system gives to all workers together
LOOK = 0.0005  # seconds of one look at a file on a network file system
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

Work = tuple[float, float]
"""Seconds of a core, and bytes read and written."""


def simulated(tasks: Sequence[Work], workers: int, cores: int, per_task: float, disk: float) -> tuple[float, str]:
    """Seconds until all are done, and what was busiest: each idle worker takes the next task, the scheduler gives out one
    after the other, the file system serves one after the other, and computing waits for a core."""
    idle, free, given, served = [0.0] * workers, [0.0] * cores, 0.0, 0.0
    for seconds, amount in tasks:
        given = max(given, heappop(idle)) + per_task
        served = max(served, given) + amount / disk
        end = max(served, heappop(free)) + seconds
        heappush(idle, end)
        heappush(free, end)
    busy = {
        "workers": sum(seconds for seconds, _ in tasks) / min(workers, cores),
        "file system": sum(amount for _, amount in tasks) / disk,
        "scheduler": len(tasks) * per_task,
    }
    busiest = max(busy, key=lambda part: busy[part])
    return max(idle), f"{busiest}, busy {100 * busy[busiest] / max(idle):.0f} %"


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[tuple[ExecutorChoice, psutil.Process]]:
    """A scheduler and workers with one thread each, on this machine."""
    file = folder / f"scheduler_{workers}.json"
    words = ["--scheduler-file", str(file), "--no-dashboard"]
    worker = ["worker", *words, "--nthreads", "1", "--memory-limit", "0", "--no-nanny", "--local-directory", str(folder)]
    kinds = [["scheduler", *words, "--port", "0"], *[worker] * workers]
    dask = [sys.executable, "-m", "dask"]
    servants = [subprocess.Popen([*dask, *kind], env=ONE_THREAD, stderr=subprocess.DEVNULL) for kind in kinds]
    try:
        while not file.is_file() or not file.read_text().endswith("}"):
            time.sleep(0.1)
        with Client(scheduler_file=str(file)) as client:
            client.wait_for_workers(workers)
        yield ExecutorChoice("dask", json.loads(file.read_text())["address"]), psutil.Process(servants[0].pid)
    finally:
        for servant in reversed(servants):
            servant.terminate()
            servant.wait()


def timed(where: ExecutorChoice, tasks: Sequence[Task[Any]], *watched: psutil.Process) -> tuple[float, list[Any], list[str]]:
    """Seconds of `run_all`, the results, and by how much the memory of some processes grew."""
    factory, resources = where.factory(None, cores=1)
    before = [process.memory_info().rss for process in watched]
    peaks = list(before)

    def look(name: str) -> None:
        if name.endswith("00"):
            peaks[:] = map(max, peaks, [process.memory_info().rss for process in watched])

    begin = time.perf_counter()
    outcome = run_all(factory, tasks, resources=resources, description="", finished=look)
    seconds = time.perf_counter() - begin
    assert not outcome.failures, outcome.reasons
    return (
        seconds,
        list(outcome.results.values()),
        [f"+{(peak - was) / 1e6:.0f} MB" for peak, was in zip(peaks, before, strict=True)],
    )


def nothing(*arguments: object) -> None:
    """A task that takes no time."""


def preprocess_case(case: Case, reader: CaseReader, description: Any, plans: Plans, names: Sequence[str], folder: Path) -> Work:
    """What a worker does with a case, and what that took."""
    begin, decoded, count = time.perf_counter(), reader.read(case), sum(path.stat().st_size for path in case.files)
    for name in names:
        item = plans.configuration(name)
        preprocessed = Preprocessor(plans, item, description.label_scheme)(decoded.image, decoded.classes)
        CaseStore(folder / item.data, recipe(plans, item, description)).write(case.id, preprocessed, case.files)
        count += sum(path.stat().st_size for path in (folder / item.data).glob(f"{case.id}[._]*"))
    return time.perf_counter() - begin, count


def tasks_for(workspace: Path, name: str, configurations: Sequence[str]) -> list[Task[Any]]:
    """A task for each case, as `segforge preprocess` has them."""
    raw, folder = open_dataset(workspace / "raw" / name), workspace / "preprocessed" / name
    plans = Plans.read(folder / "plans" / "default.json")
    rest = (CaseReader(raw.description), raw.description, plans, configurations, folder)
    for configuration in configurations:
        (folder / plans.configuration(configuration).data).mkdir(exist_ok=True)
    return [Task(case.id, preprocess_case, (case, *rest)) for case in raw.cases]


def enlarged(workspace: Path, large: Path) -> None:
    """The same with 10,000 cases, preprocessed in two configurations: each file is a link to one of the first case's."""
    preprocess(4, configurations=CONFIGURATIONS, workspace=workspace)
    raw = Path("raw", HIPPOCAMPUS)
    first = open_dataset(workspace / raw).cases[0].id
    for path in sorted(workspace.rglob(f"{first}[._]*")):
        target = large / path.parent.relative_to(workspace)
        target.mkdir(parents=True, exist_ok=True)
        for number in range(MANY):
            copy = target / path.name.replace(first, f"case_{number:05d}")
            if path.suffix == ".json":
                copy.write_text(path.read_text().replace(first, f"case_{number:05d}"))
            else:
                os.link(path, copy)
    shutil.copytree(workspace / "preprocessed" / HIPPOCAMPUS / "plans", large / "preprocessed" / HIPPOCAMPUS / "plans")
    description = json.loads((workspace / raw / "dataset.json").read_text()) | {"numTraining": MANY}
    (large / raw / "dataset.json").write_text(json.dumps(description))


def looking(workspace: Path, large: Path) -> None:
    """How long `segforge status` takes."""
    with mock.patch("os.stat", wraps=os.stat) as stat, mock.patch("io.open", wraps=io.open) as opened:
        status(4, workspace=workspace)
    each = (stat.call_count + opened.call_count) / CASES
    begin = time.perf_counter()
    found = status(4, workspace=large)
    here = time.perf_counter() - begin
    assert [row.done for row in found.data if row.configuration in CONFIGURATIONS] == [MANY] * 2
    print(
        f"status of {MANY} cases in {len(found.data)} configurations: {here:.0f} s here; {each:.0f} looks at files for each "
        f"case, {each * MANY * LOOK:.0f} s if each takes {1000 * LOOK:g} ms"
    )


def constants(small: Path, large: Path, folder: Path) -> float:
    """Seconds of the scheduler for a task; prints what 1, 2 and 3 workers took beside what the first lets expect."""
    empty = [Task(task.name, nothing, task.arguments) for task in tasks_for(large, HIPPOCAMPUS, CONFIGURATIONS)[:EMPTY]]
    tasks = tasks_for(small, HIPPOCAMPUS, CONFIGURATIONS)
    known: tuple[float, float, list[Work]] | None = None
    for workers in (1, 2, 3):
        with cluster(folder, workers) as (where, scheduler):
            timed(where, tasks)  # workers import what they need
            start = median(timed(where, [Task("one", nothing)])[0] for _ in range(TIMES))
            seconds, _, memory = timed(where, empty, scheduler, psutil.Process())
            again = [Task(f"{task.name} {number}", task.function, task.arguments) for number in range(TIMES) for task in tasks]
            whole, works, _ = timed(where, again)
        per_task = (seconds - start) / len(empty)
        known = known or (start, per_task, works)
        expected = known[0] + simulated(known[2], workers, len(os.sched_getaffinity(0)), known[1], float("inf"))[0]
        print(f"{workers} workers: {1000 * per_task:.1f} ms for an empty task, scheduler {memory[0]}, run "
              f"{memory[1]}; {len(works)} cases {whole:.1f} s, expected {expected:.1f} s")  # fmt: skip
    assert known
    return known[1]


def of_a_ct(folder: Path) -> tuple[Work, Work]:
    """What the fingerprint and the preprocessing of a CT take on one worker."""
    make_volumes(folder / "raw" / CT, SPACING, SHAPE)
    found = plan(99, settings=PlannerSettings(spacing=TARGET), preprocess=False, workspace=folder).plans
    names = [name for name in PREPROCESSED if name in found.configurations]
    tasks = tasks_for(folder, CT, names)
    reader = tasks[0].arguments[1]
    with cluster(folder, 1) as (where, _):
        timed(where, tasks)
        works = timed(where, tasks)[1]
        facts = [Task(task.name, timed_facts, (task.arguments[0], reader)) for task in tasks]
        seconds = timed(where, facts)[1]
    raw = sum(path.stat().st_size for path in tasks[0].arguments[0].files)
    case, first = max(works), (max(took for took, _ in seconds), raw)
    print(f"a CT in {', '.join(names)}: {case[0]:.1f} s, {case[1] / 1e6:.0f} MB read and written; fingerprint "
          f"{first[0]:.1f} s, {raw / 1e6:.0f} MB read, {max(kept for _, kept in seconds) / 1e3:.0f} kB kept")  # fmt: skip
    return first, case


def timed_facts(case: Case, reader: CaseReader) -> tuple[float, int]:
    """Seconds for what a case adds to the fingerprint of 10,000, and bytes of that."""
    begin = time.perf_counter()
    facts = _case_facts(case, reader, 10**8 // MANY)
    return time.perf_counter() - begin, len(pickle.dumps(facts))


def main() -> None:
    source, folder = Path(sys.argv[1]) / "raw" / HIPPOCAMPUS, Path(sys.argv[2]).resolve()
    prepare(source, folder / "small")
    plan(4, preprocess=False, workspace=folder / "small")
    enlarged(folder / "small", folder / "large")
    looking(folder / "small", folder / "large")
    per_task = constants(folder / "small", folder / "large", folder)
    first, case = of_a_ct(folder / "ct")
    for workers in (1, 10, 100):
        for disk in DISKS:
            fingerprint = simulated([first] * MANY, workers, workers, per_task, disk)
            data = simulated([case] * MANY, workers, workers, per_task, disk)
            print(f"{workers} workers, {disk / 1e9:g} GB/s: fingerprint {fingerprint[0] / 3600:.1f} h ({fingerprint[1]}), "
                  f"preprocessing {data[0] / 3600:.1f} h ({data[1]})")  # fmt: skip


if __name__ == "__main__":
    main()
