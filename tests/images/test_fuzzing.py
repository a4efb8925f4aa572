"""Damaged files end in an error that names them, or in what they held: never in a crash, a hang or another image.

SEGFORGE_FUZZ=20000 tries that many damages of each kind instead of a few.
"""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Picture

from segforge.errors import SegForgeError
from segforge.images.files import read_image, write_volume
from segforge.images.image import Geometry, Image

EXAMPLES = int(os.environ.get("SEGFORGE_FUZZ", "100"))
FUZZ = settings(
    max_examples=EXAMPLES, deadline=10_000, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
RANDOM = np.random.default_rng(0)
VOLUME = RANDOM.integers(0, 200, (3, 6, 7)).astype(np.int16)
GRID = Geometry((3, 6, 7), (3.0, 0.5, 0.75), (1.0, -2.0, 3.0), (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
COLOURS = RANDOM.integers(0, 255, (6, 7, 3)).astype(np.uint8)


def _volume(path: Path) -> None:
    write_volume(path, VOLUME, GRID)


def _uncompressed(path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(VOLUME), str(path), useCompression=False)


def _colours(path: Path) -> None:
    Picture.fromarray(COLOURS).save(path)


def _pages(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for page in VOLUME:
            writer.write(page, metadata=None, contiguous=False)


WRITERS: dict[str, Callable[[Path], None]] = {
    "a.nii": _volume,
    "a.nii.gz": _volume,
    "a.nrrd": _volume,
    "raw.nrrd": _uncompressed,
    "a.mha": _volume,
    "raw.mha": _uncompressed,
    "a.gipl": _uncompressed,
    "a.png": _colours,
    "a.bmp": _colours,
    "a.jpg": _colours,
    "a.tif": lambda path: tifffile.imwrite(path, VOLUME, compression="zlib", photometric="minisblack"),
    "raw.tif": lambda path: tifffile.imwrite(path, VOLUME, photometric="minisblack"),
    "pages.tif": _pages,
}
KINDS = pytest.mark.parametrize("name", WRITERS)


def made(folder: Path, name: str) -> tuple[Path, bytes]:
    path = folder / name
    if not path.exists():
        WRITERS[name](path)
        path.with_name(f"{name}.bytes").write_bytes(path.read_bytes())
    return path, path.with_name(f"{name}.bytes").read_bytes()


def read_or_refused(path: Path, content: bytes) -> Image | None:
    path.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = read_image(path)
    except SegForgeError as error:
        assert path.name in str(error)
        assert "\n" not in str(error)
        return None
    assert image.array.ndim == 4
    assert image.array.shape[1:] == image.geometry.shape
    assert np.isfinite(image.geometry.spacing).all()
    assert np.isfinite(image.geometry.direction).all()
    return image


@KINDS
def test_every_truncation_is_found(tmp_path: Path, name: str) -> None:
    path, content = made(tmp_path, name)
    whole = read_or_refused(path, content)
    assert whole is not None
    for length in {*range(0, len(content), max(1, len(content) // EXAMPLES)), *range(len(content) - 20, len(content))}:
        image = read_or_refused(path, content[:length])
        if image is not None and name.endswith(".tif") and np.array_equal(image.array, whole.array):
            continue  # behind its last page a TIFF file may have bytes that nothing refers to
        assert image is None, f"cut at {length} of {len(content)}"


@KINDS
@FUZZ
@given(data=st.data())
def test_flipped_bits_end_in_an_error_or_an_image(tmp_path: Path, name: str, data: st.DataObject) -> None:
    path, content = made(tmp_path, name)
    damaged = bytearray(content)
    for position in data.draw(st.lists(st.integers(0, len(content) * 8 - 1), min_size=1, max_size=3)):
        damaged[position // 8] ^= 1 << position % 8
    read_or_refused(path, bytes(damaged))


@KINDS
@FUZZ
@given(data=st.data())
def test_overwritten_bytes_end_in_an_error_or_an_image(tmp_path: Path, name: str, data: st.DataObject) -> None:
    path, content = made(tmp_path, name)
    begin = data.draw(st.integers(0, min(len(content) - 1, 700)))
    new = data.draw(st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 4, b"\0" * 8, b"nan", b"9" * 9])))
    read_or_refused(path, content[:begin] + new + content[begin + len(new) :])


@pytest.mark.parametrize("name", ["a.nii.gz", "a.png", "a.nrrd", "a.mha"])
def test_every_flip_under_a_check_sum_is_found(tmp_path: Path, name: str) -> None:
    """What is still read is what was written: gzip's own header holds a time and a system that nothing is made of."""
    path, content = made(tmp_path, name)
    whole = read_or_refused(path, content)
    assert whole is not None
    begin = {"a.nrrd": content.find(b"\n\n") + 2, "a.mha": content.find(b"LOCAL\n") + 6}.get(name, 0)
    for position in range(begin * 8, len(content) * 8):
        damaged = bytearray(content)
        damaged[position // 8] ^= 1 << position % 8
        image = read_or_refused(path, bytes(damaged))
        if image is not None:
            np.testing.assert_array_equal(image.array, whole.array)
            assert image.geometry == whole.geometry


@pytest.mark.parametrize("claimed", [2**31 - 1, 2**62])
def test_terabytes_are_refused_before_they_are_asked_for(tmp_path: Path, claimed: int) -> None:
    path, content = made(tmp_path, "raw.nrrd")
    path.write_bytes(content.replace(b"sizes: 7 6 3", f"sizes: {claimed} {claimed} 3".encode()))
    with pytest.raises(SegForgeError, match=r"raw\.nrrd is truncated: its header claims"):
        read_image(path)
