"""How much memory this process may still take."""

import os
from dataclasses import replace
from pathlib import Path

from segforge.compute.executors import Resources

GIGABYTE = 10**9

_SHARE = 0.8  # of what is free, for one command
_CGROUP = Path("/sys/fs/cgroup")


def memory_budget(gigabytes: float | None = None) -> int:
    """Bytes that a command may take: what the user allows, else four fifths of what is free."""
    return int(gigabytes * GIGABYTE) if gigabytes is not None else int(available_memory() * _SHARE)


def available_memory() -> int:
    """Free memory in bytes, by the system and by the limit of a container, whichever is less."""
    return min(_free_in_system(), _free_in_container())


def workers_within(resources: Resources, budget: int, each: int) -> Resources:
    """What tasks of `each` bytes ask for, as many at once as fit into a budget of bytes, but one at least."""
    return replace(resources, workers=max(1, min(resources.workers, budget // max(1, each))), memory=each)


def _free_in_system() -> int:
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2 if hasattr(os, "sysconf") else 4 * GIGABYTE


def _free_in_container() -> int:
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        return int(limit) - int((_CGROUP / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return 1 << 62
