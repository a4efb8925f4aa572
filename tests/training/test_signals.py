"""SIGTERM and kill -9 at random moments: what was done is not done again, and the end is that of an undisturbed training.

SEGFORGE_TEST_KILLS sets how often each signal comes (4), SEGFORGE_TEST_SEED when.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_environment import environment

from segforge.training.history import History

TESTS = Path(__file__).parents[1]
TIMES = int(os.environ.get("SEGFORGE_TEST_KILLS", "4"))
SEED = int(os.environ.get("SEGFORGE_TEST_SEED", "0"))
STEPS = 20 * 10


def train(folder: Path, name: str, times: int) -> list[int]:
    """The exit statuses of all processes, negative for signals."""
    words = [sys.executable, str(TESTS / "interrupted_training.py"), str(folder), name, str(times), str(SEED)]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "Error" not in done.stderr
    return [int(word) for word in done.stdout.split()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signals") / "undisturbed"
    assert train(folder, "SIGKILL", 0) == [0]
    return folder


def content(folder: Path) -> tuple[list[dict], bytes]:
    records = [record.content() | {"seconds": None} for record in History(folder).read()]
    return records, (folder / "checkpoint_final.safetensors").read_bytes()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_a_training_that_is_stopped_again_and_again_loses_no_more_than_since_its_last_save(
    undisturbed: Path, tmp_path: Path, name: str
) -> None:
    statuses = train(tmp_path / "it", name, TIMES)
    hits = [status for status in statuses if status]
    assert len(hits) > TIMES / 2 and statuses[-1] == 0
    assert set(hits) <= ({-9} if name == "SIGKILL" else {-15, 130})
    attempts = (tmp_path / "it" / "steps.txt").read_text().split("\n")
    steps = sum(attempt.count("i") for attempt in attempts)
    lost = sum(len(attempt) - attempt.rindex("s") - 1 if "s" in attempt else len(attempt) for attempt in attempts[:-1])
    assert STEPS <= steps <= STEPS + lost
    if name == "SIGTERM":
        assert steps == STEPS
    assert content(tmp_path / "it") == content(undisturbed)
    assert not [path.name for path in (tmp_path / "it").iterdir() if "latest" in path.name or "partial" in path.name]
