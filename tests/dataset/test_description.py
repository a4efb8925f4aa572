import json
import logging
from pathlib import Path
from typing import Any

import pytest

from segforge.dataset.description import DatasetDescription, read_description
from segforge.errors import SegForgeError

CONTENT = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "numTraining": 2, "file_ending": ".nii.gz"}


def described(folder: Path, **changes: Any) -> DatasetDescription:
    content = {key: value for key, value in (CONTENT | changes).items() if value is not None}
    (folder / "dataset.json").write_text(json.dumps(content))
    return read_description(folder / "dataset.json")


@pytest.mark.parametrize(
    ("labels", "expected", "shown"),
    [
        ({"0": "background", "1": "liver"}, {"background": 0, "liver": 1}, '{"background": 0, "liver": 1}'),
        ({"background": "0", "liver": "205"}, {"background": 0, "liver": 205}, '{"background": 0, "liver": 205}'),
        ({"background": 0, "whole": ["1", "2"], "core": 2}, {"background": 0, "whole": (1, 2), "core": 2}, "[1, 2]"),
    ],
)
def test_other_spellings_of_labels_are_read_with_the_right_one_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, labels: dict[str, Any], expected: dict[str, Any], shown: str
) -> None:
    order = ["1", "2"] if "core" in labels else None
    assert described(tmp_path, labels=labels, regions_class_order=order).labels == expected
    assert shown in caplog.text
    assert str(tmp_path / "dataset.json") in caplog.text


def test_modality_is_channel_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    description = described(tmp_path, channel_names=None, modality={"0": "CT", "1": "PET"})
    assert description.channels == ("CT", "PET")
    assert '"modality" is spelled "channel_names": {"0": "CT", "1": "PET"}' in caplog.text


def test_an_ending_gets_its_dot(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert described(tmp_path, file_ending="nii.gz").file_ending == ".nii.gz"
    assert '"file_ending" begins with a dot: ".nii.gz"' in caplog.text


def test_today_s_spelling_needs_no_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    described(tmp_path)
    assert not caplog.text


def test_unknown_keys_are_kept(tmp_path: Path) -> None:
    description = described(tmp_path, licence="CC0", reference={"a": [1]})
    assert json.loads(description.to_json())["reference"] == {"a": [1]}


@pytest.mark.parametrize(
    ("reader", "canonical"),
    [
        ("None", False),
        (None, False),
        ("stored", False),
        ("canonical", True),
        ("NibabelIOWithReorient", True),
        ("Tiff3DIO", False),
    ],
)
def test_readers_by_our_names_and_those_of_nnunet(tmp_path: Path, reader: str | None, canonical: bool) -> None:
    description = described(tmp_path, overwrite_image_reader_writer=reader)
    assert description.is_canonical is canonical
    assert ("overwrite_image_reader_writer" in json.loads(description.to_json())) is (reader not in (None, "None"))


def test_an_unknown_reader_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(SegForgeError, match=r"overwrite_image_reader_writer: Input should be 'stored'.*MyIO"):
        described(tmp_path, overwrite_image_reader_writer="MyIO")


@pytest.mark.parametrize("case", ["../x", "a/b", ".hidden", ""])
def test_case_names_that_are_no_file_names_are_refused(tmp_path: Path, case: str) -> None:
    with pytest.raises(SegForgeError, match="dataset"):
        described(tmp_path, dataset={case: {"images": ["a.nii.gz"], "label": "b.nii.gz"}})


@pytest.mark.parametrize("value", [-(2**15) - 1, 2**31 + 1])
def test_values_beyond_the_range_are_refused(tmp_path: Path, value: int) -> None:
    with pytest.raises(SegForgeError, match=rf"liver has the value {value}; values go from -32768 to 2147483648"):
        described(tmp_path, labels={"background": 0, "liver": value})


def test_a_wrong_order_of_regions_shows_what_each_label_would_become(tmp_path: Path) -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}
    with pytest.raises(SegForgeError) as raised:
        described(tmp_path, labels=labels, regions_class_order=[1, 2])
    message = str(raised.value)
    assert "regions_class_order has 2 values" in message
    assert "whole, core, enhancing" in message
    assert [line.split() for line in message.splitlines()[1:]] == [
        ["label", "value", "is", "in", "becomes"],
        ["1", "whole", "1"],
        ["2", "whole,", "core", "2"],
        ["3", "whole,", "core,", "enhancing", "?"],
    ]
    with pytest.raises(SegForgeError, match=r"holds 7, which no region contains"):
        described(tmp_path, labels=labels, regions_class_order=[1, 2, 7])


def test_an_order_that_turns_labels_into_others_is_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}
    described(tmp_path, labels=labels, regions_class_order=[1, 2, 3])
    assert not caplog.text
    with caplog.at_level(logging.WARNING):
        described(tmp_path, labels=labels, regions_class_order=[3, 2, 1])
    assert ["1", "whole", "3"] in [line.split() for line in caplog.text.splitlines()]


def test_where_images_lie_without_a_description_the_command_that_writes_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(SegForgeError, match=r"dataset\.json is missing\.$"):
        read_description(tmp_path / "dataset.json")
    (tmp_path / "imagesTr").mkdir()
    with pytest.raises(SegForgeError, match=rf"is missing\. Have it written with: segforge describe {tmp_path}$"):
        read_description(tmp_path / "dataset.json")
