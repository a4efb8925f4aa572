import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from segforge.compute.files import (
    append_chunks,
    move_aside,
    remove_leftovers,
    temporary_folder,
    whole_file,
    write_chunks,
    write_text,
)
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
    with pytest.raises(SegForgeError, match=r"case\.npy could not be written: No space left.*B are free"), whole_file(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert path.read_text() == "old"


def test_the_new_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    with whole_file(path, durable=True) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"


def test_leftovers_of_dead_processes_are_removed_and_those_of_living_ones_kept(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a.npy") as temporary:
        temporary.touch()
        name = temporary.name
    child = subprocess.Popen(["true"])
    child.wait()
    alive = tmp_path / name
    dead = tmp_path / name.replace(f"-{os.getpid()}-", f"-{child.pid}-")
    elsewhere, abandoned = (tmp_path / f".{host}-{child.pid}-0.partial.c.npy" for host in ("00000000", "11111111"))
    mine = tmp_path / "c.npy"
    for path in (dead, alive, elsewhere, abandoned, mine):
        path.touch()
    os.utime(abandoned, (0, 0))
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.glob("*c.npy")) + sorted(tmp_path.glob(".*a.npy")) == [*sorted([elsewhere, mine]), alive]


def test_a_temporary_folder_is_gone_at_the_end_or_removed_by_the_next(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), temporary_folder(tmp_path / "place") as folder:
        (folder / "a").touch()
        name = folder.name
        raise RuntimeError
    assert not list((tmp_path / "place").iterdir())
    child = subprocess.Popen(["true"])
    child.wait()
    left = tmp_path / "place" / name.replace(f"-{os.getpid()}-", f"-{child.pid}-")
    left.mkdir()
    (left / "a").touch()
    with temporary_folder(tmp_path / "place") as folder:
        assert [*folder.parent.iterdir()] == [folder]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a") as first, whole_file(tmp_path / "a") as second:
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "a").read_text() == "first"


def test_moving_aside_never_overwrites(tmp_path: Path) -> None:
    for content in ("first", "second"):
        (tmp_path / "fold_0").mkdir()
        (tmp_path / "fold_0" / "x").write_text(content)
        move_aside(tmp_path / "fold_0")
    assert (tmp_path / "fold_0.old-1" / "x").read_text() == "first"
    assert (tmp_path / "fold_0.old-2" / "x").read_text() == "second"


def test_pieces_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"new"
        raise SegForgeError("it broke off")

    write_chunks(tmp_path / "a", [b"1", b"23"])
    with pytest.raises(SegForgeError, match="it broke off"):
        write_chunks(tmp_path / "a", broken())
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"123")]


def test_pieces_are_added_to_what_is_there(tmp_path: Path) -> None:
    append_chunks(tmp_path / "folder/a", [b"1", b"2"])
    append_chunks(tmp_path / "folder/a", [b"3"])
    assert (tmp_path / "folder/a").read_bytes() == b"123"
    with pytest.raises(SegForgeError, match="could not be written"):
        append_chunks(tmp_path / "folder/a/b", [b"3"])
