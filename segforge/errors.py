"""The errors that a user can cause and mend: one message with what is wrong, where, and what to do."""


class SegForgeError(Exception):
    """Something the user can mend; the command line prints the message alone and exits with `exit_status`."""

    exit_status = 2


class CasesFailed(SegForgeError):
    """Some cases failed, each of them named; all the others are done."""

    exit_status = 1


class Interrupted(SegForgeError):
    """The user or the system asked to stop; what was done is saved."""

    exit_status = 130
