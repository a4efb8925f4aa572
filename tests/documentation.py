"""What stands on the pages of the documentation: command lines, code, tables."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[1]
PAGES = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md"), PROJECT / "benchmarks" / "README.md"])

_FENCED = re.compile(r"(?ms)^(```+)([^\n`]*)\n(.*?)^\1\s*$")


def code_blocks(text: str) -> Iterator[str]:
    """Blocks between fences, and those that are set in by four blanks after an empty line."""
    for fenced in _FENCED.finditer(text):
        yield fenced[3]
    rest = _FENCED.sub("", text)
    for block in re.finditer(r"(?m)(?:(?<=\n\n)|\A)((?: {4}[^\n]*\n(?:\n(?= {4}))*)+)", rest):
        yield re.sub(r"(?m)^ {4}", "", block[1])


def spans(text: str) -> Iterator[str]:
    """Code within lines; `\\|` of a table cell is `|`."""
    rest = "\n".join(line for line in _FENCED.sub("", text).splitlines() if not line.startswith("    "))
    for span in re.finditer(r"(?<!`)`([^`\n]+)`(?!`)", rest):
        yield span[1].replace("\\|", "|")


def typed_lines(text: str) -> Iterator[str]:
    """Command lines of a code block or span: without prompt, variables before them, and comments; what is said only there."""
    for line in text.splitlines():
        command = re.sub(r"^(\$ )?((\w+=\S* )*)", "", line)
        if command.startswith("segforge ") and not command.startswith("segforge: "):
            yield command


def words_of(command: str) -> list[str]:
    """The words of a command line, without `segforge`."""
    return shlex.split(command, comments=True)[1:]


def table_rows(text: str) -> Iterator[list[str]]:
    """The cells of all rows of all tables, without heads."""
    for line in text.splitlines():
        if line.startswith("|") and not re.match(r"\|[-| ]+$", line):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
