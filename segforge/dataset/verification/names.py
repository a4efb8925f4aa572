"""What names of files tell: another operating system cannot hold them or takes two for one; a format that loses values."""

import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from segforge.dataset.cases import Case
from segforge.dataset.verification.problem import Kind, Problem, name_in
from segforge.images.files import LOSSY_ENDINGS

_FORBIDDEN = '<>:"|?*\\'
_PORTS = {f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³"}
_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", *_PORTS}
_LONGEST = 259  # characters of a path on Windows, as it is set up


def check_names(folder: Path, cases: Iterable[Case]) -> Iterator[Problem]:
    """The cases whose files Windows or macOS cannot hold, once each, and those that they take for another case."""
    first: dict[str, str] = {}
    for case in cases:
        yield from _unportable(folder, case)
        file = name_in(folder, case.images[0])
        other = first.setdefault(unicodedata.normalize("NFC", case.id).casefold(), case.id)
        if other != case.id:
            yield Problem(Kind.SIMILAR_NAMES, case.id, file, f"differs from {other} only in {_difference(case.id, other)}")


def fault(name: str) -> str | None:
    """Why Windows cannot hold a file or folder of this name, or None if it can."""
    begin = name.partition(".")[0]
    if begin.rstrip().upper() in _DEVICES:
        return f"{begin} is a device on Windows"
    if wrong := [character for character in name if character in _FORBIDDEN or ord(character) < 32]:
        return f"Windows allows no {wrong[0]!r} in a name"
    if name.endswith((".", " ")):
        return "a name on Windows cannot end with a dot or a blank"
    return None


def is_lossy(path: Path) -> bool:
    """Whether a file's format changes the values that it stores."""
    return path.name.lower().endswith(LOSSY_ENDINGS)


def _unportable(folder: Path, case: Case) -> Iterator[Problem]:
    """The first of a case's files that is at fault; its name alone names folders and files that are made from it."""
    files = (*case.images, *([case.label] if case.label else []))
    for path, name in [*((path, path.name) for path in files), (case.images[0], case.id)]:
        if why := fault(name) or _too_long(path):
            yield Problem(Kind.NAME, case.id, name_in(folder, path), why)
            return


def _too_long(path: Path) -> str | None:
    length = len(str(path.absolute()))
    return f"its path has {length} characters, Windows holds {_LONGEST}" if length > _LONGEST else None


def _difference(name: str, other: str) -> str:
    same_letters = unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", other)
    return "how accents are encoded (Unicode NFC, NFD)" if same_letters else "upper and lower case"
