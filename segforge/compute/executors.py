"""Runs independent tasks on any `concurrent.futures` executor; one that fails or kills its worker leaves the others alone."""

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any, Generic, ParamSpec, TypeVar

from segforge.compute.progress import progress_bar
from segforge.compute.usage import peak_memory
from segforge.compute.wording import reason_of, size

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")

_PATIENCE = 5.0
"""Seconds to wait for dead workers to be known as such."""


@dataclass(frozen=True)
class Resources:
    """What a group of tasks asks of its executor.

    Attributes:
        workers: Tasks at once; where it is others that have the room, how many are handed to them.
        gpus: Of each task, where workers say that they have some.
        cores: Of each task, where workers say it.
        memory: Bytes of each task, where workers say it.
        is_elsewhere: Whether it is others that have the room: this machine's cores and memory are no limit.
    """

    workers: int = 1
    gpus: int = 0
    cores: int = 0
    memory: int = 0
    is_elsewhere: bool = False


ExecutorFactory = Callable[[Resources], Executor]


@dataclass(frozen=True)
class Task(Generic[Result]):
    """A named call. For executors with other processes the function and its arguments must be picklable."""

    name: str
    function: Callable[..., Result]
    arguments: tuple[Any, ...] = ()


@dataclass
class Outcome(Generic[Result]):
    """What the tasks returned, and the reason for each that failed, by task name."""

    results: dict[str, Result] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def reasons(self) -> str:
        """A line for each failed task, sorted: its name and the reason."""
        return "\n".join(f"{name}: {reason}" for name, reason in sorted(self.failures.items()))


@dataclass(frozen=True)
class _Break(Generic[Result]):
    """A pool that broke: the tasks that were under way, and how its workers died."""

    suspects: list[Task[Result]]
    reason: str


class InlineExecutor(Executor):
    """Runs each task in the calling thread, at once."""

    def submit(
        self, function: Callable[Parameters, Result], /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Future[Result]:
        """Run the task now and return its finished future."""
        future: Future[Result] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def inline(resources: Resources) -> Executor:
    """Factory of an executor that works in the calling thread."""
    return InlineExecutor()


def threads(resources: Resources) -> Executor:
    """Factory of a pool of threads: for work that spends its time in NumPy, inflate or file access."""
    return ThreadPoolExecutor(resources.workers)


def processes(resources: Resources) -> Executor:
    """Factory of a pool of spawned processes."""
    return ProcessPoolExecutor(resources.workers, mp_context=multiprocessing.get_context("spawn"))


def executor_for(workers: int | None) -> tuple[ExecutorFactory, Resources]:
    """The executor that a user asks for with `-np`.

    Args:
        workers: None for threads, one per core; 0 for the calling thread; else that many processes.
    """
    if workers is None:
        return threads, Resources(available_cores())
    return (processes, Resources(workers)) if workers else (inline, Resources())


def available_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_all(
    factory: ExecutorFactory,
    tasks: Sequence[Task[Result]],
    *,
    resources: Resources,
    description: str,
    finished: Callable[[str], object] = lambda name: None,
) -> Outcome[Result]:
    """Run every task and collect results and reasons for failure.

    At most as many tasks as workers are under way, so that when a worker dies the suspects are known; each suspect then
    runs alone, the one that kills its worker again is named with signal and peak memory, and the rest goes on.

    Args:
        factory: Opens an executor.
        tasks: The tasks; their names must differ.
        resources: What to ask of the executor.
        description: Words for the progress bar.
        finished: Called with the name of each task that has come to its end.

    Returns:
        Results and failures; together they name every task.
    """
    outcome: Outcome[Result] = Outcome()
    waiting = list(tasks)
    with progress_bar(len(tasks), description) as advance_bar:

        def advance(name: str) -> None:
            advance_bar()
            finished(name)

        while broken := _run(factory(resources), waiting, resources.workers, outcome, advance):
            if not broken.suspects:
                outcome.failures |= {task.name: broken.reason for task in waiting if task.name not in outcome.results}
            for suspect in broken.suspects:
                if alone := _run(factory(replace(resources, workers=1)), [suspect], 1, outcome, advance):
                    outcome.failures[suspect.name] = alone.reason
                    advance(suspect.name)
            waiting = [task for task in tasks if task.name not in outcome.results and task.name not in outcome.failures]
    return outcome


def _run(
    executor: Executor, tasks: Sequence[Task[Result]], workers: int, outcome: Outcome[Result], advance: Callable[[str], object]
) -> _Break[Result] | None:
    """Run tasks until all are done (None) or the pool breaks."""
    waiting = list(reversed(tasks))
    under_way: dict[Future[Result], Task[Result]] = {}
    pool: Mapping[int, Any] = {}
    try:
        while waiting or under_way:
            while waiting and len(under_way) < max(1, workers):
                under_way[executor.submit(waiting[-1].function, *waiting[-1].arguments)] = waiting[-1]
                waiting.pop()
            pool = dict(getattr(executor, "_processes", None) or pool)
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                _collect(future, under_way[future], outcome)
                advance(under_way.pop(future).name)
    except BrokenExecutor:
        # A task that was refused because the pool had broken already is not under way: it is still in `waiting`.
        return _Break(list(under_way.values()), f"{cause_of_death(pool)}; try fewer workers (-np)")
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
    return None


def _collect(future: Future[Result], task: Task[Result], outcome: Outcome[Result]) -> None:
    try:
        outcome.results[task.name] = future.result()
    except BrokenExecutor:
        raise
    except MemoryError:
        outcome.failures[task.name] = "out of memory; use fewer workers (-np)"
    except Exception as error:
        log.debug("%s failed", task.name, exc_info=error)
        outcome.failures[task.name] = reason_of(error)


def cause_of_death(pool: Mapping[int, Any]) -> str:
    """How workers of a process pool died: signals or exit statuses, and the largest memory that a child process used."""
    end = time.monotonic() + _PATIENCE
    while any(worker.exitcode is None for worker in pool.values()) and time.monotonic() < end:
        time.sleep(0.01)  # another thread that waits for them may know it first
    # A broken pool ends its healthy workers with SIGTERM: that is not the cause.
    codes = sorted({worker.exitcode for worker in pool.values() if worker.exitcode not in (None, 0, -signal.SIGTERM)})
    how = ", ".join(f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}" for code in codes)
    peak = peak_memory(of_children=True)
    used = f"; the largest worker used {size(peak)}" if peak else ""
    return f"its worker process died ({how or 'without a reason'}{used})"
