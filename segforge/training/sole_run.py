"""Which process trains a fold, so that no second one does, and how it is asked to end soon."""

import platform
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from os import getpid
from pathlib import Path

from pydantic import Field

from segforge.compute.documents import Document
from segforge.errors import SegForgeError

STOP_FILE = "stop.json"


class Runner(Document):
    """The process that trains a fold: `.fold_N.json` in the model's folder while it does.

    Attributes:
        run: A word of its own for each run.
        host: Name of the machine.
        process: Number of the process there.
    """

    run: str
    host: str
    process: int

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


class EndRequest(Document):
    """`stop.json` in the fold's folder: one run shall end within a time.

    Attributes:
        run: The run that is meant.
        seconds: The time.
    """

    run: str
    seconds: float = Field(ge=0, allow_inf_nan=False)


class Run:
    """This process's training of one fold."""

    def __init__(self, folder: Path) -> None:
        """Name the fold's folder, which need not be there yet."""
        self._folder = folder
        self._runner = Runner(run=uuid.uuid4().hex, host=platform.node(), process=getpid())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from training the fold while the block runs; the model's folder must be there.

        Raises:
            SegForgeError: If one does; names it.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(_lock(self._folder), timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            who = _read_runner(self._folder) or "another process"
            raise SegForgeError(f"{self._folder} is being trained by {who}. Wait, or end it with segforge stop.") from error
        try:
            self._runner.write(_runner(self._folder), durable=False)
            yield
        finally:
            self.heeded()
            _runner(self._folder).unlink(missing_ok=True)
            lock.release()

    def asked_to_end(self) -> float | None:
        """Within how many seconds another process has asked this run to end, if one has.

        What was meant for an earlier run is removed.
        """
        path = self._folder / STOP_FILE
        if not path.is_file():
            return None
        try:
            request = EndRequest.read(path)
        except SegForgeError:
            request = None
        if request is None or request.run != self._runner.run:
            path.unlink(missing_ok=True)
            return None
        return request.seconds

    def heeded(self) -> None:
        """What was asked for is under way and saved, or the run is over."""
        (self._folder / STOP_FILE).unlink(missing_ok=True)


def ask_to_end(folder: Path, seconds: float) -> Runner:
    """Ask the process that trains a fold to end within a time; the last one who asks is heeded.

    Args:
        folder: Of the fold.
        seconds: The time.

    Returns:
        The process that was asked.

    Raises:
        SegForgeError: If no process trains the fold.
    """
    if not _is_locked(folder):
        raise SegForgeError(f"No process trains {folder} now; there is nothing to stop.")
    runner = _read_runner(folder)
    if runner is None:
        raise SegForgeError(f"The training of {folder} is only just beginning or ending. Ask again in a moment.")
    EndRequest(run=runner.run, seconds=seconds).write(folder / STOP_FILE)
    return runner


def _is_locked(folder: Path) -> bool:
    from filelock import FileLock, Timeout

    if not _lock(folder).is_file():
        return False
    try:
        with FileLock(_lock(folder), timeout=0):
            return False
    except Timeout:
        return True


def _read_runner(folder: Path) -> Runner | None:
    try:
        return Runner.read(_runner(folder))
    except SegForgeError:
        return None


def _lock(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _runner(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.json")
