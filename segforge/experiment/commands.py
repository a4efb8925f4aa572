"""A command line of SegForge in a process of its own, whose messages go to a file."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import join
from threading import Lock

from segforge.compute.files import message_file
from segforge.errors import Busy

_MODULE = "segforge.cli.supervised"
_ERROR = "segforge: "
"""How the last message of a command that fails begins."""


@dataclass(frozen=True)
class Place:
    """Where a command computes.

    Attributes:
        device: For `--device`; empty where it takes none.
        gpus: What `CUDA_VISIBLE_DEVICES` is to be, where the command is to see some of the GPUs alone.
    """

    device: str = ""
    gpus: str | None = None


@dataclass(frozen=True)
class Command:
    """What to run.

    Attributes:
        words: The words after `segforge`.
        log: File that its messages are added to.
        threads: Processor threads that its computing may use.
        place: Where it computes.
    """

    words: tuple[str, ...]
    log: Path
    threads: int
    place: Place = Place()

    @property
    def line(self) -> list[str]:
        """All words, those of the device too."""
        return [*self.words, *(["--device", self.place.device] if self.place.device else [])]


@dataclass(frozen=True)
class Ending:
    """How a command ended.

    Attributes:
        reason: Why it is not done, in a line; None if it is.
        seconds: How long it took.
        is_busy: Whether it is not done because another process was doing it.
    """

    reason: str | None
    seconds: float
    is_busy: bool = False


def run_command(command: Command, begun: Callable[[subprocess.Popen[bytes]], object] = lambda child: None) -> Ending:
    """Run a command to its end, in a group of its own: Ctrl-C on the terminal is not for it.

    It ends by itself, as by SIGTERM, when this process is gone.

    Args:
        command: The command.
        begun: Called with the process.
    """
    begin = time.monotonic()
    with message_file(command.log) as log:
        log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} $ segforge {join(command.line)}\n".encode())
        log.flush()
        before = log.tell()
        with subprocess.Popen(
            [sys.executable, "-m", _MODULE, *command.line],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=_environment(command),
            start_new_session=True,
        ) as child:
            begun(child)
            status = child.wait()
    return Ending(_reason(status, command.log, before), time.monotonic() - begin, status == Busy.exit_status)


class Children:
    """Runs commands in the threads of this process, and can end all that are under way."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._is_ending = False
        self._lock = Lock()

    def run(self, command: Command) -> Ending:
        """Run a command to its end, or none any more if all were ended."""
        children: list[subprocess.Popen[bytes]] = []

        def begun(child: subprocess.Popen[bytes]) -> None:
            with self._lock:
                self._running.add(child)
                children.append(child)
                if self._is_ending:
                    child.terminate()

        try:
            return run_command(command, begun)
        finally:
            with self._lock:
                self._running.difference_update(children)

    def end(self) -> None:
        """Ask all that are under way to save what they have and to end; asked again, they end at once."""
        with self._lock:
            self._is_ending = True
            for child in self._running:
                with suppress(OSError):
                    child.terminate()


def _environment(command: Command) -> dict[str, str]:
    threads, gpus = str(command.threads), command.place.gpus
    own = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "PYTHONUNBUFFERED": "1"}
    return dict(os.environ) | own | ({"CUDA_VISIBLE_DEVICES": gpus} if gpus is not None else {})


def _reason(status: int, log: Path, before: int) -> str | None:
    """Why a command is not done: its error, or else the last line that it wrote, or the signal that ended it."""
    if status == 0:
        return None
    if status < 0:
        remedy = "; if memory was short, use fewer --at-once" if -status == signal.SIGKILL else ""
        return f"ended by signal {signal.Signals(-status).name}{remedy}"
    with log.open("rb") as file:
        file.seek(before)
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    errors = [number for number, line in enumerate(lines) if line.startswith(_ERROR)]
    told = lines[errors[-1] if errors else -1 :]
    return "; ".join(told).removeprefix(_ERROR) or f"exit status {status}"
