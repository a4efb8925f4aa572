"""Three stages of many cases side by side: the next is prepared and the last is finished while one computes."""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from segforge.compute.executors import InlineExecutor
from segforge.compute.wording import reason_of

log = logging.getLogger(__name__)

Prepared = TypeVar("Prepared")
Computed = TypeVar("Computed")


@dataclass(frozen=True)
class Work(Generic[Prepared, Computed]):
    """One case.

    Attributes:
        name: Its name.
        memory: Bytes that it takes on its way, or nearly so.
        prepare: The first stage, in a thread of its own.
        compute: The second, in the calling thread, case after case in their order.
        finish: The last, in a thread of its own.
    """

    name: str
    memory: int
    prepare: Callable[[], Prepared]
    compute: Callable[[Prepared], Computed]
    finish: Callable[[Computed], None]


@dataclass
class _Line(Generic[Prepared, Computed]):
    """The cases on their way."""

    waiting: deque[Work[Prepared, Computed]]
    preparing: deque[tuple[Work[Prepared, Computed], Future[Prepared]]] = field(default_factory=deque)
    finishing: dict[Future[None], Work[Prepared, Computed]] = field(default_factory=dict)
    memory: int = 0


def run_pipeline(
    cases: Sequence[Work[Prepared, Computed]],
    *,
    threads: int,
    budget: int,
    finished: Callable[[str, str | None], object] = lambda name, reason: None,
) -> dict[str, str]:
    """Run every case through its stages; one that fails leaves the others alone.

    Args:
        cases: The cases.
        threads: Threads that prepare, and as many that finish; 0 does everything in the calling thread.
        budget: Bytes that the cases on their way may take together; one at least is always under way.
        finished: Called with the name of each case that came to its end, and the reason if it failed.

    Returns:
        The reason for each case that failed, by name.
    """
    failures: dict[str, str] = {}
    line = _Line(deque(cases))

    def end(work: Work[Prepared, Computed], error: BaseException | None) -> None:
        line.memory -= work.memory
        if error is not None:
            failures[work.name] = _reason(error)
            log.debug("%s failed", work.name, exc_info=error)
        finished(work.name, failures.get(work.name))

    with _executor(threads) as readers, _executor(threads) as writers:
        while line.waiting or line.preparing or line.finishing:
            _admit(line, readers, budget, ahead=threads)
            if line.preparing:
                work, future = line.preparing.popleft()
                try:
                    computed = work.compute(future.result())
                    line.finishing[writers.submit(work.finish, computed)] = work
                except Exception as error:
                    end(work, error)
                future = computed = None  # type: ignore[assignment]  # what they hold is large
            else:
                wait(line.finishing, return_when=FIRST_COMPLETED)
            for done in [done for done in line.finishing if done.done()]:
                end(line.finishing.pop(done), done.exception())
    return failures


def _admit(line: _Line[Prepared, Computed], readers: Executor, budget: int, *, ahead: int) -> None:
    """Begin to prepare the next cases, if there is memory for them."""
    while line.waiting and len(line.preparing) <= ahead:
        work = line.waiting[0]
        if line.memory and line.memory + work.memory > budget:
            return
        line.memory += work.memory
        line.preparing.append((work, readers.submit(work.prepare)))
        line.waiting.popleft()


@contextmanager
def _executor(threads: int) -> Iterator[Executor]:
    executor = ThreadPoolExecutor(threads) if threads else InlineExecutor()
    try:
        yield executor
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _reason(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "out of memory; allow less at once with --max-memory, or use -np 0"
    return reason_of(error)
