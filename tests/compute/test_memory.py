from pathlib import Path

import pytest

from segforge.compute import memory
from segforge.compute.executors import Resources


@pytest.mark.parametrize(("budget", "each", "expected"), [(100, 30, 3), (100, 10, 4), (10, 30, 1), (100, 0, 4)])
def test_as_many_workers_as_fit_but_one_at_least(budget: int, each: int, expected: int) -> None:
    assert memory.workers_within(Resources(4), budget, each).workers == expected


def test_a_container_s_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    free = memory.available_memory()
    assert free > 10**6
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert memory.available_memory() == 2000000
    assert memory.memory_budget() == 1600000
    assert memory.memory_budget(0.5) == 500_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_memory() > 10**6
