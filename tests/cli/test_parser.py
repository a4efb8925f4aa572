"""Amounts as people type them."""

import argparse

import pytest

from segforge.cli.parser import byte_size


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
