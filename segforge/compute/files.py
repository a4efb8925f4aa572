"""The one way in which SegForge writes files: whole, or not at all."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segforge.errors import SegForgeError

_PARTIAL = ".partial"


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
    temporary = path.with_name(f".{os.getpid()}{_PARTIAL}.{path.name}")
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


def write_bytes(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write a whole file of bytes; see `whole_file`."""
    with whole_file(path, durable=durable) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str, *, durable: bool = False) -> None:
    """Write a whole UTF-8 text file; see `whole_file`."""
    write_bytes(path, content.encode(), durable=durable)


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


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that processes which are gone left in `folder`."""
    for leftover in folder.glob(f".*{_PARTIAL}.*"):
        owner = leftover.name[1:].split(_PARTIAL)[0]
        if not (owner.isdigit() and _is_alive(int(owner))):
            leftover.unlink(missing_ok=True)


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


def _is_alive(process: int) -> bool:
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
        free = f"{shutil.disk_usage(folder).free / 1e6:.0f} MB are free in {folder}"
    except OSError:
        free = f"{folder} does not answer"
    return SegForgeError(f"{path} could not be written: {error.strerror or error}; {free}. Make room or check permissions.")
