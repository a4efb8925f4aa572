"""One process at a time works on a folder: a lock beside it, and a file that says who holds it and since when."""

import logging
import platform
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import getpid
from pathlib import Path
from typing import Self

from segforge.compute.documents import Document
from segforge.errors import Busy, SegForgeError

log = logging.getLogger(__name__)

_PATIENCE = 0.5  # seconds in which one that only looks whether a lock is held is done
_PAUSE = 0.5


class Owner(Document):
    """The process that works on a folder.

    Attributes:
        run: A word of its own for each time that it works.
        host: Name of the machine.
        process: Number of the process there.
        since: When it began, by that machine's clock.
    """

    run: str
    host: str
    process: int
    since: str

    @classmethod
    def here(cls) -> Self:
        """This process, from now on."""
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        return cls(run=uuid.uuid4().hex, host=platform.node(), process=getpid(), since=since)

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


class FolderLock:
    """The right to work on a folder alone, on this machine and on all that share the file system.

    `.NAME.lock` beside the folder is locked by the system, which gives it back when its owner dies, however it dies; on NFS
    the server does, some time after the owner's machine is gone. Where a file system knows no such locks, the lock is the
    existence of that file, with process and machine in it: one that a dead process of this machine left is taken over, one
    of another machine must be removed. `.NAME.json` names the owner for people.
    """

    def __init__(self, folder: Path, work: str) -> None:
        """Name the folder, which need not be there yet; the one above it must be.

        Args:
            folder: What is worked on.
            work: What is done to it: `trained`, `preprocessed`.
        """
        self._folder = folder
        self._work = work
        self._lock = folder.with_name(f".{folder.name}.lock")
        self._owner = folder.with_name(f".{folder.name}.json")

    @contextmanager
    def held(self, owner: Owner, remedy: str) -> Iterator[None]:
        """Keep other processes from the folder while the block runs.

        Args:
            owner: This process.
            remedy: What to do instead, where another one works on it.

        Raises:
            Busy: If one does; names it.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self._lock)
        try:
            lock.acquire(timeout=_PATIENCE)
        except Timeout as error:
            raise Busy(f"{self.state()}.{self._if_dead()} {remedy}") from error
        try:
            with self._named(owner):
                yield
        finally:
            lock.release()

    @contextmanager
    def waited_for(self, owner: Owner) -> Iterator[None]:
        """As `held`, but where another process works on the folder say so, and wait until it has ended."""
        from filelock import FileLock, Timeout

        lock = FileLock(self._lock)
        try:
            lock.acquire(timeout=_PATIENCE)
        except Timeout:
            log.info("%s.%s Waiting for its end.", self.state(), self._if_dead())
            lock.acquire(poll_interval=_PAUSE)
        try:
            with self._named(owner):
                yield
        finally:
            lock.release()

    def is_taken(self) -> bool:
        """Whether a process works on the folder."""
        from filelock import FileLock, Timeout

        if not self._lock.is_file():
            return False
        try:
            with FileLock(self._lock, timeout=0):
                return False
        except Timeout:
            return True
        except PermissionError:  # a reader may only look
            return self.owner() is not None

    def owner(self) -> Owner | None:
        """The process that works on the folder, if it is known; it is only meant where the lock is taken."""
        try:
            return Owner.read(self._owner)
        except SegForgeError:
            return None

    def state(self) -> str:
        """Who works on the folder, in words; it is only meant where the lock is taken."""
        owner = self.owner()
        who = f"{owner} since {owner.since}" if owner else "another process"
        return f"{self._folder} is being {self._work} by {who}"

    def worker(self) -> str | None:
        """Who works on the folder, in words, if a process does."""
        return self.state() if self.is_taken() else None

    def _if_dead(self) -> str:
        """Where the lock is the existence of its file, what to do if another machine left it."""
        with suppress(OSError):
            content = self._lock.read_text(encoding="utf-8", errors="replace").split()
            if content and platform.node() not in content:
                return f" If that process is no longer there, remove {self._lock}."
        return ""

    @contextmanager
    def _named(self, owner: Owner) -> Iterator[None]:
        owner.write(self._owner, durable=False)
        try:
            yield
        finally:
            self._owner.unlink(missing_ok=True)
