"""Where the tests find real data."""

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: tests run side by side


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and reference results: SEGFORGE_TEST_DATA, else ../shared; without it the test is skipped."""
    folder = Path(os.environ.get("SEGFORGE_TEST_DATA", PROJECT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no test data in {folder} (SEGFORGE_TEST_DATA)")
    return folder
