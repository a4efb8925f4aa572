"""Times a small part of a preprocessing before it begins: the middle slices of some cases, done as all will be."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from segforge.compute.executors import Resources, Task, run_all, threads
from segforge.compute.files import temporary_folder
from segforge.dataset.cases import Case
from segforge.dataset.decoded import CaseReader, DecodedCase

Attempt = Callable[[Case, DecodedCase, Path], None]

_VOXELS = 1 << 22
"""Most voxels of a case that are tried."""


def seconds_for(
    attempt: Attempt, cases: Sequence[Case], work: Sequence[int], reader: CaseReader, folder: Path, workers: int
) -> float | None:
    """About how long a preprocessing takes.

    As many cases of middle size as work at once are tried side by side, of those that must still be read if there are any.

    Args:
        attempt: Preprocesses a part of a case and writes it into a folder.
        cases: All that are due.
        work: A measure of the work for each.
        reader: Reads the cases; what it reads and has room for stays there.
        folder: Where there is room for a temporary folder.
        workers: How many cases are worked on at once.

    Returns:
        Seconds, or None if a case that was tried fails, which will be said of it in its turn.
    """
    unread = [number for number, case in enumerate(cases) if case.id not in reader]
    by_work = sorted(unread if len(unread) >= workers else range(len(cases)), key=work.__getitem__)
    begin = (len(by_work) - workers) // 2
    with temporary_folder(folder) as place:
        tasks = [
            Task(cases[number].id, _seconds_of, (attempt, cases[number], reader, place))
            for number in by_work[begin : begin + workers]
        ]
        outcome = run_all(threads, tasks, resources=Resources(workers), description="trial")
    if outcome.failures:
        return None
    tried = sum(work[number] for number in by_work[begin : begin + workers])
    reading, rest = np.sum([*outcome.results.values()], axis=0) / tried  # seconds for each piece of work
    return float(reading * sum(work[number] for number in unread) + rest * sum(work)) / workers


def _seconds_of(attempt: Attempt, case: Case, reader: CaseReader, folder: Path) -> tuple[float, float]:
    """Seconds to read a case, and to preprocess it, from a part of it."""
    begin = time.perf_counter()
    decoded = reader.read(case)
    read = time.perf_counter()
    part, share = _middle_slices(decoded)
    attempt(case, part, folder / case.id)
    return read - begin, (time.perf_counter() - read) / share


def _middle_slices(decoded: DecodedCase) -> tuple[DecodedCase, float]:
    """A part of a case that is soon done, and its share of the whole."""
    array, geometry = decoded.image.array, decoded.image.geometry
    depth, y, x = geometry.shape
    count = min(depth, max(1, depth * _VOXELS // array.size))
    begin = (depth - count) // 2
    slices = slice(begin, begin + count)
    image = replace(decoded.image, array=array[:, slices], geometry=replace(geometry, shape=(count, y, x)))
    return DecodedCase(image, decoded.classes[:, slices]), count / depth
