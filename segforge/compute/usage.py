"""How much memory was used."""

import sys
from pathlib import Path


def peak_memory(*, of_children: bool = False) -> int:
    """The most bytes that this process, or the largest of its ended children, held at once; 0 where that is not known."""
    if not of_children and (peak := _peak_on_linux()):
        return peak
    if sys.platform == "win32":
        return 0
    import resource

    who = resource.RUSAGE_CHILDREN if of_children else resource.RUSAGE_SELF
    return resource.getrusage(who).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _peak_on_linux() -> int | None:
    """Since this program began; what `getrusage` tells includes the process that started it."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
