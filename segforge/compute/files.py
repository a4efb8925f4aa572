"""The one way in which SegForge writes files: whole, or not at all."""

import hashlib
import itertools
import os
import platform
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from segforge.compute.wording import size
from segforge.errors import SegForgeError

_PARTIAL = ".partial"
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]  # several machines may write into one folder
_COUNT = itertools.count()  # and several threads
_ABANDONED = 24 * 3600  # seconds after which another machine's temporary file is one that nobody writes any more


@contextmanager
def whole_file(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Lend a temporary file beside `path` and rename it to `path` when the block ends without an error.

    The temporary name keeps the endings of `path`, for writers that choose the format by them.

    Args:
        path: The file to write; its folder is made if it is missing.
        durable: Also flush file and folder to the disk, so that a power failure leaves the old or the new file.

    Yields:
        The temporary path to write to.

    Raises:
        SegForgeError: If the system refuses to write; nothing is left behind and an older file stays as it was.
    """
    temporary = path.with_name(_temporary_name(path.name))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if durable:
            _flush(temporary)
        temporary.replace(path)
        if durable:
            _flush(path.parent)
    except OSError as error:
        raise _refusal(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def temporary_folder(place: Path) -> Iterator[Path]:
    """Lend an empty hidden folder inside `place`, which is made if it is missing; it is gone when the block ends.

    Raises:
        SegForgeError: If the system refuses to make it.
    """
    make_folder(place)
    folder = place / _temporary_name("folder")
    try:
        folder.mkdir()
    except OSError as error:
        raise _refusal(folder, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_bytes(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write a whole file of bytes; see `whole_file`."""
    with whole_file(path, durable=durable) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str, *, durable: bool = False) -> None:
    """Write a whole UTF-8 text file; see `whole_file`."""
    write_bytes(path, content.encode(), durable=durable)


def write_chunks(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a whole file that comes in pieces; see `whole_file`."""
    with whole_file(path) as temporary, temporary.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)


def append_chunks(path: Path, chunks: Iterable[bytes]) -> None:
    """Add pieces to a file that is known to be unfinished, such as a download; its folder is made if it is missing.

    Raises:
        SegForgeError: If the system refuses to write; what was written before stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            for chunk in chunks:
                file.write(chunk)
    except OSError as error:
        raise _refusal(path, error) from error


def make_folder(path: Path) -> None:
    """Make a folder and those above it, and remove what killed processes left in it.

    Raises:
        SegForgeError: If the system refuses.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refusal(path, error) from error
    remove_leftovers(path)


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file that is only ever read line by line.

    Raises:
        SegForgeError: If the system refuses to write.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise _refusal(path, error) from error


@contextmanager
def message_file(path: Path) -> Iterator[BinaryIO]:
    """Lend a file, open at its end, that a process of its own writes its messages to; its folder is made if it is missing.

    Raises:
        SegForgeError: If the system refuses to open it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise _refusal(path, error) from error
    with file:
        yield file


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files and folders that processes which are gone left in `folder`."""
    for leftover in folder.glob(f".*{_PARTIAL}.*"):
        host, _, owner = leftover.name[1:].split(_PARTIAL)[0].partition("-")
        process = owner.partition("-")[0]
        if not process.isdigit():
            continue
        with suppress(OSError):  # it may be gone by now
            abandoned = time.time() - leftover.stat().st_mtime > _ABANDONED
            if abandoned if host != _HOST else not is_alive(int(process)):
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


def _temporary_name(name: str) -> str:
    return f".{_HOST}-{os.getpid()}-{next(_COUNT)}{_PARTIAL}.{name}"


def file_hash(path: Path) -> str:
    """SHA-256 of a file's content, as hexadecimal digits.

    Raises:
        SegForgeError: If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SegForgeError(f"{path} cannot be read: {error.strerror}.") from error


def move_aside(path: Path) -> Path:
    """Rename a file or folder to the first free name `NAME.old-N` and return the new path."""
    number = 1
    while (aside := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    path.replace(aside)
    return aside


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_alive(process: int) -> bool:
    """Whether there is a process of that number on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _refusal(path: Path, error: OSError) -> SegForgeError:
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        free = f"{size(shutil.disk_usage(folder).free)} are free in {folder}"
    except OSError:
        free = f"{folder} does not answer"
    return SegForgeError(f"{path} could not be written: {error.strerror or error}; {free}. Make room or check permissions.")
