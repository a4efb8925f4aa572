"""Opens a data set for planning, with what the list of its files already tells."""

import logging
from collections.abc import Sequence
from pathlib import Path

from segforge.dataset.cases import RawDataset, open_described
from segforge.dataset.description import FILE_NAME, read_description
from segforge.dataset.verification.listing import check_listing
from segforge.dataset.verification.problem import FATAL, Problem
from segforge.errors import SegForgeError

log = logging.getLogger(__name__)


def open_checked_dataset(folder: Path) -> RawDataset:
    """Open a data set for planning, and warn of what the list of its files tells.

    Raises:
        SegForgeError: If files are missing or doubled; names all of them.
    """
    description = read_description(folder / FILE_NAME)
    try:
        dataset = open_described(folder, description)
    except SegForgeError:
        problems = check_listing(folder, description)
        if fatal := [problem for problem in problems if problem.kind in FATAL]:
            raise SegForgeError(_as_error(folder, fatal)) from None
        raise
    _warn(check_listing(folder, dataset.description))
    return dataset


def _as_error(folder: Path, problems: Sequence[Problem]) -> str:
    files = "\n".join(f"{problem.file}: {problem.found}" for problem in problems)
    remedies = " ".join(dict.fromkeys(problem.remedy for problem in problems))
    return f"{folder} cannot be planned yet:\n{files}\n{remedies}"


def _warn(problems: Sequence[Problem]) -> None:
    """A line for each kind of problem, with the first file that has it."""
    for kind in dict.fromkeys(problem.kind for problem in problems):
        first, *others = [problem for problem in problems if problem.kind is kind]
        more = f" (and {len(others)} more; segforge verify names them)" if others else ""
        log.warning("%s: %s%s. %s", first.file, first.found, more, first.remedy)
