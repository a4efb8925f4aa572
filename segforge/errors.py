"""The errors that a user can cause and mend: one message with what is wrong, where, and what to do."""

import difflib
from collections.abc import Iterable


class SegForgeError(Exception):
    """Something the user can mend; the command line prints the message alone and exits with `exit_status`."""

    exit_status = 2


class CasesFailed(SegForgeError):
    """Some cases failed, each of them named; all the others are done."""

    exit_status = 1


class PreprocessingFailed(CasesFailed):
    """Some cases could not be preprocessed; the plans, and the cases of other configurations, may be whole."""


class Busy(SegForgeError):
    """Another process does it now; later the same command may go on."""

    exit_status = 75


class Interrupted(SegForgeError):
    """The user or the system asked to stop; what was done is saved."""

    exit_status = 130


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean X?` with the known word nearest to a wrong one, or nothing if none is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean {near[0]}?" if near else ""
