"""The problems of a data set as a table to read, and as JSON for programs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from segforge.compute.documents import to_json
from segforge.dataset.verification.problem import Kind, Problem

_ROWS = 20  # of one kind


@dataclass(frozen=True)
class Verification:
    """What came of looking through a data set.

    Attributes:
        dataset: Its folder's name.
        cases: How many cases were looked at.
        problems: Everything that is wrong, sorted by kind.
        with_float_noise: How many cases have grids that differ by float noise, which is no problem.
    """

    dataset: str
    cases: int
    problems: tuple[Problem, ...]
    with_float_noise: int = 0

    def to_json(self) -> str:
        """All of it as JSON."""
        problems = [asdict(problem) | {"remedy": problem.remedy} for problem in self.problems]
        content = {"dataset": self.dataset, "cases": self.cases, "with_float_noise": self.with_float_noise}
        return to_json({**content, "problems": problems})

    def table(self) -> str:
        """The problems by kind, each kind with its remedy, and a line that counts them."""
        blocks = [_block(kind, [problem for problem in self.problems if problem.kind is kind]) for kind in Kind]
        return "\n".join([*(block + "\n" for block in blocks if block), self._summary()])

    def _summary(self) -> str:
        count = _counted(len(self.problems), "problem") if self.problems else "No problems"
        noisy = _counted(self.with_float_noise, "case")
        noise = f" Float noise in the grids of {noisy} does no harm." if self.with_float_noise else ""
        return f"{count} in {_counted(self.cases, 'case')}.{noise}"


def _block(kind: Kind, problems: Sequence[Problem]) -> str:
    if not problems:
        return ""
    cells = [(_printable(problem.file), _printable(problem.found)) for problem in problems[:_ROWS]]
    width = max(len(file) for file, _ in cells)
    rows = [f"  {file:<{width}}  {found}" for file, found in cells]
    more = [f"  and {len(problems) - _ROWS} more (--json has all)"] if len(problems) > _ROWS else []
    return "\n".join([f"{kind}: {problems[0].remedy}", *rows, *more])


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _printable(text: str) -> str:
    """Names of files may hold what moves a terminal's cursor."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
