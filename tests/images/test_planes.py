from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Picture

from segforge.errors import SegForgeError
from segforge.images.files import read_channels, read_image, write_volume

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".tiff"])
def test_labels_survive_the_round_trip_as_8_bit(tmp_path: Path, ending: str) -> None:
    labels = RANDOM.choice([0, 255], (1, 5, 7)).astype(np.uint8)
    path = tmp_path / f"a{ending}"
    write_volume(path, labels, read_image(_grey(tmp_path)).geometry)
    read = read_image(path)
    assert read.array.dtype == np.uint8
    np.testing.assert_array_equal(read.array[0], labels)
    assert read.geometry.spacing == (999.0, 1.0, 1.0)
    assert read.geometry.is_2d


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_become_channels(tmp_path: Path, channels: int) -> None:
    pixels = RANDOM.integers(0, 256, (5, 7, channels)).astype(np.uint8)
    Picture.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").array, pixels.transpose(2, 0, 1)[:, None])


def test_16_bits_are_kept(tmp_path: Path) -> None:
    pixels = RANDOM.integers(0, 65536, (5, 7)).astype(np.uint16)
    Picture.fromarray(pixels).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    for name in ("a.png", "a.tif"):
        np.testing.assert_array_equal(read_image(tmp_path / name).array[0, 0], pixels)


def test_a_one_bit_mask_has_the_values_0_and_1(tmp_path: Path) -> None:
    Picture.fromarray(np.array([[True, False]])).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").array.ravel().tolist() == [1, 0]


def test_a_truncated_picture_is_an_error_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Picture.fromarray(RANDOM.integers(0, 256, (50, 50)).astype(np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(SegForgeError, match=r"a\.png"):
        read_image(path)


def test_a_volume_cannot_be_written_as_a_plane(tmp_path: Path) -> None:
    with pytest.raises(SegForgeError, match="2 slices"):
        write_volume(tmp_path / "a.png", np.zeros((2, 3, 4), np.uint8), read_image(_grey(tmp_path)).geometry)


def test_values_beyond_the_format_are_refused_not_wrapped(tmp_path: Path) -> None:
    with pytest.raises(SegForgeError, match=r"\.bmp cannot hold"):
        write_volume(tmp_path / "a.bmp", np.full((1, 3, 4), 300, np.uint16), read_image(_grey(tmp_path)).geometry)


def test_channels_on_different_grids_are_refused_by_name(tmp_path: Path) -> None:
    first, second = tmp_path / "a_0000.png", tmp_path / "a_0001.png"
    Picture.fromarray(np.zeros((4, 5), np.uint8)).save(first)
    Picture.fromarray(np.zeros((4, 6), np.uint8)).save(second)
    with pytest.raises(SegForgeError, match=r"a_0001\.png and .*a_0000\.png .*shape \(1, 4, 5\) against \(1, 4, 6\)"):
        read_channels([first, second])


def test_nan_in_an_image_is_refused_by_name(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, np.nan]], np.float32))
    with pytest.raises(SegForgeError, match=r"a\.tif holds NaN"):
        read_channels([tmp_path / "a.tif"])


def test_a_missing_file_and_an_unknown_ending_are_named(tmp_path: Path) -> None:
    with pytest.raises(SegForgeError, match=r"a\.nii\.gz is missing"):
        read_image(tmp_path / "a.nii.gz")
    (tmp_path / "a.xyz").touch()
    with pytest.raises(SegForgeError, match=r"a\.xyz has no ending that SegForge reads"):
        read_image(tmp_path / "a.xyz")


def _grey(folder: Path) -> Path:
    Picture.fromarray(np.zeros((5, 7), np.uint8)).save(folder / "grey.png")
    return folder / "grey.png"
