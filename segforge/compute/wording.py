"""Numbers in words that people read: durations, sizes and counts."""

from collections.abc import Sequence


def duration(seconds: float) -> str:
    """`0.4 s`, `40 s`, `12 min`, `3.5 h`, `4.2 days`."""
    if seconds < 10:
        return f"{seconds:.1f} s".replace(".0", "")
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"


def size(number: float) -> str:
    """Bytes as `40 MB` or `1.25 GB`."""
    return f"{number / 1e9:.2f} GB" if number >= 1e8 else f"{number / 1e6:.0f} MB"


def numbers(values: Sequence[float]) -> str:
    """Sizes along axes as people type them: `64 100 16`."""
    return " ".join(f"{value:g}" for value in values)


def counted(number: int, thing: str, things: str | None = None) -> str:
    """`1 case`, `2 cases`; `things` is the plural where it takes more than an s."""
    return f"{number} {thing if number == 1 else things or thing + 's'}"


def reason_of(error: BaseException) -> str:
    """Why something failed; errors without words, or with a key alone, get the name of their kind."""
    words = str(error)
    return f"{type(error).__name__}: {words}" if isinstance(error, KeyError) else words or type(error).__name__
