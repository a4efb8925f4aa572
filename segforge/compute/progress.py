"""A progress bar on a terminal, nothing elsewhere; log lines go past it."""

import io
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_is_quiet = False


def be_quiet() -> None:
    """From now on this process shows nothing but errors: another one does the same work and shows it."""
    from tqdm import tqdm

    global _is_quiet
    _is_quiet = True
    tqdm.set_lock(threading.RLock())  # its own, made for several processes, would outlive one that is killed
    logging.getLogger("segforge").setLevel(logging.ERROR)
    sys.stdout = io.StringIO()


@contextmanager
def progress_bar(total: int, description: str) -> Iterator[Callable[[], object]]:
    """Show a bar on the terminal's error stream and lend the function that advances it by one."""
    from tqdm import tqdm

    with tqdm(total=total, desc=description, disable=_is_quiet or None, leave=False, dynamic_ncols=True) as bar:
        yield bar.update


class TerminalHandler(logging.Handler):
    """Prints messages on standard output and warnings on standard error, without tearing a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        from tqdm import tqdm

        with suppress(BrokenPipeError):  # a reader that went away (`| head`) ends no training
            if record.levelno >= logging.WARNING:
                tqdm.write(f"{record.levelname.lower()}: {self.format(record)}", file=sys.stderr)
            else:
                tqdm.write(self.format(record), file=sys.stdout)


@contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Copy all messages of SegForge into a file while the block runs."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("segforge")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
