"""A progress bar on a terminal, nothing elsewhere; log lines go past it."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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

        if record.levelno >= logging.WARNING:
            tqdm.write(f"{record.levelname.lower()}: {self.format(record)}", file=sys.stderr)
        else:
            tqdm.write(self.format(record), file=sys.stdout)
