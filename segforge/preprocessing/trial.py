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

_MOST_CASES = 8
"""That are tried by each worker."""


def seconds_for(
    attempt: Attempt, cases: Sequence[Case], work: Sequence[int], reader: CaseReader, folder: Path, workers: int
) -> float | None:
    """About how long a preprocessing takes.

    Some cases of middle size are tried, as many at once as will be, of those that must still be read if there are any.

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
    each = max(1, min(_MOST_CASES, _VOXELS // work[by_work[len(by_work) // 2]]))
    tried = _middle(by_work, workers * each)
    with temporary_folder(folder) as place:
        first = Task("first", _seconds_of, (attempt, cases[tried[0]], reader, place))  # whatever takes time only once
        tasks = [Task(cases[number].id, _seconds_of, (attempt, cases[number], reader, place)) for number in tried]
        warm = run_all(threads, [first], resources=Resources(), description="trial")
        begin = time.perf_counter()
        outcome = run_all(threads, tasks, resources=Resources(workers), description="trial")
        passed = time.perf_counter() - begin
    if warm.failures or outcome.failures:
        return None
    between = passed * min(workers, len(tasks)) - sum(spent for _, _, spent in outcome.results.values())
    seconds = outcome.results | {tasks[0].name: (warm.results["first"][0], *outcome.results[tasks[0].name][1:])}
    per_work = np.sum([*seconds.values()], axis=0)[:2] / sum(work[number] for number in tried)
    to_read = sum(work[number] for number in unread if cases[number].id not in reader)
    return float(per_work @ [to_read, sum(work)] + between * len(cases) / len(tasks)) / workers


def _middle(numbers: Sequence[int], count: int) -> Sequence[int]:
    begin = max(0, (len(numbers) - count) // 2)
    return numbers[begin : begin + count]


def _seconds_of(attempt: Attempt, case: Case, reader: CaseReader, folder: Path) -> tuple[float, float, float]:
    """Seconds to read a case, to preprocess all of it, from a part of it, and those that were spent now."""
    begin = time.perf_counter()
    decoded = reader.read(case)
    read = time.perf_counter()
    part, share = _middle_slices(decoded)
    attempt(case, part, folder / case.id)
    end = time.perf_counter()
    return read - begin, (end - read) / share, end - begin


def _middle_slices(decoded: DecodedCase) -> tuple[DecodedCase, float]:
    """A part of a case that is soon done, and its share of the whole."""
    array, geometry = decoded.image.array, decoded.image.geometry
    depth, y, x = geometry.shape
    count = min(depth, max(1, depth * _VOXELS // array.size))
    begin = (depth - count) // 2
    slices = slice(begin, begin + count)
    image = replace(decoded.image, array=array[:, slices], geometry=replace(geometry, shape=(count, y, x)))
    return DecodedCase(image, decoded.classes[:, slices]), count / depth
