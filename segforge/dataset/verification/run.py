"""Looks through a raw data set, all cases side by side."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from segforge.compute.executors import ExecutorFactory, Resources, Task, run_all
from segforge.dataset.cases import IMAGES, Case, open_described
from segforge.dataset.description import FILE_NAME, DatasetDescription, read_description
from segforge.dataset.verification.across import check_across
from segforge.dataset.verification.content import check_case
from segforge.dataset.verification.listing import list_files
from segforge.dataset.verification.problem import FATAL, Kind, Problem, name_in
from segforge.dataset.verification.report import Verification
from segforge.errors import SegForgeError


def verify_dataset(folder: Path, factory: ExecutorFactory, resources: Resources) -> Verification:
    """Find everything that is wrong in a raw data set: in the list of its files, in each case, and between cases.

    Raises:
        SegForgeError: If `dataset.json` is missing or wrong.
    """
    description = read_description(folder / FILE_NAME)
    refusal = _refusal(folder, description)
    listing = list_files(folder, description)
    problems = list(listing.problems)
    if refusal and not any(problem.kind in FATAL for problem in problems):
        problems.append(Problem(Kind.REFUSED, "", IMAGES, refusal))
    cases = (*listing.complete, *listing.partial)
    tasks = [
        Task(case.id, partial(check_case, case, description, folder, is_complete=case in listing.complete)) for case in cases
    ]
    outcome = run_all(factory, tasks, resources=resources, description="verify")
    problems += [_unchecked(folder, case, outcome.failures[case.id]) for case in cases if case.id in outcome.failures]
    findings = [outcome.results[case.id] for case in cases if case.id in outcome.results]
    problems += [problem for found in findings for problem in found.problems]
    problems += check_across(folder, [facts for found in findings for facts in found.images])
    return Verification(
        dataset=folder.name,
        cases=len(cases),
        problems=_sorted(problems),
        with_float_noise=sum(found.has_float_noise for found in findings),
    )


def _refusal(folder: Path, description: DatasetDescription) -> str | None:
    """Why the data set cannot be opened, if it cannot."""
    try:
        open_described(folder, description)
    except SegForgeError as error:
        return str(error)
    return None


def _unchecked(folder: Path, case: Case, reason: str) -> Problem:
    return Problem(Kind.NOT_CHECKED, case.id, name_in(folder, case.images[0]), reason)


def _sorted(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    order = {kind: place for place, kind in enumerate(Kind)}
    return tuple(sorted(problems, key=lambda problem: (order[problem.kind], problem.file, problem.found)))
