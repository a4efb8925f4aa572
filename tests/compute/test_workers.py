"""Processes that stay: one that dies takes its own call with it, and no other."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from segforge.compute.executors import Resources, threads
from segforge.compute.workers import WorkerDied, Workers


def square(number: int) -> int:
    return number * number


def die(code: int) -> None:
    os.kill(os.getpid(), code)


def slow(path: str) -> int:
    Path(path).touch()
    time.sleep(1)
    return os.getpid()


def die_once(path: str) -> str:
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "lives"


def test_workers_stay_and_errors_come_up() -> None:
    workers = Workers(Resources(1))
    first = workers.call(os.getpid)
    assert workers.call(square, 7) == 49
    with pytest.raises(TypeError):
        workers.call(square)
    assert workers.call(os.getpid) == first != os.getpid()


def test_a_call_that_kills_its_worker_is_told_how_and_the_others_go_on(tmp_path: Path) -> None:
    workers = Workers(Resources(2))
    with ThreadPoolExecutor(2) as pool:
        other = pool.submit(workers.call, slow, str(tmp_path / "begun"))
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        with pytest.raises(WorkerDied, match="its worker process died .signal SIGKILL"):
            workers.call(die, signal.SIGKILL)
        assert other.result() != os.getpid()
    assert workers.call(square, 3) == 9


def test_a_worker_that_died_by_chance_is_replaced(tmp_path: Path) -> None:
    assert Workers(Resources(2)).call(die_once, str(tmp_path / "died")) == "lives"


def test_any_executor_will_do() -> None:
    assert Workers(Resources(2), threads).call(os.getpid) == os.getpid()
