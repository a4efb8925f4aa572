import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segforge.errors import SegForgeError
from segforge.images.files import read_image, read_labels, write_volume
from segforge.images.image import Geometry

SPACINGS = st.tuples(*[st.floats(0.05, 20)] * 3)
ORIGINS = st.tuples(*[st.floats(-500, 500)] * 3)
QUATERNIONS = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: sum(x * x for x in q) > 0.1)


def rotation(quaternion: tuple[float, ...]) -> np.ndarray:
    w, x, y, z = np.array(quaternion) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def itk_image(array: np.ndarray, spacing=(1, 1, 1), origin=(0, 0, 0), direction=None) -> sitk.Image:
    image = sitk.GetImageFromArray(array, isVector=False)
    if array.ndim == 3:
        image.SetSpacing([float(value) for value in spacing[::-1]])
        image.SetOrigin([float(value) for value in origin])
        image.SetDirection(np.eye(3).ravel() if direction is None else direction.ravel())
    return image


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spacing=SPACINGS, origin=ORIGINS, quaternion=QUATERNIONS, flip=st.booleans())
def test_geometry_is_read_as_itk_reads_it(tmp_path: Path, spacing, origin, quaternion, flip) -> None:
    direction = rotation(quaternion) * ([-1, 1, 1] if flip else [1, 1, 1])
    path = tmp_path / "a.nii.gz"
    sitk.WriteImage(itk_image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), spacing, origin, direction), path)
    ours, theirs = read_image(path), sitk.ReadImage(path)
    np.testing.assert_array_equal(ours.array[0], sitk.GetArrayFromImage(theirs))
    np.testing.assert_allclose(ours.geometry.spacing[::-1], theirs.GetSpacing(), rtol=1e-6)
    np.testing.assert_allclose(ours.geometry.origin, theirs.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(ours.geometry.direction, theirs.GetDirection(), atol=1e-6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spacing=SPACINGS, origin=ORIGINS, quaternion=QUATERNIONS, keep_header=st.booleans())
def test_what_is_written_back_lies_where_the_input_lies(tmp_path: Path, spacing, origin, quaternion, keep_header) -> None:
    source, target = tmp_path / "a.nii.gz", tmp_path / "b.nii.gz"
    sitk.WriteImage(itk_image(np.zeros((2, 3, 4), np.float32), spacing, origin, rotation(quaternion)), source)
    geometry = read_image(source).geometry
    labels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    write_volume(target, labels, geometry if keep_header else replace(geometry, header=None))
    before, after = sitk.ReadImage(source), sitk.ReadImage(target)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(after), labels)
    tolerance = 0 if keep_header else 1e-5
    np.testing.assert_allclose(after.GetSpacing(), before.GetSpacing(), rtol=tolerance)
    np.testing.assert_allclose(after.GetOrigin(), before.GetOrigin(), atol=tolerance * 500)
    np.testing.assert_allclose(after.GetDirection(), before.GetDirection(), atol=tolerance)


def test_every_shared_file_has_the_geometry_that_itk_sees(shared: Path) -> None:
    paths = sorted(shared.glob("data/*/*.nii.gz")) + sorted(shared.glob("golden/pipeline/*/*/*.nii.gz"))
    paths += sorted(shared.glob("data/Dataset004_Hippocampus/imagesTr/*.nii.gz"))[:10]
    assert len(paths) > 20
    for path in paths:
        ours, theirs = read_image(path), sitk.ReadImage(path)
        np.testing.assert_array_equal(ours.array[0], sitk.GetArrayFromImage(theirs), err_msg=str(path))
        assert ours.geometry.spacing[::-1] == theirs.GetSpacing()
        assert ours.geometry.origin == theirs.GetOrigin()
        np.testing.assert_allclose(ours.geometry.direction, theirs.GetDirection(), atol=1e-7)


def test_a_fourth_axis_becomes_channels(tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((2, 3, 4, 5)).astype(np.float32)
    sitk.WriteImage(itk_image(array), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii.gz").array, array)


def test_a_plane_gets_a_slice_axis_and_is_written_back_as_a_plane(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.arange(12, dtype=np.int16).reshape(3, 4))
    image.SetSpacing((0.5, 0.25))
    sitk.WriteImage(image, tmp_path / "a.nii.gz")
    read = read_image(tmp_path / "a.nii.gz")
    assert read.array.shape == (1, 1, 3, 4)
    assert read.geometry.spacing == (999 * 0.5, 0.25, 0.5)
    write_volume(tmp_path / "b.nii.gz", np.ones((1, 3, 4), np.uint8), read.geometry)
    assert sitk.ReadImage(tmp_path / "b.nii.gz").GetSize() == (4, 3)
    assert sitk.ReadImage(tmp_path / "b.nii.gz").GetSpacing() == (0.5, 0.25)


def test_stored_integers_are_scaled_by_the_header(tmp_path: Path) -> None:
    import nibabel

    image = nibabel.Nifti1Image(np.array([[[1, 2]]], np.int16), np.eye(4))
    image.header.set_slope_inter(2.0, -1.0)
    (tmp_path / "a.nii").write_bytes(image.header.binaryblock[:348] + bytes(4) + np.array([1, 2], np.int16).tobytes())
    content = bytearray((tmp_path / "a.nii").read_bytes())
    content[112:120] = np.array([2.0, -1.0], np.float32).tobytes()
    content[108:112] = np.array([352], np.float32).tobytes()
    (tmp_path / "a.nii").write_bytes(bytes(content))
    assert read_image(tmp_path / "a.nii").array.ravel().tolist() == [1.0, 3.0]


@pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
def test_a_truncated_file_is_never_believed(tmp_path: Path, share: float, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    sitk.WriteImage(itk_image(np.random.default_rng(0).integers(0, 99, (20, 20, 20)).astype(np.int16)), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(SegForgeError, match=rf"a{ending}.*(Copy or )?[Ee]xport it again"):
        read_image(path)


def test_a_flipped_bit_in_a_compressed_file_is_found_by_its_check_sum(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    array = np.random.default_rng(0).integers(0, 99, (20, 20, 20)).astype(np.int16)
    sitk.WriteImage(itk_image(array), path)
    content = bytearray(path.read_bytes())
    for position in range(400, len(content) - 8, len(content) // 25):
        flipped = bytearray(content)
        flipped[position] ^= 16
        path.write_bytes(bytes(flipped))
        with pytest.raises(SegForgeError, match=r"a\.nii\.gz"):
            read_image(path)


def test_a_header_that_claims_terabytes_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    sitk.WriteImage(itk_image(np.zeros((2, 2, 2), np.float64)), path)
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[42:48] = np.array([32000, 32000, 9000], np.int16).tobytes()
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(SegForgeError, match="claims 73728000000352 bytes"):
        read_image(path)


def test_a_voxel_size_that_is_not_a_number_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    sitk.WriteImage(itk_image(np.zeros((2, 2, 2), np.float32)), path)
    content = bytearray(path.read_bytes())
    content[80:84] = np.array([np.nan], np.float32).tobytes()
    path.write_bytes(bytes(content))
    with pytest.raises(SegForgeError, match=r"a\.nii"):
        read_image(path)


def test_labels_must_be_whole_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    sitk.WriteImage(itk_image(np.array([[[0, 1, 1.5]]], np.float32)), path)
    with pytest.raises(SegForgeError, match=r"a\.nii\.gz holds the label value 1\.5"):
        read_labels(path)


def test_labels_stored_as_floats_are_read_as_integers(tmp_path: Path) -> None:
    sitk.WriteImage(itk_image(np.array([[[0, 1, 2]]], np.float64)), tmp_path / "a.nii.gz")
    assert read_labels(tmp_path / "a.nii.gz").array.dtype.kind == "i"


def test_a_grid_without_a_file_behind_it_can_be_written(tmp_path: Path) -> None:
    geometry = Geometry((2, 3, 4), (3.0, 2.0, 1.0), (7.0, 8.0, 9.0))
    write_volume(tmp_path / "a.nii.gz", np.zeros((2, 3, 4), np.uint8), geometry)
    assert replace(read_image(tmp_path / "a.nii.gz").geometry, header=None) == replace(
        geometry, direction=read_image(tmp_path / "a.nii.gz").geometry.direction
    )
    assert sitk.ReadImage(tmp_path / "a.nii.gz").GetOrigin() == (7.0, 8.0, 9.0)
