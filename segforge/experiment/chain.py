"""Carries out pieces of work that need one another: in their order, side by side where there is room, past those that fail."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from segforge.compute.wording import reason_of
from segforge.experiment.commands import Command, Ending, Place

log = logging.getLogger(__name__)

_PAUSE = 1.0  # seconds between two looks at what another process works on

Work = Callable[[Command], Ending]


@dataclass(frozen=True)
class Piece:
    """A piece of work, recognised as done by what lies on the disk.

    Attributes:
        name: What people call it.
        command: How it is done.
        needs: Names of the pieces that must be done before it.
        is_done: Whether there is nothing left to do.
        worker: Who works on it, in words, if a process does.
    """

    name: str
    command: Command
    needs: tuple[str, ...] = ()
    is_done: Callable[[], bool] = lambda: False
    worker: Callable[[], str | None] = lambda: None


@dataclass
class Course:
    """How far the pieces are.

    Attributes:
        done: Names of those that are done.
        endings: How each one that was begun has ended, by name.
        failures: Why the others are not done, by name.
    """

    done: list[str] = field(default_factory=list)
    endings: dict[str, Ending] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.done) + len(self.failures)


class Chain:
    """Pieces that are carried out by an executor, one at each place."""

    def __init__(
        self,
        pieces: Sequence[Piece],
        places: Sequence[Place],
        told: Callable[[Piece, Course], object],
        impossible: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Set up; nothing is begun.

        Args:
            pieces: The pieces.
            places: Where they may be worked on, one at each place.
            told: Called with each piece that has come to its end, done or not.
            impossible: Why pieces cannot be done, by name.
        """
        self._waiting = list(pieces)
        self._impossible = impossible
        self._places = list(places)
        self._told = told
        self._under_way: dict[Future[Ending], tuple[Piece, Place]] = {}
        self._left_to_others: set[str] = set()
        self._course = Course()

    def carry_out(self, executor: Executor, work: Work) -> Course:
        """Carry out what is not done yet; what fails takes with it only what needs it.

        What another process works on is left to it until that has ended, and then looked at again.

        Args:
            executor: Runs the commands.
            work: Runs one; must be picklable where the executor's workers are other processes.
        """
        for piece in [piece for piece in self._waiting if piece.name in self._impossible and not piece.is_done()]:
            self._leave_out(piece, self._impossible[piece.name])
        while self._waiting or self._under_way:
            self._drop_hopeless()
            for piece in self._startable():
                self._begin(piece, executor, work)
            if not self._under_way:
                time.sleep(_PAUSE if self._waiting else 0)
            for future in wait(self._under_way, timeout=_PAUSE, return_when=FIRST_COMPLETED).done:
                self._collect(future)
        return self._course

    def _begin(self, piece: Piece, executor: Executor, work: Work) -> None:
        place = self._places[0]
        try:
            future = executor.submit(work, replace(piece.command, place=place))
        except BrokenExecutor as error:  # and so will all the others: the run ends with what is done
            self._course.failures[piece.name] = f"its executor failed: {reason_of(error)}"
            self._told(piece, self._course)
        else:
            self._under_way[future] = piece, self._places.pop(0)

    def _startable(self) -> Iterator[Piece]:
        """Pieces that nothing keeps from being begun, as long as there is a place."""
        for piece in list(self._waiting):
            if not self._places:
                return
            if not set(piece.needs) <= set(self._course.done) or self._is_left_to_another(piece):
                continue
            self._waiting.remove(piece)
            if piece.is_done():
                self._course.done.append(piece.name)
                self._told(piece, self._course)
            else:
                yield piece

    def _is_left_to_another(self, piece: Piece) -> bool:
        worker = piece.worker()
        if worker and piece.name not in self._left_to_others:
            log.info("%s is left to another: %s.", piece.name, worker)
            self._left_to_others.add(piece.name)
        return worker is not None

    def _drop_hopeless(self) -> None:
        """Take out what needs a piece that failed, and what needs that."""
        while hopeless := [piece for piece in self._waiting if set(piece.needs) & set(self._course.failures)]:
            for piece in hopeless:
                failed = [name for name in piece.needs if name in self._course.failures]
                self._leave_out(piece, f"needs {', '.join(failed)}")

    def _leave_out(self, piece: Piece, reason: str) -> None:
        self._waiting.remove(piece)
        self._course.failures[piece.name] = reason
        self._told(piece, self._course)

    def _collect(self, future: Future[Ending]) -> None:
        piece, place = self._under_way.pop(future)
        self._places.append(place)
        ending = _ending(future)
        if ending.is_busy:  # another one was quicker
            self._waiting.append(piece)
            return
        self._course.endings[piece.name] = ending
        if ending.reason is None:
            self._course.done.append(piece.name)
        else:
            self._course.failures[piece.name] = ending.reason
        self._told(piece, self._course)


def _ending(future: Future[Ending]) -> Ending:
    """How a command ended, or why its worker could not run it."""
    try:
        return future.result()
    except Exception as error:
        return Ending(f"its worker failed: {reason_of(error)}", 0.0)
