"""Amounts as people type them."""

import argparse

import pytest

from segforge.cli.parser import byte_size, duration


@pytest.mark.parametrize(
    ("word", "expected"),
    [("20G", 20 * 10**9), ("500M", 5 * 10**8), ("0", 0), ("1.5t", 15 * 10**11), ("7KB", 7000), ("12", 12), ("3gb", 3 * 10**9)],
)
def test_sizes_are_bytes_or_have_a_unit(word: str, expected: int) -> None:
    assert byte_size(word) == expected


@pytest.mark.parametrize("word", ["", "G", "-1G", "20X", "1,5G", "ten"])
def test_what_is_no_size_is_refused(word: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no size; give 20G"):
        byte_size(word)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("90s", 90),
        ("20m", 1200),
        ("6h", 21_600),
        ("1h30m", 5400),
        ("2d", 172_800),
        ("1.5H", 5400),
        ("1d2h3m4s", 93_784),
        ("0s", 0),
    ],
)
def test_spans_of_time_have_units(word: str, expected: float) -> None:
    assert duration(word) == expected


@pytest.mark.parametrize("word", ["", "6", "6x", "-5m", "30m1h", "h", "1..5h", ".m", "1h 30m", "1,5h", "infh", "1e3s"])
def test_what_is_no_span_of_time_is_refused(word: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is no span of time; give 90s, 20m, 6h, 1h30m or 2d"):
        duration(word)
