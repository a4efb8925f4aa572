"""A progress bar on a terminal, nothing elsewhere; log lines go past it."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def progress_bar(total: int, description: str) -> Iterator[Callable[[], object]]:
    """Show a bar on the terminal's error stream and lend the function that advances it by one."""
    from tqdm import tqdm

    with tqdm(total=total, desc=description, disable=None, leave=False, dynamic_ncols=True) as bar:
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
