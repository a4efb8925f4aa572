"""What every format of volumes and planes must do."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segforge.errors import SegForgeError
from segforge.images import tiff
from segforge.images.files import files_of, read_image, read_labels, write_volume
from segforge.images.image import Geometry, geometry_difference
from segforge.images.orientation import as_stored, axis_codes, to_canonical

WITH_DIRECTION = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd")
TYPES = (np.uint8, np.int16, np.uint16, np.int32, np.float32)
NO_LIMIT = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Oblique, anisotropic, with axes that run backwards."""
    angles = draw(st.tuples(*[st.floats(-np.pi, np.pi)] * 3))
    flips = draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
    order = draw(st.permutations(range(3)))
    spacing = draw(st.tuples(*[st.floats(0.1, 12)] * 3))
    origin = draw(st.tuples(*[st.floats(-500, 500)] * 3))
    shape = draw(st.tuples(*[st.integers(2, 5)] * 3))
    direction = _rotation(*angles)[:, order] * np.array(flips)
    return Geometry(shape, spacing, origin, tuple(direction.ravel().tolist()))


def _rotation(a: float, b: float, c: float) -> np.ndarray:
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return x @ y @ z


@NO_LIMIT
@given(geometries(), st.sampled_from(WITH_DIRECTION), st.sampled_from(TYPES))
def test_volumes_survive_the_round_trip(tmp_path: Path, geometry: Geometry, ending: str, kind: type) -> None:
    array = (np.random.default_rng(0).random(geometry.shape) * 100).astype(kind)
    path = tmp_path / ending / f"a{ending}"  # of a.nii.gz beside a.nii, ITK reads the latter's voxels
    write_volume(path, array, geometry)
    read = read_image(path)
    assert read.array.dtype == kind
    np.testing.assert_array_equal(read.array[0], array)
    # NIfTI holds positions in float32, and its directions as those of a quaternion in float32
    assert geometry_difference(read.geometry, geometry, tolerance=2e-3 if "nii" in ending else 1e-9) is None
    itk = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(itk), array)
    np.testing.assert_allclose(read.geometry.spacing[::-1], itk.GetSpacing(), rtol=1e-6)
    np.testing.assert_allclose(read.geometry.origin, itk.GetOrigin(), rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(read.geometry.direction, itk.GetDirection(), atol=1e-5)
    written_again = tmp_path / ending / f"b{ending}"
    write_volume(written_again, read.array[0], read.geometry)
    assert geometry_difference(read_image(written_again).geometry, read.geometry, tolerance=1e-12) is None


@NO_LIMIT
@given(st.tuples(*[st.integers(2, 5)] * 3), st.tuples(*[st.floats(0.125, 12, width=32)] * 3), st.sampled_from(TYPES))
@pytest.mark.parametrize("ending", [".gipl", ".tif", ".tiff"])
def test_formats_without_directions_survive_it_too(
    tmp_path: Path, ending: str, shape: tuple[int, int, int], spacing: tuple[float, float, float], kind: type
) -> None:
    kind = np.int16 if (ending, kind) == (".gipl", np.int32) else kind
    array = (np.random.default_rng(0).random(shape) * 100).astype(kind)
    write_volume(tmp_path / f"a{ending}", array, Geometry(shape, spacing))
    read = read_image(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(read.array[0], array)
    assert read.array.dtype == kind
    assert geometry_difference(read.geometry, Geometry(shape, spacing), tolerance=1e-6) is None


def test_gipl_refuses_a_direction_that_it_would_lose(tmp_path: Path) -> None:
    turned = Geometry((2, 3, 4), (1.0, 1.0, 1.0), direction=(0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    with pytest.raises(SegForgeError, match=r"a\.gipl: GIPL cannot hold the direction"):
        write_volume(tmp_path / "a.gipl", np.zeros((2, 3, 4), np.uint8), turned)
    with pytest.raises(SegForgeError, match=r"a\.gipl could not be written as int32"):
        write_volume(tmp_path / "a.gipl", np.zeros((2, 3, 4), np.int32), Geometry((2, 3, 4), (1.0, 1.0, 1.0)))


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".mhd"])
def test_a_fourth_axis_and_several_values_per_voxel_become_channels(tmp_path: Path, ending: str) -> None:
    array = np.random.default_rng(0).random((2, 3, 4, 5)).astype(np.float32)
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=False), str(tmp_path / f"four{ending}"))
    vectors = sitk.GetImageFromArray(array, isVector=True)
    sitk.WriteImage(vectors, str(tmp_path / f"vector{ending}"), useCompression=True)
    np.testing.assert_array_equal(read_image(tmp_path / f"four{ending}").array, array)
    np.testing.assert_array_equal(read_image(tmp_path / f"vector{ending}").array, np.moveaxis(array, -1, 0))


def test_a_plane_of_itk_has_a_distant_third_axis(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    image.SetSpacing((0.5, 2.0))
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    read = read_image(tmp_path / "a.nrrd")
    assert read.geometry.is_2d
    assert read.geometry.spacing == (999 * 2.0, 2.0, 0.5)
    write_volume(tmp_path / "b.mha", read.array[0], read.geometry)
    assert read_image(tmp_path / "b.mha").geometry == read.geometry


@pytest.mark.parametrize(
    ("ending", "before", "after"),
    [
        (".mha", b"ElementSpacing = 1 2 3", b"ElementSpacing = nan 2 3"),
        (".mha", b"Offset = 0 0 0", b"Offset = 0 inf 0"),
        (".mha", b"DimSize = 4 3 2", b"DimSize = 44444 33333 22222"),
        (".mhd", b"DimSize = 4 3 2", b"DimSize = 44444 33333 22222"),
        (".mhd", b"ElementDataFile = a.zraw", b"ElementDataFile = ../a.zraw"),
        (".mhd", b"ElementDataFile = a.zraw", b"ElementDataFile = b.zraw"),
        (".nrrd", b"(1,0,0)", b"(nan,0,0)"),
        (".nrrd", b"space origin: (0,0,0)", b"space origin: (0,inf,0)"),
        (".nrrd", b"sizes: 4 3 2", b"sizes: 44444 33333 22222"),
        (".nrrd", b"encoding: gzip", b"encoding: bzip2"),
        (".nrrd", b"encoding: gzip", b"data file: b.raw\nencoding: gzip"),
        (".nrrd", b"(1,0,0)", b"(1,1,0)"),
        (".gipl", b"\x00\x04\x00\x03\x00\x02", b"\xff\xff\xff\xff\xff\xff"),
        (".gipl", b"\x3f\x80\x00\x00\x40\x00\x00\x00", b"\x7f\xc0\x00\x00\x40\x00\x00\x00"),
    ],
)
def test_a_header_that_lies_is_refused_with_the_file(tmp_path: Path, ending: str, before: bytes, after: bytes) -> None:
    path = tmp_path / f"a{ending}"
    write_volume(path, np.zeros((2, 3, 4), np.int16), Geometry((2, 3, 4), (3.0, 2.0, 1.0)))
    assert before in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(before, after, 1))
    with pytest.raises(SegForgeError, match=r"[ab]\.(mha|mhd|nrrd|gipl|zraw)"):
        read_image(path)


def test_the_voxels_beside_a_header_belong_to_its_files(tmp_path: Path) -> None:
    path = tmp_path / "a.mhd"
    write_volume(path, np.zeros((2, 3, 4), np.int16), Geometry((2, 3, 4), (1.0, 1.0, 1.0)))
    assert files_of(path) == (path, tmp_path / "a.zraw")


def test_the_channels_of_a_case_share_its_spacing_and_label_maps_have_their_own(tmp_path: Path) -> None:
    for channel in range(2):
        grid = Geometry((2, 3, 4), (5.0, 1.0, 1.0))
        tiff.write(tmp_path / f"a_{channel:04d}.tif", np.zeros((2, 3, 4), np.uint8), grid, case="a")
    for number, spacing in enumerate([(2.0, 1.0, 1.0), (3.0, 1.0, 1.0)]):
        write_volume(tmp_path / f"labels_{number:04d}.tif", np.zeros((2, 3, 4), np.uint8), Geometry((2, 3, 4), spacing))
    assert {path.name for path in tmp_path.glob("*.json")} == {"a.json", "labels_0000.json", "labels_0001.json"}
    depths = [read_image(path).geometry.spacing[0] for path in sorted(tmp_path.glob("*.tif"))]
    assert depths == [5.0, 5.0, 2.0, 3.0]


def test_a_stack_has_the_spacing_of_the_case(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "c_0000.tif", np.zeros((6, 4, 5), np.uint16))
    assert read_image(tmp_path / "c_0000.tif").geometry.spacing == (1.0, 1.0, 1.0)
    (tmp_path / "c.json").write_text(json.dumps({"spacing": [50, 4, 4.5]}))
    assert read_image(tmp_path / "c_0000.tif").geometry.spacing == (50.0, 4.0, 4.5)
    assert files_of(tmp_path / "c_0000.tif") == (tmp_path / "c_0000.tif", tmp_path / "c.json")
    for wrong in ({}, {"spacing": [1, 2]}, {"spacing": [1, 2, -1]}, {"spacing": [1, 2, "3"]}, []):
        (tmp_path / "c.json").write_text(json.dumps(wrong))
        with pytest.raises(SegForgeError, match=r"c\.json must hold"):
            read_image(tmp_path / "c_0000.tif")


def test_three_slices_of_a_case_with_a_spacing_are_no_colours(tmp_path: Path) -> None:
    stack = np.random.default_rng(0).integers(0, 9, (3, 4, 5)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "c_0000.tif", stack, photometric="rgb")
    assert read_image(tmp_path / "c_0000.tif").array.shape == (3, 1, 4, 5)
    (tmp_path / "c.json").write_text(json.dumps({"spacing": [50, 4, 4]}))
    np.testing.assert_array_equal(read_image(tmp_path / "c_0000.tif").array[0], stack)


def test_imagej_and_ome_tags_give_micrometres(tmp_path: Path) -> None:
    stack = np.zeros((3, 4, 5), np.uint16)
    tags = {"axes": "ZYX", "spacing": 200.0, "unit": "nm"}
    tifffile.imwrite(tmp_path / "i.tif", stack, imagej=True, resolution=(0.02, 0.01), metadata=tags)
    np.testing.assert_allclose(read_image(tmp_path / "i.tif").geometry.spacing, (0.2, 0.1, 0.05), rtol=1e-6)
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 400, "PhysicalSizeYUnit": "nm", "PhysicalSizeZ": 2}
    tifffile.imwrite(tmp_path / "o.ome.tif", stack, ome=True, metadata={"axes": "ZYX", **sizes})
    np.testing.assert_allclose(read_image(tmp_path / "o.ome.tif").geometry.spacing, (2.0, 0.4, 0.5))


def test_channels_of_stacks_come_first(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 9, (3, 2, 4, 5)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "i.tif", array, imagej=True, metadata={"axes": "ZCYX"})
    np.testing.assert_array_equal(read_image(tmp_path / "i.tif").array, array.transpose(1, 0, 2, 3))
    colours = np.random.default_rng(0).integers(0, 9, (2, 4, 5, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "c.tif", colours, photometric="rgb")
    np.testing.assert_array_equal(read_image(tmp_path / "c.tif").array, colours.transpose(3, 0, 1, 2))
    tifffile.imwrite(tmp_path / "t.tif", np.zeros((2, 3, 4, 5), np.uint8), imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(SegForgeError, match=r"t\.tif has the axes TZYX"):
        read_image(tmp_path / "t.tif")


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5), (4, 5, 3)])
def test_lzw_is_read_by_itk(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    image = sitk.GetImageFromArray(array, isVector=shape[-1] == 3)
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(tmp_path / "a.tif"))
    writer.SetUseCompression(True)
    writer.SetCompressor("LZW")
    writer.Execute(image)
    with pytest.raises(ValueError, match="imagecodecs"):
        tifffile.imread(tmp_path / "a.tif")
    expected = array.transpose(2, 0, 1)[:, None] if shape[-1] == 3 else array.reshape(1, -1, *shape[-2:])
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").array, expected)


def test_a_broken_chain_of_pages_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(3):
            writer.write(np.zeros((4, 5), np.uint8), metadata=None, contiguous=False)
    with tifffile.TiffFile(path) as file:
        second = file.pages[1].offset
    raw = bytearray(path.read_bytes())
    position = raw.index(second.to_bytes(4, "little"))
    raw[position : position + 4] = (len(raw) + 100).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(SegForgeError, match=r"a\.tif is truncated or damaged: page 1 is missing"):
        read_image(path)


def test_the_48_orientations_of_an_image_are_one_in_canonical_order(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    oblique = _rotation(0.1, -0.2, 0.15)
    canonical = sitk.GetImageFromArray(random.integers(0, 99, (3, 4, 5)).astype(np.int16))
    canonical.SetSpacing((1.0, 2.0, 3.0))
    canonical.SetOrigin((7.0, -8.0, 9.0))
    canonical.SetDirection((oblique @ np.diag([-1.0, -1.0, 1.0])).ravel().tolist())
    expected = sitk.GetArrayFromImage(canonical)
    labels = (expected > 50).astype(np.uint8)
    codes = set[str]()
    for order in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]:
        for flips in np.ndindex(2, 2, 2):
            stored = sitk.Flip(sitk.PermuteAxes(canonical, order), [bool(flip) for flip in flips])
            path = tmp_path / "a.nii.gz"
            sitk.WriteImage(stored, str(path))
            read = read_image(path, canonical=True)
            codes.add(axis_codes(read_image(path).geometry))
            np.testing.assert_array_equal(read.array[0], expected)
            np.testing.assert_allclose(read.geometry.spacing, (3, 2, 1), rtol=1e-6)
            np.testing.assert_allclose(read.geometry.origin, canonical.GetOrigin(), atol=1e-4)
            np.testing.assert_allclose(read.geometry.direction, canonical.GetDirection(), atol=1e-5)
            assert axis_codes(read.geometry) == "RAS"
            write_volume(tmp_path / "b.nii.gz", labels, read.geometry)
            written = sitk.ReadImage(str(tmp_path / "b.nii.gz"))
            assert written.GetOrigin() == sitk.ReadImage(str(path)).GetOrigin()
            assert written.GetDirection() == sitk.ReadImage(str(path)).GetDirection()
            np.testing.assert_array_equal(sitk.GetArrayFromImage(written), sitk.GetArrayFromImage(stored) > 50)
    assert len(codes) == 48


@NO_LIMIT
@given(geometries())
def test_canonical_order_can_be_undone(geometry: Geometry) -> None:
    from segforge.images.image import Image

    array = np.random.default_rng(0).random(geometry.shape)
    image = to_canonical(Image(array[None], geometry))
    np.testing.assert_array_equal(as_stored(image.array[0], image.geometry), array)
    # every voxel keeps its place in the world
    index = np.argwhere(array == image.array[0, -1, 0, -1])[0]
    z, _, x = image.geometry.shape
    np.testing.assert_allclose(_world(geometry, tuple(index)), _world(image.geometry, (z - 1, 0, x - 1)), atol=1e-6)


def _world(geometry: Geometry, index: tuple[int, ...]) -> np.ndarray:
    scaled = np.array(index[::-1]) * np.array(geometry.spacing[::-1])
    return np.array(geometry.origin) + np.array(geometry.direction).reshape(3, 3) @ scaled


def test_planes_have_no_orientation(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), np.uint8))
    assert read_image(tmp_path / "a.tif", canonical=True).geometry.stored is None


def test_geometry_of_all_shared_files_is_that_of_itk(shared: Path) -> None:
    paths = [path for folder in ("data", "golden") for path in (shared / folder).rglob("*.nii.gz")]
    assert len(paths) > 200
    for path in paths:
        ours, reader = read_image(path).geometry, sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        assert ours.shape == reader.GetSize()[2::-1]
        np.testing.assert_allclose(ours.spacing, reader.GetSpacing()[2::-1], rtol=1e-7)
        np.testing.assert_allclose(ours.origin, reader.GetOrigin()[:3], rtol=1e-6, atol=1e-6)
        if len(reader.GetDirection()) == 9:
            np.testing.assert_allclose(ours.direction, reader.GetDirection(), atol=1e-6)


def test_palettes_of_label_maps_are_indices(tmp_path: Path) -> None:
    from PIL import Image as Picture

    indices = np.array([[0, 1], [2, 1]], np.uint8)
    picture = Picture.fromarray(indices, mode="P")
    picture.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png").array[0, 0], indices)
    assert read_image(tmp_path / "a.png").array.shape == (3, 1, 2, 2)


def test_jpeg_is_read_as_an_image_and_refused_as_labels(tmp_path: Path) -> None:
    from PIL import Image as Picture

    Picture.fromarray(np.full((9, 8, 3), (200, 100, 50), np.uint8)).save(tmp_path / "a.jpg", quality=95)
    image = read_image(tmp_path / "a.jpg")
    assert image.array.shape == (3, 1, 9, 8)
    np.testing.assert_allclose(image.array.mean((1, 2, 3)), (200, 100, 50), atol=3)
    with pytest.raises(SegForgeError, match=r"a\.jpg is a JPEG, which changes the values"):
        read_labels(tmp_path / "a.jpg")
    with pytest.raises(SegForgeError, match=r"JPEG changes the values"):
        write_volume(tmp_path / "b.jpg", np.zeros((1, 9, 8), np.uint8), image.geometry)


def test_colours_of_16_bits_are_kept(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (5, 6, 3)).astype(np.uint16)
    sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=True), str(tmp_path / "a.png"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").array[:, 0], pixels.transpose(2, 0, 1))
