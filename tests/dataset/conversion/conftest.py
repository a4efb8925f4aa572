"""The converter as it is called from Python, in a workspace of its own."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from segforge.api.conversion import convert_images
from segforge.dataset.cases import RawDataset

Convert = Callable[..., RawDataset]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The folder that tests put pictures into."""
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    """`convert(source, grey=True)`: into data set 7, called Test, in this thread."""
    (tmp_path / "work").mkdir()
    return partial(convert_images, dataset=7, name="Test", workers=0, workspace=tmp_path / "work")
