"""Folders of pictures and volumes through the converter."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from conversion_samples import Array, mask, photo, save
from PIL import Image as Picture

from segforge.dataset.cases import read_case_classes, read_case_image
from segforge.errors import CasesFailed, SegForgeError
from segforge.images.files import read_image, read_labels, write_volume
from segforge.images.image import Geometry


def hashes(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def labels_of(folder: Path, case: str = "a", ending: str = ".png") -> Array:
    return read_labels(folder / "labelsTr" / f"{case}{ending}").array[0, 0]


def test_lossless_files_of_one_format_are_copied_byte_for_byte(source: Path, convert) -> None:
    for case in "ab":
        save(source / "image" / f"{case}.png", photo())
        save(source / "label" / f"{case}.png", mask())
    before = hashes(source)
    dataset = convert(source)
    assert [case.id for case in dataset.cases] == ["a", "b"]
    for case in dataset.cases:
        assert case.images[0].read_bytes() == (source / "image" / f"{case.id}.png").read_bytes()
        assert case.label.read_bytes() == (source / "label" / f"{case.id}.png").read_bytes()
    assert json.loads((dataset.folder / "dataset.json").read_text()) == {
        "channel_names": {"0": "red", "1": "green", "2": "blue"},
        "labels": {"background": 0, "label_255": 255},
        "numTraining": 2,
        "file_ending": ".png",
    }
    assert hashes(source) == before


@pytest.mark.parametrize("ending", [".jpg", ".jpeg", ".JPG", ".bmp", ".gif", ".ppm", ".webp", ".jp2", ".tif", ".tiff"])
def test_other_formats_become_png_with_the_pixels_that_pillow_decodes(source: Path, convert, ending: str) -> None:
    path = save(source / f"a{ending}", photo())
    save(source / "a_mask.png", mask())
    dataset = convert(source)
    assert dataset.cases[0].images[0].name == "a_0000.png"
    with Picture.open(path) as picture:
        np.testing.assert_array_equal(Picture.open(dataset.cases[0].images[0]), picture.convert("RGB"))


@pytest.mark.parametrize("ending", [".pgm", ".gif", ".png", ".tif", ".bmp"])
def test_grey_label_maps_of_every_lossless_format_keep_their_values(source: Path, convert, ending: str) -> None:
    labels = mask(high=7)
    save(source / "a.jpg", photo())
    save(source / f"a_mask{ending}", labels)
    np.testing.assert_array_equal(labels_of(convert(source).folder), labels)


@pytest.mark.parametrize("ending", [".png", ".pbm", ".tif"])
def test_bits_are_0_and_1(source: Path, convert, ending: str) -> None:
    labels = mask(high=1)
    save(source / "a.jpg", photo())
    save(source / f"a_mask{ending}", labels.astype(bool))
    np.testing.assert_array_equal(labels_of(convert(source).folder), labels)


def with_palette(indices: Array, colours: list[tuple[int, int, int]]) -> Picture.Image:
    picture = Picture.fromarray(indices).convert("L")
    picture.putpalette([value for colour in colours for value in colour])
    return picture


@pytest.mark.parametrize("ending", [".png", ".gif"])
def test_a_palette_of_colours_gives_its_indices_and_a_grey_one_its_values(source: Path, convert, ending: str) -> None:
    indices = mask(high=1)
    for case, colours in (("a", [(0, 0, 0), (255, 0, 0)]), ("b", [(0, 0, 0), (255, 255, 255)])):
        save(source / "image" / f"{case}.jpg", photo())
        (source / "label").mkdir(exist_ok=True)
        with_palette(indices, colours).save(source / "label" / f"{case}{ending}")
    dataset = convert(source)
    np.testing.assert_array_equal(labels_of(dataset.folder, "a"), indices)
    np.testing.assert_array_equal(labels_of(dataset.folder, "b"), indices * 255)
    assert dataset.description.labels == {"background": 0, "label_1": 1, "label_255": 255}


def test_three_equal_colours_are_one_channel_and_transparent_pixels_background(source: Path, convert) -> None:
    labels = mask(high=9)
    save(source / "image" / "a.png", photo())
    save(source / "label" / "a.png", np.dstack([labels] * 3))
    save(source / "image" / "b.png", photo())
    save(source / "label" / "b.png", np.dstack([np.full((6, 7, 3), 9, np.uint8), np.where(labels, 255, 0).astype(np.uint8)]))
    dataset = convert(source)
    for case in "ab":
        with Picture.open(dataset.folder / "labelsTr" / f"{case}.png") as picture:
            assert picture.mode == "L"
            np.testing.assert_array_equal(picture, labels)


def test_each_colour_of_true_colour_label_maps_becomes_a_value_in_the_order_of_the_colours(source: Path, convert) -> None:
    red, green = (200, 0, 0), (0, 200, 10)
    save(source / "image" / "a.png", photo(2, 2, 3))
    save(source / "label" / "a.png", np.array([[(0, 0, 0), red], [red, green]], np.uint8))
    save(source / "image" / "b.png", photo(2, 2, 3))
    save(source / "label" / "b.png", np.full((2, 2, 3), 255, np.uint8))
    dataset = convert(source, label_names=["vein=1", "artery=2"])
    np.testing.assert_array_equal(labels_of(dataset.folder, "a"), [[0, 2], [2, 1]])
    np.testing.assert_array_equal(labels_of(dataset.folder, "b"), np.full((2, 2), 3))
    assert dataset.description.labels == {"background": 0, "vein": 1, "artery": 2, "#ffffff": 3}


def test_without_black_among_the_colours_none_is_background(source: Path, convert) -> None:
    save(source / "a.jpg", photo(1, 2, 3))
    save(source / "a_mask.png", np.array([[(0, 9, 0), (9, 0, 0)]], np.uint8))
    assert convert(source).description.labels == {"background": 0, "#000900": 1, "#090000": 2}


def test_label_maps_that_are_photographs_are_refused(source: Path, convert) -> None:
    save(source / "a.png", photo(20, 20, 3))
    save(source / "a_mask.png", photo(20, 20, 3))
    with pytest.raises(SegForgeError, match=r"more than 64 colours, .*a_mask\.png for example"):
        convert(source)


@pytest.mark.parametrize("name", ["a_mask.jpg", "a_mask.png"])
def test_jpeg_label_maps_are_refused_under_any_name(source: Path, convert, name: str) -> None:
    save(source / "a.png", photo())
    save(source / name, mask(), format="JPEG")
    with pytest.raises(CasesFailed, match=r"a_mask\.\w+ is a JPEG, which changes label values"):
        convert(source)


def test_shades_are_refused_with_the_values_and_become_labels_by_a_threshold(source: Path, convert) -> None:
    shades = np.arange(200, dtype=np.uint8).reshape(10, 20)
    save(source / "a.png", photo(10, 20, 3))
    save(source / "a_mask.png", shades)
    with pytest.raises(SegForgeError, match=r"hold 200 values: 0, 1, 2, 3, 4, 5, \.\.\., 199\. .*--threshold 99\.5"):
        convert(source)
    dataset = convert(source, threshold=99, label_names=["vessel"])
    np.testing.assert_array_equal(labels_of(dataset.folder), shades >= 100)
    assert dataset.description.labels == {"background": 0, "vessel": 1}


def test_fractions_are_refused_with_their_file_and_become_labels_by_a_threshold(source: Path, convert) -> None:
    tifffile.imwrite(source / "a.tif", photo(4, 4))
    tifffile.imwrite(source / "a_mask.tif", np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4))
    with pytest.raises(SegForgeError, match=r"a_mask\.tif holds fractions; .*--threshold 0\.5"):
        convert(source)
    assert labels_of(convert(source, threshold=0.5).folder).sum() == 8


def test_many_values_are_labels_if_each_is_named(source: Path, convert) -> None:
    save(source / "a.png", photo(10, 10, 3))
    save(source / "a_mask.png", np.arange(100, dtype=np.uint8).reshape(10, 10))
    dataset = convert(source, label_names=[f"n{value}={value}" for value in range(1, 100)])
    assert dataset.description.labels["n99"] == 99


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b", "c"], r"has 3 names besides background, the label maps 2 values besides 0: 3, 8"),
        (["a=3", "b=4"], r"b=4: give name=value with one of the values that occur: 3, 8"),
        (["a", "a"], "Each label needs a name of its own"),
        (["background=3"], "Each label needs a name of its own"),
        (["a", "ignore=3"], "a: give name=value"),
        (["ignore=3"], "ignore label must be one integer above all others"),
    ],
)
def test_label_names_must_fit_the_values(source: Path, convert, names: list[str], message: str) -> None:
    save(source / "a.png", photo(1, 3, 3))
    save(source / "a_mask.png", np.array([[0, 3, 8]], np.uint8))
    with pytest.raises(SegForgeError, match=message):
        convert(source, label_names=names)
    assert convert(source, label_names=["background", "x", "ignore"]).description.labels == {
        "background": 0,
        "x": 3,
        "ignore": 8,
    }


def test_label_maps_without_0_have_a_background_that_is_in_no_case(source: Path, convert, caplog) -> None:
    save(source / "a.png", photo())
    save(source / "a_mask.png", mask(high=1) + 1)
    with caplog.at_level(logging.INFO):
        dataset = convert(source)
    assert dataset.description.labels == {"background": 0, "label_1": 1, "label_2": 2}
    assert "label 0 background: in no case" in caplog.text


def test_label_maps_of_zeros_alone_are_refused(source: Path, convert) -> None:
    save(source / "a.png", photo())
    save(source / "a_mask.png", np.zeros((6, 7), np.uint8))
    with pytest.raises(SegForgeError, match="nothing but 0"):
        convert(source)


def test_grey_is_pillows_luma(source: Path, convert) -> None:
    colours = photo(50, 60, 3)
    save(source / "a.png", colours)
    save(source / "a_mask.png", mask(shape=(50, 60)))
    dataset = convert(source, grey=True)
    assert dataset.description.channels == ("grey",)
    np.testing.assert_array_equal(Picture.open(dataset.cases[0].images[0]), Picture.fromarray(colours).convert("L"))


def test_colour_and_grey_images_do_not_fit_together_but_with_grey(source: Path, convert) -> None:
    for case, pixels in (("a", photo(6, 7, 3)), ("b", photo(6, 7))):
        save(source / f"{case}.png", pixels)
        save(source / f"{case}_mask.png", mask())
    with pytest.raises(
        SegForgeError, match=r"a\.png is a plane with 3 channels, .*b\.png is a plane with 1 channel\. .*--grey"
    ):
        convert(source)
    assert convert(source, grey=True).description.channels == ("grey",)


def test_an_alpha_channel_that_is_constant_in_all_images_is_left_out(source: Path, convert) -> None:
    colours = photo()
    save(source / "a.png", np.dstack([colours, np.full((6, 7), 255, np.uint8)]))
    save(source / "a_mask.png", mask())
    dataset = convert(source)
    np.testing.assert_array_equal(Picture.open(dataset.cases[0].images[0]), colours)
    save(source / "b.png", photo(6, 7, 4))
    save(source / "b_mask.png", mask())
    assert convert(source).description.channels == ("red", "green", "blue", "alpha")


def test_cmyk_becomes_rgb(source: Path, convert) -> None:
    (source / "x").mkdir()
    Picture.fromarray(photo()).convert("CMYK").save(source / "a.jpg")
    save(source / "a_mask.png", mask())
    assert len(convert(source).description.channels) == 3


def test_pixels_of_a_turned_photograph_stay_as_stored_and_it_is_said(source: Path, convert, caplog) -> None:
    exif = Picture.Exif()
    exif[0x0112] = 6
    path = save(source / "a.jpg", photo(6, 9, 3), exif=exif)
    save(source / "a_mask.png", mask(shape=(6, 9)))
    with caplog.at_level(logging.INFO):
        dataset = convert(source)
    assert read_image(dataset.cases[0].images[0]).geometry.shape == (1, 6, 9)
    assert f"1 photograph to be turned by a tag ({path.name})" in caplog.text


def test_planes_that_png_cannot_hold_become_tiff(source: Path, convert) -> None:
    (source / "i").mkdir()
    tifffile.imwrite(source / "i" / "a.tif", photo(6, 7).astype(np.float32) / 3)
    save(source / "l" / "a.png", mask())
    dataset = convert(images=source / "i", labels=source / "l")
    assert dataset.cases[0].images[0].read_bytes() == (source / "i" / "a.tif").read_bytes()
    assert dataset.cases[0].label.name == "a.tif"
    np.testing.assert_array_equal(labels_of(dataset.folder, ending=".tif"), Picture.open(source / "l" / "a.png"))


def test_sixteen_bits_stay_sixteen_bits(source: Path, convert) -> None:
    pixels = np.array([[0, 300], [65535, 7]], np.uint16)
    save(source / "a.pgm", pixels)
    save(source / "a_mask.png", np.array([[0, 1], [0, 1]], np.uint8))
    path = convert(source).cases[0].images[0]
    assert path.suffix == ".png"
    np.testing.assert_array_equal(read_image(path).array[0, 0], pixels)


def test_volumes_are_copied_and_keep_their_geometry(source: Path, convert) -> None:
    geometry = Geometry((3, 4, 5), (3.0, 1.5, 1.0), (1.0, 2.0, 3.0))
    write_volume(source / "image" / "a.nii.gz", photo(12, 5).reshape(3, 4, 5), geometry)
    write_volume(source / "label" / "a.nii.gz", mask(2, (12, 5)).reshape(3, 4, 5), geometry)
    dataset = convert(source, channel_names=["CT"])
    assert dataset.cases[0].images[0].read_bytes() == (source / "image" / "a.nii.gz").read_bytes()
    assert dataset.description.channels == ("CT",)


def test_volumes_of_several_formats_become_that_of_the_images(source: Path, convert) -> None:
    geometry = Geometry((3, 4, 5), (3.0, 1.5, 1.0), (1.0, 2.0, 3.0))
    labels = mask(2, (12, 5)).reshape(3, 4, 5)
    write_volume(source / "image" / "a.nrrd", photo(12, 5).reshape(3, 4, 5), geometry)
    write_volume(source / "label" / "a.nii.gz", labels, geometry)
    dataset = convert(source)
    assert dataset.cases[0].images[0].read_bytes() == (source / "image" / "a.nrrd").read_bytes()
    read = read_labels(dataset.cases[0].label)
    assert dataset.cases[0].label.name == "a.nrrd"
    np.testing.assert_array_equal(read.array[0], labels)
    assert read.geometry.spacing == geometry.spacing
    assert read.geometry.origin == geometry.origin


def test_tiff_volumes_keep_the_voxel_size_that_lies_beside_them(source: Path, convert) -> None:
    geometry = Geometry((3, 4, 5), (50.0, 4.0, 4.0))
    write_volume(source / "image" / "a.tif", photo(12, 5).reshape(3, 4, 5), geometry)
    write_volume(source / "label" / "a.tif", mask(2, (12, 5)).reshape(3, 4, 5), geometry)
    dataset = convert(source)
    for path in (dataset.cases[0].images[0], dataset.cases[0].label):
        assert read_image(path).geometry.spacing == (50.0, 4.0, 4.0)
    assert json.loads((dataset.folder / "imagesTr" / "a.json").read_text()) == {"spacing": [50.0, 4.0, 4.0]}


def test_planes_and_volumes_make_no_data_set(source: Path, convert) -> None:
    for case, shape in (("a", (3, 4, 5)), ("b", (1, 4, 5))):
        geometry = Geometry(shape, (1.0, 1.0, 1.0), is_2d=shape[0] == 1)
        write_volume(source / "image" / f"{case}.nii.gz", np.zeros(shape, np.uint8), geometry)
        write_volume(source / "label" / f"{case}.nii.gz", np.ones(shape, np.uint8), geometry)
    with pytest.raises(SegForgeError, match=r"a\.nii\.gz is a volume .*b\.nii\.gz is a plane"):
        convert(source)


def test_channels_in_several_files_stay_channels(source: Path, convert) -> None:
    for channel in range(2):
        save(source / "i" / f"a_{channel:04d}.png", photo(6, 7))
    save(source / "l" / "a.png", mask())
    dataset = convert(images=source / "i", labels=source / "l")
    assert [path.name for path in dataset.cases[0].images] == ["a_0000.png", "a_0001.png"]
    assert dataset.description.channels == ("channel_0", "channel_1")


def test_volumes_are_no_slices_of_a_stack(source: Path, convert) -> None:
    for folder in ("image", "label"):
        write_volume(source / folder / "a.nii.gz", np.ones((3, 4, 5), np.uint8), Geometry((3, 4, 5), (1.0, 1.0, 1.0)))
    with pytest.raises(SegForgeError, match=r"a\.nii\.gz is a volume already; --stack is for planes"):
        convert(source, stack=True)


def test_one_picture_is_one_picture(source: Path, convert, caplog) -> None:
    for name in ("a.bmp", "b.png"):
        save(source / "image" / name, photo())
        save(source / "label" / f"{name[0]}.png", mask())
    with caplog.at_level(logging.INFO):
        convert(source)
    assert "1 image was decoded (.bmp) and written without loss (.png)" in caplog.text


def test_slices_become_a_stack_in_the_order_of_their_numbers(source: Path, convert) -> None:
    planes = [photo(6, 7) for _ in range(11)]
    for number, plane in enumerate(planes):
        save(source / "image" / f"{number}.png", plane)
        save(source / "label" / f"{number}.png", (plane > 99).astype(np.uint8) * 255)
    dataset = convert(source, stack=True, spacing=(50.0, 4.0, 4.0))
    (case,) = dataset.cases
    assert case.id == "source"
    image = read_case_image(case, dataset.description)
    np.testing.assert_array_equal(image.array[0], np.stack(planes))
    assert image.geometry.spacing == (50.0, 4.0, 4.0)
    np.testing.assert_array_equal(read_case_classes(case, image, dataset.description)[0], np.stack(planes) > 99)
    assert read_labels(case.label).geometry.spacing == (50.0, 4.0, 4.0)


@pytest.mark.parametrize("slices", [3, 4])
def test_three_or_four_slices_are_no_colours(source: Path, convert, slices: int) -> None:
    for number in range(slices):
        save(source / "image" / f"{number}.png", photo(3, 4))
        save(source / "label" / f"{number}.png", mask(shape=(3, 4)))
    dataset = convert(source, stack=True)
    assert read_case_image(dataset.cases[0], dataset.description).array.shape == (1, slices, 3, 4)


def test_each_folder_of_slices_is_a_stack_and_colours_become_channels(source: Path, convert) -> None:
    for volume in ("p1", "p2"):
        for number in range(2):
            save(source / volume / "image" / f"{number}.png", photo())
            save(source / volume / "label" / f"{number}.png", mask())
    dataset = convert(source, stack=True)
    assert [case.id for case in dataset.cases] == ["p1", "p2"]
    assert [path.name for path in dataset.cases[0].images] == ["p1_0000.tif", "p1_0001.tif", "p1_0002.tif"]
    second = np.asarray(Picture.open(source / "p1" / "image" / "1.png"))
    np.testing.assert_array_equal(read_case_image(dataset.cases[0], dataset.description).array[:, 1], second.transpose(2, 0, 1))


def test_a_stack_needs_label_maps_for_all_slices_and_slices_of_one_size(source: Path, convert) -> None:
    for number in range(3):
        save(source / "image" / f"{number}.png", photo(6, 7))
        save(source / "label" / f"{number}.png", mask())
    (source / "label" / "1.png").unlink()
    with pytest.raises(SegForgeError, match=r"image: 1\.png without a label map, which other slices there have"):
        convert(source, stack=True, unlabelled="test")
    save(source / "image" / "1.png", photo(6, 8))
    save(source / "label" / "1.png", mask(shape=(6, 8)))
    with pytest.raises(CasesFailed, match=r"1\.png has shape \(1, 6, 8\), .*0\.png has \(1, 6, 7\)"):
        convert(source, stack=True)


def test_a_voxel_size_is_only_for_what_has_none_of_its_own(source: Path, convert) -> None:
    save(source / "a.png", photo())
    save(source / "a_mask.png", mask())
    with pytest.raises(SegForgeError, match="--spacing is for stacks"):
        convert(source, spacing=(1.0, 1.0, 1.0))


def test_images_without_a_label_map_are_left_or_become_test_cases(source: Path, convert, caplog) -> None:
    for case in "ab":
        save(source / "image" / f"{case}.png", photo())
    save(source / "label" / "a.png", mask())
    with caplog.at_level(logging.INFO):
        dataset = convert(source)
    assert "left: images without a label map, which --unlabelled test takes as test cases: 1 (b.png)" in caplog.text
    assert not (dataset.folder / "imagesTs").exists()
    dataset = convert(source, unlabelled="test")
    assert [path.name for path in (dataset.folder / "imagesTs").iterdir()] == ["b_0000.png"]
    assert dataset.description.num_training == 1


def test_without_any_readable_label_map_no_data_set_is_made(source: Path, convert) -> None:
    save(source / "image" / "a.png", photo())
    save(source / "image" / "b.png", photo())
    save(source / "label" / "a.png", mask(shape=(3, 3)))
    with pytest.raises(CasesFailed, match=r"No case with a label map can be read:\na: .*label/a\.png has shape"):
        convert(source, unlabelled="test")


def test_a_table_of_pairs_makes_training_and_test_cases(source: Path, convert) -> None:
    save(source / "x.jpg", photo())
    save(source / "y.png", mask())
    save(source / "z.jpg", photo())
    (source / "list.csv").write_text("image,label,case\nx.jpg,y.png,one\nz.jpg,,two\n")
    dataset = convert(pairs=str(source / "list.csv"))
    assert [case.id for case in dataset.cases] == ["one"]
    assert [path.name for path in (dataset.folder / "imagesTs").iterdir()] == ["two_0000.png"]


def test_a_label_map_of_another_size_fails_alone_and_the_others_are_done(source: Path, convert, tmp_path: Path) -> None:
    for case in "abc":
        save(source / "image" / f"{case}.png", photo())
        save(source / "label" / f"{case}.png", mask(shape=(6, 8) if case == "b" else (6, 7)))
    with pytest.raises(CasesFailed) as failed:
        convert(source)
    assert failed.value.exit_status == 1
    assert "1 of 3 cases failed" in str(failed.value)
    assert "label/b.png has shape (1, 6, 8)" in str(failed.value)
    folder = tmp_path / "work" / "raw" / "Dataset007_Test"
    assert sorted(path.name for path in (folder / "imagesTr").iterdir()) == ["a_0000.png", "c_0000.png"]
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == 2


@pytest.mark.parametrize("name", ["a.jpg", "a.gif", "a.ppm", "a.png", "a.webp"])
def test_a_truncated_picture_is_named(source: Path, convert, name: str) -> None:
    path = save(source / name, photo(40, 40, 3))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    save(source / "a_mask.png", mask(shape=(40, 40)))
    with pytest.raises(CasesFailed, match=rf"{name} (is truncated|cannot be read)"):
        convert(source)


def test_several_pictures_in_one_file_are_refused(source: Path, convert) -> None:
    frames = [Picture.fromarray(photo(6, 7)) for _ in range(3)]
    frames[0].save(source / "a.gif", save_all=True, append_images=frames[1:])
    save(source / "a_mask.png", mask())
    with pytest.raises(CasesFailed, match=r"a\.gif holds 3 pictures"):
        convert(source)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "one folder, or --images DIR with --labels DIR, or --pairs"),
        ({"images": Path("x")}, "Name the source in one way"),
        ({"source": Path("x"), "pairs": Path("y")}, "Name the source in one way"),
        ({"pairs": Path("y"), "pattern": "{case}"}, "--image-pattern and --pattern are for folders"),
        ({"pairs": Path("nowhere.csv")}, r"nowhere\.csv is missing, which --pairs names"),
    ],
)
def test_the_source_is_named_in_one_way(convert, words, message: str) -> None:
    with pytest.raises(SegForgeError, match=message):
        convert(**words)


def test_a_missing_folder_is_named(source: Path, convert) -> None:
    shutil.rmtree(source)
    with pytest.raises(SegForgeError, match="source is no folder"):
        convert(source)


def test_a_threshold_counts_all_shades_of_a_label_map(source: Path, convert, caplog) -> None:
    """More shades than are kept of a label map."""
    shades = np.linspace(0, 1, 4000, dtype=np.float32).reshape(40, 100)
    tifffile.imwrite(source / "a.tif", photo(40, 100))
    tifffile.imwrite(source / "a_mask.tif", shades)
    with pytest.raises(SegForgeError, match="more than 1024 values"):
        convert(source)
    with caplog.at_level(logging.INFO):
        dataset = convert(source, threshold=0.75)
    assert "label 1 label_1: in 1 of 1 cases, 25.00% of all voxels" in caplog.text
    assert labels_of(dataset.folder).sum() == 1000


def test_values_that_png_cannot_hold_make_tiff(source: Path, convert) -> None:
    labels = np.array([[-1, 0, 70000]], np.int32)
    save(source / "a.jpg", photo(1, 3, 3))
    tifffile.imwrite(source / "a_mask.tif", labels)
    dataset = convert(source, label_names=["hole=-1", "far=70000"])
    assert dataset.description.file_ending == ".tif"
    np.testing.assert_array_equal(labels_of(dataset.folder, ending=".tif"), labels)


def test_a_coloured_tiff_of_three_equal_channels_gets_one(source: Path, convert) -> None:
    labels = mask(high=9)
    tifffile.imwrite(source / "a.tif", photo(6, 7))
    tifffile.imwrite(source / "a_mask.tif", np.dstack([labels] * 3), photometric="rgb")
    with Picture.open(convert(source).cases[0].label) as picture:
        np.testing.assert_array_equal(picture, labels)
