"""Which process trains a fold, so that no second one does, and how it is asked to end soon."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field

from segforge.compute.documents import Document
from segforge.compute.locks import FolderLock, Owner
from segforge.errors import SegForgeError

STOP_FILE = "stop.json"


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
        self._owner = Owner.here()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from training the fold while the block runs; the model's folder must be there.

        Raises:
            Busy: If one does; names it.
        """
        with lock_of(self._folder).held(self._owner, "Wait, or end it with segforge stop."):
            try:
                yield
            finally:
                self.heeded()

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
        if request is None or request.run != self._owner.run:
            path.unlink(missing_ok=True)
            return None
        return request.seconds

    def heeded(self) -> None:
        """What was asked for is under way and saved, or the run is over."""
        (self._folder / STOP_FILE).unlink(missing_ok=True)


def ask_to_end(folder: Path, seconds: float) -> Owner:
    """Ask the process that trains a fold to end within a time; the last one who asks is heeded.

    Args:
        folder: Of the fold.
        seconds: The time.

    Returns:
        The process that was asked.

    Raises:
        SegForgeError: If no process trains the fold.
    """
    lock = lock_of(folder)
    if not lock.is_taken():
        raise SegForgeError(f"No process trains {folder} now; there is nothing to stop.")
    owner = lock.owner()
    if owner is None:
        raise SegForgeError(f"The training of {folder} is only just beginning or ending. Ask again in a moment.")
    EndRequest(run=owner.run, seconds=seconds).write(folder / STOP_FILE)
    return owner


def lock_of(folder: Path) -> FolderLock:
    """The lock that a training holds on its fold's folder."""
    return FolderLock(folder, "trained")
