"""One process at a time works on a folder; others are told who, or wait; the dead hold nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from e2e_environment import environment

from segforge.compute.locks import FolderLock, Owner
from segforge.errors import Busy

HOLDER = """
import sys
from pathlib import Path
from segforge.compute.locks import FolderLock, Owner
with FolderLock(Path(sys.argv[1]), "preprocessed").held(Owner.here(), ""):
    print("held", flush=True)
    sys.stdin.readline()
"""

WAITER = """
import logging, sys
from pathlib import Path
from segforge.compute.locks import FolderLock, Owner
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s", force=True)
sys.stdout.reconfigure(line_buffering=True)
with FolderLock(Path(sys.argv[1]), "preprocessed").waited_for(Owner.here()):
    print("mine")
"""


def started(script: str, folder: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", script, str(folder)]
    return subprocess.Popen(words, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_the_second_is_told_who_works_since_when(folder: Path) -> None:
    lock, owner = FolderLock(folder, "preprocessed"), Owner.here()
    assert not lock.is_taken()
    with lock.held(owner, ""):
        assert lock.is_taken() and lock.owner() == owner
        told = f"data is being preprocessed by process {os.getpid()} on {owner.host} since {owner.since}. Wait."
        with pytest.raises(Busy) as error, FolderLock(folder, "preprocessed").held(Owner.here(), "Wait."):
            raise AssertionError
        assert str(error.value).endswith(told)
        with FolderLock(folder.with_name("other"), "preprocessed").held(owner, ""):
            pass
    assert not lock.is_taken() and lock.owner() is None
    assert sorted(path.name for path in folder.parent.iterdir()) == [".data.lock", ".other.lock"]


def test_what_a_killed_process_held_is_free(folder: Path) -> None:
    holder = started(HOLDER, folder)
    assert holder.stdout.readline() == "held\n"
    lock = FolderLock(folder, "preprocessed")
    assert lock.is_taken() and lock.owner().process == holder.pid
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert not lock.is_taken()
    with lock.held(Owner.here(), ""):
        assert lock.owner().process == os.getpid()


def test_one_that_waits_says_for_whom_and_goes_on_at_the_end(folder: Path) -> None:
    holder = started(HOLDER, folder)
    assert holder.stdout.readline() == "held\n"
    waiter = started(WAITER, folder)
    assert f"is being preprocessed by process {holder.pid} on" in waiter.stdout.readline()
    holder.communicate("\n")
    assert waiter.communicate()[0] == "mine\n"


def test_one_that_waits_can_be_interrupted(folder: Path) -> None:
    with FolderLock(folder, "preprocessed").held(Owner.here(), ""):
        waiter = started(WAITER, folder)
        assert "Waiting for its end" in waiter.stdout.readline()
        waiter.send_signal(signal.SIGINT)
        assert "mine" not in waiter.communicate()[0]
        assert waiter.returncode != 0


@pytest.mark.parametrize("content", ["", "{", '{"run": "x", "host": "h", "process": 1}'])
def test_a_damaged_name_is_another_process(folder: Path, content: str) -> None:
    lock = FolderLock(folder, "preprocessed")
    with lock.held(Owner.here(), ""):
        folder.with_name(".data.json").write_text(content)
        assert lock.state() == f"{folder} is being preprocessed by another process"


def test_where_the_system_has_no_locks_a_dead_owner_is_found_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import filelock

    monkeypatch.setattr(filelock, "FileLock", filelock.SoftFileLock)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    folder.with_name(".data.lock").write_text(f"{dead.pid}\n{Owner.here().host}\n")
    with FolderLock(folder, "preprocessed").held(Owner.here(), ""):
        assert FolderLock(folder, "preprocessed").is_taken()
    folder.with_name(".data.lock").write_text("1\nanother-machine\n")
    with (
        pytest.raises(Busy, match="another process.*If that process is no longer there, remove .*/.data.lock"),
        FolderLock(folder, "preprocessed").held(Owner.here(), ""),
    ):
        raise AssertionError
