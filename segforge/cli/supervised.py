"""A command line that ends when the process that started it is gone: `python -m segforge.cli.supervised train 4 2d 0`."""

import os
import signal
import sys
import threading

from segforge.cli.main import main


def _end_with_the_input() -> None:
    """Wait for the end of standard input, whose other end the starting process holds, and then ask this one to end."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_input, daemon=True).start()
    sys.exit(main())
