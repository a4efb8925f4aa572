import errno
import os
import subprocess
from pathlib import Path

import pytest

from segforge.compute.files import move_aside, remove_leftovers, whole_file, write_text
from segforge.errors import SegForgeError


def test_an_error_while_writing_leaves_the_old_file_and_no_leftover(tmp_path: Path) -> None:
    path = tmp_path / "plans.json"
    write_text(path, "old")
    with pytest.raises(RuntimeError), whole_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_named_with_the_file_and_the_free_space(tmp_path: Path) -> None:
    path = tmp_path / "case.npy"
    write_text(path, "old")
    with pytest.raises(SegForgeError, match=r"case\.npy could not be written: No space left.*MB are free"), whole_file(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert path.read_text() == "old"


def test_the_new_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    with whole_file(path, durable=True) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"


def test_leftovers_of_dead_processes_are_removed_and_those_of_living_ones_kept(tmp_path: Path) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    dead = tmp_path / f".{child.pid}.partial.a.npy"
    alive = tmp_path / f".{os.getpid()}.partial.b.npy"
    mine = tmp_path / "c.npy"
    for path in (dead, alive, mine):
        path.touch()
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([alive, mine])


def test_moving_aside_never_overwrites(tmp_path: Path) -> None:
    for content in ("first", "second"):
        (tmp_path / "fold_0").mkdir()
        (tmp_path / "fold_0" / "x").write_text(content)
        move_aside(tmp_path / "fold_0")
    assert (tmp_path / "fold_0.old-1" / "x").read_text() == "first"
    assert (tmp_path / "fold_0.old-2" / "x").read_text() == "second"
