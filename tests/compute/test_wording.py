import pytest

from segforge.compute.wording import counted, duration, size


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.44, "0.4 s"),
        (5.02, "5 s"),
        (99, "99 s"),
        (120, "2 min"),
        (5940, "99 min"),
        (7200, "2.0 h"),
        (83 * 86_400, "83.0 days"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_sizes() -> None:
    assert [size(number) for number in (0, 99_400_000, 100_000_000, 5.5e9)] == ["0 MB", "99 MB", "0.10 GB", "5.50 GB"]


def test_counts() -> None:
    assert [counted(0, "case"), counted(1, "case"), counted(2, "pass", "passes")] == ["0 cases", "1 case", "2 passes"]
