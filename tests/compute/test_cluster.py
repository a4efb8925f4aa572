"""A dask cluster as an executor."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from segforge.compute.cluster import Cluster
from segforge.compute.executor_choice import ExecutorChoice
from segforge.compute.executors import Resources, Task, run_all
from segforge.errors import SegForgeError

distributed = pytest.importorskip("distributed")


def note(folder: Path, name: str) -> int:
    """Write down that a task was begun, and say how often it was."""
    with (folder / name).open("a") as file:
        file.write("x")
    return len((folder / name).read_text())


def kills_its_worker_once(folder: Path) -> int:
    if note(folder, "killed") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return 7


def fails(folder: Path) -> None:
    note(folder, "failed")
    raise ValueError("case_3 is broken")


def waits_for_two(folder: Path, name: str) -> int:
    """Two of these end only side by side."""
    note(folder, name)
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.01)
    return 2


def has_gpu() -> bool:
    return bool(distributed.get_worker().state.total_resources.get("GPU"))


@pytest.fixture
def small_cluster() -> Iterator[distributed.LocalCluster]:
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        yield cluster


def test_a_lost_workers_task_runs_again_and_a_failing_one_does_not(tmp_path: Path) -> None:
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=60) as running:
        cluster = Cluster(running.scheduler_address)
        assert cluster.room(Resources()) == 2
        tasks = [Task("a", kills_its_worker_once, (tmp_path,)), Task("b", fails, (tmp_path,)), Task("c", abs, (-3,))]
        outcome = run_all(cluster, tasks, resources=Resources(2), description="")
    assert outcome.results == {"a": 7, "c": 3}
    assert outcome.failures == {"b": "case_3 is broken"}
    assert (len((tmp_path / "killed").read_text()), len((tmp_path / "failed").read_text())) == (2, 1)


def test_the_same_call_twice_is_two_tasks(tmp_path: Path, small_cluster) -> None:
    cluster = Cluster(small_cluster.scheduler_address)
    tasks = [Task(name, note, (tmp_path, "begun")) for name in "ab"]
    outcome = run_all(cluster, tasks, resources=Resources(1), description="")
    assert outcome.results == {"a": 1, "b": 2}


def test_tasks_with_a_gpu_go_to_workers_that_have_one(small_cluster) -> None:
    cluster = Cluster(small_cluster.scheduler_address)
    assert cluster.room(Resources(gpus=1)) == 2
    outcome = run_all(cluster, [Task("a", has_gpu)], resources=Resources(1, gpus=1), description="")
    assert outcome.results == {"a": False}  # nobody says that there are any: they run anywhere
    kinds = [{"nthreads": 2}, {"nthreads": 1, "resources": {"GPU": 1}}]
    workers = {number: {"cls": distributed.Worker, "options": kind} for number, kind in enumerate(kinds)}
    scheduler = {"cls": distributed.Scheduler, "options": {"dashboard": False}}
    with distributed.SpecCluster(workers=workers, scheduler=scheduler) as mixed:
        found = Cluster(mixed.scheduler_address)
        assert (found.room(Resources()), found.room(Resources(gpus=1))) == (3, 1)
        tasks = [Task(name, has_gpu) for name in "abcd"]
        assert set(run_all(found, tasks, resources=Resources(4, gpus=1), description="").results.values()) == {True}


def test_an_address_where_nobody_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segforge.compute.cluster._PATIENCE", 0.5)
    with pytest.raises(SegForgeError, match="No scheduler answers at tcp://127.0.0.1:1"):
        Cluster("tcp://127.0.0.1:1")
    with pytest.raises(SegForgeError, match="No scheduler answers at nonsense"):
        Cluster("nonsense")


def test_cores_and_memory_are_room_where_workers_say_that_they_have_some(small_cluster) -> None:
    kinds = [{"nthreads": 8, "resources": {"CORES": 4, "MEMORY": 10e9}}, {"nthreads": 1, "resources": {"CORES": 8}}]
    workers = {number: {"cls": distributed.Worker, "options": kind} for number, kind in enumerate(kinds)}
    scheduler = {"cls": distributed.Scheduler, "options": {"dashboard": False}}
    with distributed.SpecCluster(workers=workers, scheduler=scheduler) as running:
        cluster = Cluster(running.scheduler_address)
        asked = [Resources(cores=1), Resources(cores=2), Resources(cores=2, memory=3_000_000_000), Resources(cores=5)]
        assert [cluster.room(each) for each in asked] == [5, 3, 2, 1]
        assert run_all(cluster, [Task("a", abs, (-1,))], resources=asked[2], description="").results == {"a": 1}
        with pytest.raises(SegForgeError, match=r'has MEMORY=2e\+10, which .*: dask worker .* --resources "MEMORY=2e\+10"'):
            run_all(cluster, [Task("a", abs, (-1,))], resources=Resources(memory=20_000_000_000), description="")
    assert Cluster(small_cluster.scheduler_address).room(Resources(cores=99, memory=1 << 60)) == 2  # nobody says anything


def test_a_worker_that_comes_later_finds_tasks(tmp_path: Path) -> None:
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as running:
        where = ExecutorChoice("dask", running.scheduler_address)
        factory, resources = where.factory(None)
        tasks = [Task(str(number), waits_for_two, (tmp_path, str(number))) for number in range(2)]
        running.scale(2)
        outcome = run_all(factory, tasks, resources=resources, description="")
    assert outcome.results == {"0": 2, "1": 2}


def test_a_cluster_without_workers_is_waited_for(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    with distributed.LocalCluster(n_workers=0, threads_per_worker=1, processes=False, dashboard_address=None) as empty:
        monkeypatch.setattr("segforge.compute.cluster.time.sleep", lambda seconds: empty.scale(1))
        assert Cluster(empty.scheduler_address).room(Resources()) == 1
    assert f"has no workers yet. Start some: dask worker {empty.scheduler_address}" in caplog.text
