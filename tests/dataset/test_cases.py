import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from segforge.dataset.cases import find_cases, list_cases, open_dataset, read_case_classes, read_case_image
from segforge.dataset.description import read_description
from segforge.errors import SegForgeError

DESCRIPTION = {
    "channel_names": {"0": "a", "1": "b"},
    "labels": {"background": 0, "x": 1},
    "numTraining": 2,
    "file_ending": ".png",
}


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for case in ("p2", "p1"):
        for channel in range(2):
            picture(tmp_path / "imagesTr" / f"{case}_{channel:04d}.png", channel * 10)
        picture(tmp_path / "labelsTr" / f"{case}.png", 1)
    (tmp_path / "dataset.json").write_text(json.dumps(DESCRIPTION))
    return tmp_path


def picture(path: Path, value: int, size: tuple[int, int] = (4, 5)) -> None:
    path.parent.mkdir(exist_ok=True)
    Picture.fromarray(np.full(size, value, np.uint8)).save(path)


def test_cases_are_sorted_and_their_channels_are_in_order(dataset: Path) -> None:
    opened = open_dataset(dataset)
    assert [case.id for case in opened.cases] == ["p1", "p2"]
    assert [path.name for path in opened.cases[0].images] == ["p1_0000.png", "p1_0001.png"]
    assert opened.cases[0].label == dataset / "labelsTr" / "p1.png"


def test_other_files_are_passed_over(dataset: Path) -> None:
    (dataset / "imagesTr" / "notes.txt").touch()
    (dataset / "imagesTr" / ".DS_Store").touch()
    assert len(open_dataset(dataset).cases) == 2


def test_a_missing_channel_is_named(dataset: Path) -> None:
    (dataset / "imagesTr" / "p1_0001.png").unlink()
    with pytest.raises(SegForgeError, match=r"p1_0001\.png is missing"):
        open_dataset(dataset)


def test_missing_labels_are_named(dataset: Path) -> None:
    for case in ("p1", "p2"):
        (dataset / "labelsTr" / f"{case}.png").unlink()
    with pytest.raises(SegForgeError, match=r"p1\.png, .*p2\.png are missing"):
        open_dataset(dataset)


def test_an_empty_folder_says_how_images_are_named(dataset: Path) -> None:
    (dataset / "empty").mkdir()
    with pytest.raises(SegForgeError, match=r"named like CASE_0000\.png"):
        find_cases(dataset / "empty", read_description(dataset / "dataset.json"))


def test_one_colour_file_may_carry_all_channels(dataset: Path) -> None:
    for case in ("p1", "p2"):
        (dataset / "imagesTr" / f"{case}_0001.png").unlink()
        Picture.fromarray(np.zeros((4, 5, 3), np.uint8)).save(dataset / "imagesTr" / f"{case}_0000.png")
    opened = open_dataset(dataset)
    with pytest.raises(SegForgeError, match=r"p1_0000\.png: 3 channels, but dataset\.json names 2 \(a, b\)"):
        read_case_image(opened.cases[0], opened.description)


def test_a_label_on_another_grid_is_refused_with_both_files_and_shapes(dataset: Path) -> None:
    picture(dataset / "labelsTr" / "p1.png", 1, (4, 6))
    opened = open_dataset(dataset)
    image = read_case_image(opened.cases[0], opened.description)
    with pytest.raises(SegForgeError, match=r"p1\.png has shape \(1, 4, 6\), its image .*p1_0000\.png has \(1, 4, 5\)"):
        read_case_classes(opened.cases[0], image, opened.description)


def test_an_unknown_label_value_is_refused_with_the_file(dataset: Path) -> None:
    picture(dataset / "labelsTr" / "p1.png", 3)
    opened = open_dataset(dataset)
    image = read_case_image(opened.cases[0], opened.description)
    with pytest.raises(SegForgeError, match=r"p1\.png holds the label value 3"):
        read_case_classes(opened.cases[0], image, opened.description)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": {"x": 1}}, r'dataset\.json: labels must hold "background": 0'),
        ({"channel_names": {"0": "a", "2": "b"}}, r"channel_names must be numbered 0, 1; found 0, 2"),
        ({"file_ending": "a picture"}, r"file_ending"),
        ({"labels": {"background": 0, "x": 1.5}}, r"labels\.x"),
        ({"labels": None}, r"labels"),
    ],
)
def test_a_wrong_description_names_the_field(dataset: Path, change: dict, message: str) -> None:
    (dataset / "dataset.json").write_text(json.dumps(DESCRIPTION | change))
    with pytest.raises(SegForgeError, match=message):
        open_dataset(dataset)


def test_a_key_that_looks_misspelt_is_warned_of_and_kept(dataset: Path, caplog: pytest.LogCaptureFixture) -> None:
    (dataset / "dataset.json").write_text(json.dumps(DESCRIPTION | {"region_class_order": [1], "licence": "CC0"}))
    with caplog.at_level(logging.WARNING):
        description = read_description(dataset / "dataset.json")
    assert "did you mean regions_class_order?" in caplog.text
    assert "licence" not in caplog.text
    assert json.loads(description.to_json())["licence"] == "CC0"


def test_images_and_labels_may_have_different_endings(dataset: Path) -> None:
    for path in dataset.glob("imagesTr/*.png"):
        Picture.open(path).save(path.with_suffix(".tif"))
        path.unlink()
    cases = open_dataset(dataset).cases
    assert [path.name for path in cases[0].images] == ["p1_0000.tif", "p1_0001.tif"]
    assert cases[0].label == dataset / "labelsTr" / "p1.png"


def test_of_two_files_for_one_channel_that_with_the_declared_ending_counts(dataset: Path) -> None:
    picture(dataset / "imagesTr" / "p1_0000.bmp", 3)
    assert open_dataset(dataset).cases[0].images[0].name == "p1_0000.png"


def test_two_files_for_one_channel_are_refused_by_name(dataset: Path) -> None:
    (dataset / "imagesTr" / "p1_0000.png").unlink()
    for ending in ("bmp", "tif"):
        picture(dataset / "imagesTr" / f"p1_0000.{ending}", 3)
    with pytest.raises(SegForgeError, match=r"p1_0000\.bmp, .*p1_0000\.tif are there for one channel"):
        open_dataset(dataset)


def test_dataset_json_may_name_the_files_of_each_case(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", str(dataset / "labelsTr"))
    images = {case: [f"imagesTr/{case}_0000.png", str(dataset / "imagesTr" / f"{case}_0001.png")] for case in ("p1", "p2")}
    listed = {
        "late": {"images": images["p2"], "label": "$PLACE/p2.png"},
        "early": {"images": images["p1"], "label": "$PLACE/p1.png"},
    }
    (dataset / "dataset.json").write_text(json.dumps(DESCRIPTION | {"dataset": listed}))
    cases = open_dataset(dataset).cases
    assert [case.id for case in cases] == ["late", "early"]
    assert cases[0].label == dataset / "labelsTr" / "p2.png"
    np.testing.assert_array_equal(read_case_image(cases[0], read_description(dataset / "dataset.json")).array[1], 10)
    (dataset / "labelsTr" / "p2.png").unlink()
    with pytest.raises(SegForgeError, match=r"labelsTr/p2\.png is missing"):
        open_dataset(dataset)


def test_the_listing_names_all_that_is_missing_or_too_much(dataset: Path) -> None:
    (dataset / "imagesTr" / "p1_0001.png").unlink()
    (dataset / "labelsTr" / "p2.png").unlink()
    picture(dataset / "labelsTr" / "p3.png", 1)
    listing = list_cases(dataset, read_description(dataset / "dataset.json"))
    assert not listing.cases
    assert listing.missing == {
        "p1": (dataset / "imagesTr" / "p1_0001.png",),
        "p2": (dataset / "labelsTr" / "p2.png",),
    }
    assert listing.without_image == (dataset / "labelsTr" / "p3.png",)
