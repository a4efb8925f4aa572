"""The grid of an image from its header alone: the one that reading the whole image gives, or none."""

from pathlib import Path

import numpy as np
import pytest
from dicom_samples import copy_series

from segforge.images.files import read_grid, read_image, write_volume
from segforge.images.image import Geometry

TURNED = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
SHAPE = (3, 4, 5)


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha", ".mhd"])
@pytest.mark.parametrize("canonical", [False, True])
def test_the_header_tells_the_grid(ending: str, canonical: bool, tmp_path: Path) -> None:
    path = tmp_path / f"a{ending}"
    write_volume(path, np.ones(SHAPE, np.int16), Geometry(SHAPE, (3.0, 2.0, 1.0), (1.0, 2.0, 3.0), TURNED))
    grid = read_grid(path, canonical=canonical)
    assert grid is not None
    assert grid == read_image(path, canonical=canonical).geometry


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "stack.tif"])
def test_planes_and_stacks(name: str, tmp_path: Path) -> None:
    is_2d = name != "stack.tif"
    shape = (1, 4, 5) if is_2d else SHAPE
    write_volume(tmp_path / name, np.ones(shape, np.uint8), Geometry(shape, (3.0, 2.0, 1.0), is_2d=is_2d))
    grid = read_grid(tmp_path / name)
    assert grid is not None
    assert grid == read_image(tmp_path / name).geometry


@pytest.mark.parametrize("canonical", [False, True])
def test_the_headers_of_slices_tell_the_grid_of_a_series(canonical: bool, shared: Path, tmp_path: Path) -> None:
    series = copy_series(shared, tmp_path / "series", slices=5)
    grid = read_grid(series, canonical=canonical)
    assert grid is not None
    assert grid == read_image(series, canonical=canonical).geometry
    next(series.iterdir()).write_bytes(b"no header")
    assert read_grid(series) is None
    assert read_grid(tmp_path) is None  # a folder without slices


@pytest.mark.parametrize("content", [b"", b"no header", bytes(400)])
@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha", ".png", ".tif"])
def test_a_damaged_header_gives_none(content: bytes, ending: str, tmp_path: Path) -> None:
    (tmp_path / f"a{ending}").write_bytes(content)
    assert read_grid(tmp_path / f"a{ending}") is None
    assert read_grid(tmp_path / f"missing{ending}") is None
