"""Tells loggers of a training without ever stopping it or making it wait."""

import importlib.util
import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from segforge import plugins
from segforge.compute.documents import Document
from segforge.errors import SegForgeError
from segforge.training.history import EpochRecord
from segforge.training.job import TrainingJob
from segforge.training.loggers import LOGGERS
from segforge.training.loggers.logger import LoggedRun, Logger, numbers_of

log = logging.getLogger(__name__)

_WAITING = 1000
"""What a logger has not taken yet is at most so many calls; more are dropped."""
_REASON = 200  # letters
_CLOSING_SECONDS = 10.0
"""For all loggers together, at the end."""


class RunName(Document):
    """`logged.json` in the fold's folder: by which loggers know the training again when it goes on."""

    id: str


class Feed:
    """One logger and its thread."""

    def __init__(self, name: str, kind: Callable[[LoggedRun], Logger], run: LoggedRun) -> None:
        """Start the thread.

        Args:
            name: Of the logger.
            kind: Its class.
            run: The training.
        """
        self._name = name
        self._calls: queue.Queue[Callable[[Logger], None] | None] = queue.Queue(_WAITING)
        self._has_dropped = False
        self._thread = threading.Thread(target=self._work, args=(kind, run), name=f"logger {name}", daemon=True)
        self._thread.start()

    def tell(self, call: Callable[[Logger], None]) -> None:
        """Have the logger called, if it keeps up."""
        if not self._thread.is_alive():
            return
        try:
            self._calls.put_nowait(call)
        except queue.Full:
            if not self._has_dropped:
                log.warning("--log %s does not answer; what it should keep is dropped. history.jsonl has it all.", self._name)
            self._has_dropped = True

    def end(self) -> None:
        """Have the logger closed after what it has been told; of that the oldest is dropped where there is too much."""
        if self._calls.full():
            with suppress(queue.Empty):
                self._calls.get_nowait()
        self._calls.put_nowait(None)

    def wait(self, deadline: float) -> None:
        """Wait for the end of the thread, until a moment of the monotonic clock."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            log.warning("--log %s has not taken everything in time. history.jsonl has it all.", self._name)

    def _work(self, kind: Callable[[LoggedRun], Logger], run: LoggedRun) -> None:
        try:
            logger = kind(run)
            while call := self._calls.get():
                call(logger)
            logger.close()
        except (Exception, SystemExit) as error:  # whatever it is, it concerns nobody else
            words = str(error).strip().splitlines()
            reason = f"{type(error).__name__}: {words[0][:_REASON]}" if words else type(error).__name__
            log.warning("--log %s failed (%s). The training goes on without it.", self._name, reason)


class Feeds:
    """The loggers of one training."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._feeds = feeds

    def epoch(self, record: EpochRecord) -> None:
        """Tell of an epoch."""
        numbers = numbers_of(record)
        self._tell(lambda logger: logger.epoch(record.epoch, numbers))

    def picture(self, epoch: int, path: Path) -> None:
        """Tell of the picture of the progress up to an epoch."""
        self._tell(lambda logger: logger.picture(epoch, path))

    def close(self) -> None:
        """Let them finish what they have been told, within a few seconds."""
        for feed in self._feeds:
            feed.end()
        deadline = time.monotonic() + _CLOSING_SECONDS
        for feed in self._feeds:
            feed.wait(deadline)

    def _tell(self, call: Callable[[Logger], None]) -> None:
        for feed in self._feeds:
            feed.tell(call)


@contextmanager
def open_feeds(job: TrainingJob, first_epoch: int) -> Iterator[Feeds]:
    """Lend the loggers that a training asks for; one whose package is missing is left out with a warning.

    Args:
        job: The training.
        first_epoch: The epoch that it goes on with.

    Raises:
        SegForgeError: If a name is unknown; gives the nearest.
    """
    kinds = _installed(job.loggers)
    run = _logged_run(job, first_epoch) if kinds else None
    feeds = Feeds([Feed(name, kind, run) for name, kind in kinds.items()] if run else [])
    try:
        yield feeds
    finally:
        feeds.close()


def _installed(names: Sequence[str]) -> dict[str, type[Logger]]:
    """The classes of those loggers whose packages are installed."""
    kinds: dict[str, type[Logger]] = {name: plugins.find("loggers", name, LOGGERS) for name in names}
    for name, kind in list(kinds.items()):
        if importlib.util.find_spec(kind.package) is None:
            remedy = f"pip install 'segforge[{name}]'" if name in LOGGERS else f"pip install {kind.package}"
            log.warning("--log %s: %s is not installed (%s). The training goes on without it.", name, kind.package, remedy)
            del kinds[name]
    return kinds


def _logged_run(job: TrainingJob, first_epoch: int) -> LoggedRun:
    path, model = job.folder / "logged.json", job.folder.parent
    try:
        known = RunName.read(path)
    except SegForgeError:
        known = RunName(id=uuid.uuid4().hex)
        known.write(path, durable=False)
    return LoggedRun(
        id=known.id,
        folder=job.folder,
        project=model.parent.name,
        name=f"{model.name} {job.folder.name}",
        settings=job.settings.model_dump(mode="json"),
        first_epoch=first_epoch,
    )
