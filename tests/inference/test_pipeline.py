import threading
import time

import pytest

from segforge.inference.pipeline import Work, run_pipeline


class Watched:
    """Cases that note how many of them are on their way, and in which order they are computed."""

    def __init__(self, failing: dict[str, str] | None = None) -> None:
        self.failing = failing or {}
        self.under_way: set[str] = set()
        self.most = 0
        self.computed: list[str] = []
        self.finished: list[str] = []
        self.threads: set[int] = set()
        self._lock = threading.Lock()

    def work(self, name: str, memory: int = 1) -> Work:
        return Work(name, memory, lambda: self._prepare(name), self._compute, self._finish)

    def _fail(self, name: str, stage: str) -> None:
        if self.failing.get(name) == stage:
            raise ValueError(f"{name} fails to {stage}")

    def _prepare(self, name: str) -> str:
        with self._lock:
            self.threads.add(threading.get_ident())
            self.under_way.add(name)
            self.most = max(self.most, len(self.under_way))
        self._fail(name, "prepare")
        return name

    def _compute(self, name: str) -> str:
        time.sleep(0.002)
        self._fail(name, "compute")
        self.computed.append(name)
        return name

    def _finish(self, name: str) -> None:
        self._fail(name, "finish")
        with self._lock:
            self.under_way.discard(name)
            self.finished.append(name)


NAMES = [f"case {number}" for number in range(8)]


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_every_case_is_computed_in_order_and_finished(threads: int) -> None:
    watched, ended = Watched(), []
    failures = run_pipeline(
        [watched.work(name) for name in NAMES], threads=threads, budget=100, finished=lambda name, reason: ended.append(name)
    )
    assert failures == {}
    assert watched.computed == NAMES
    assert sorted(watched.finished) == sorted(ended) == NAMES
    assert (watched.threads == {threading.get_ident()}) == (threads == 0)


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_a_case_that_fails_in_any_stage_leaves_the_others_alone(threads: int) -> None:
    watched = Watched({"case 1": "prepare", "case 3": "compute", "case 6": "finish"})
    failures = run_pipeline([watched.work(name) for name in NAMES], threads=threads, budget=100)
    assert failures == {name: f"{name} fails to {stage}" for name, stage in watched.failing.items()}
    assert sorted(watched.finished) == [name for name in NAMES if name not in watched.failing]


@pytest.mark.parametrize(("memory", "budget", "most"), [(1, 2, 2), (5, 1, 1), (1, 3, 3)])
def test_cases_on_their_way_keep_within_the_budget(memory: int, budget: int, most: int) -> None:
    watched = Watched()
    run_pipeline([watched.work(name, memory) for name in NAMES], threads=3, budget=budget)
    assert watched.most <= most
    assert len(watched.finished) == len(NAMES)


def test_the_next_case_is_prepared_while_one_computes() -> None:
    begun = threading.Event()

    def compute(name: str) -> str:
        if name == "first":
            assert begun.wait(10)  # for ever, if the second were prepared after it
        return name

    def prepare(name: str) -> str:
        if name == "second":
            begun.set()
        return name

    cases = [Work(name, 1, lambda name=name: prepare(name), compute, lambda name: None) for name in ("first", "second")]
    assert run_pipeline(cases, threads=1, budget=2) == {}


def test_an_interruption_ends_it_at_once() -> None:
    watched = Watched()

    def interrupt(name: str) -> str:
        raise KeyboardInterrupt

    cases = [Work(name, 1, lambda name=name: watched._prepare(name), interrupt, watched._finish) for name in NAMES]
    with pytest.raises(KeyboardInterrupt):
        run_pipeline(cases, threads=1, budget=2)
    assert watched.finished == []
    assert len(watched.under_way) <= 2
