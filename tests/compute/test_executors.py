import os
import signal
import threading

import pytest

from segforge.compute.executors import Resources, Task, inline, processes, run_all, threads


def square(number: int) -> int:
    return number * number


def fail(number: int) -> int:
    raise ValueError(f"case {number} is broken")


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("factory", [inline, threads, processes])
def test_results_and_failures_name_every_task(factory) -> None:
    tasks = [Task(f"case_{n}", fail if n == 2 else square, (n,)) for n in range(5)]
    outcome = run_all(factory, tasks, resources=Resources(2), description="test")
    assert outcome.results == {f"case_{n}": n * n for n in (0, 1, 3, 4)}
    assert outcome.failures == {"case_2": "case 2 is broken"}


def test_a_killed_worker_is_named_with_its_signal_and_the_others_are_done() -> None:
    tasks = [Task(f"case_{n}", die if n == 1 else square, (n,)) for n in range(4)]
    outcome = run_all(processes, tasks, resources=Resources(2), description="test")
    assert outcome.results == {f"case_{n}": n * n for n in (0, 2, 3)}
    assert list(outcome.failures) == ["case_1"]
    assert "SIGKILL" in outcome.failures["case_1"]
    assert "GB" in outcome.failures["case_1"]


def test_threads_work_side_by_side() -> None:
    barrier = threading.Barrier(2, timeout=20)
    outcome = run_all(threads, [Task(str(n), barrier.wait) for n in range(2)], resources=Resources(2), description="test")
    assert sorted(outcome.results.values()) == [0, 1]


def test_an_interrupt_is_passed_on() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all(inline, [Task("a", interrupt)], resources=Resources(), description="test")


@pytest.mark.parametrize("factory", [inline, threads])
def test_each_task_is_told_of_when_it_has_come_to_its_end(factory) -> None:
    told: list[str] = []
    tasks = [Task(name, int, (word,)) for name, word in (("a", "1"), ("b", "no number"), ("c", "3"))]
    outcome = run_all(factory, tasks, resources=Resources(2), description="", finished=told.append)
    assert sorted(told) == ["a", "b", "c"]
    assert set(outcome.failures) == {"b"}
