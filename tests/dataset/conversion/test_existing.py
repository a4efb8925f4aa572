"""`dataset.json` for folders that have images and label maps in place."""

import json
import logging
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conversion_samples import mask, photo, save
from PIL import Image as Picture

from segforge.api.conversion import describe
from segforge.dataset.cases import open_dataset
from segforge.errors import CasesFailed, SegForgeError

write = partial(describe, workers=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for case in "ab":
        for channel in range(2):
            save(tmp_path / "imagesTr" / f"{case}_{channel:04d}.png", photo(6, 7))
        save(tmp_path / "labelsTr" / f"{case}.png", mask(high=4))
    return tmp_path


def test_channels_and_labels_are_found_and_the_data_set_opens(folder: Path, caplog) -> None:
    with caplog.at_level(logging.INFO):
        write(folder, channel_names=["T1", "T2"])
    assert json.loads((folder / "dataset.json").read_text()) == {
        "channel_names": {"0": "T1", "1": "T2"},
        "labels": {"background": 0, "label_4": 4},
        "numTraining": 2,
        "file_ending": ".png",
    }
    assert len(open_dataset(folder).cases) == 2
    assert "label 4 label_4: in 2 of 2 cases" in caplog.text


def test_a_description_that_is_there_is_only_replaced_by_force_and_kept(folder: Path) -> None:
    (folder / "dataset.json").write_text("mine")
    with pytest.raises(SegForgeError, match=r"dataset\.json is there already\. .*--force"):
        write(folder)
    assert (folder / "dataset.json").read_text() == "mine"
    write(folder, force=True)
    assert (folder / "dataset.json.old-1").read_text() == "mine"
    assert open_dataset(folder).description.num_training == 2


def test_label_values_are_those_that_training_reads(folder: Path) -> None:
    """A grey palette keeps its indices here: the file stays as it is."""
    picture = Picture.fromarray(mask(high=1))
    picture.putpalette([0, 0, 0, 255, 255, 255])
    picture.save(folder / "labelsTr" / "a.png")
    assert set(write(folder).labels.values()) == {0, 1, 4}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "imagesTr" / "b_0001.png").unlink(), r"1 complete case; missing or there twice: .*b_0001\.png"),
        (lambda f: (f / "labelsTr" / "b.png").unlink(), r"missing or there twice: .*labelsTr/b\.png"),
        (lambda f: (f / "labelsTr" / "b.png").rename(f / "labelsTr" / "b.bmp"), r"several formats \(\.bmp, \.png\)"),
        (lambda f: [path.unlink() for path in (f / "labelsTr").iterdir()], "has no label maps"),
        (lambda f: [path.rename(path.with_name(path.name.replace("_", ""))) for path in (f / "imagesTr").iterdir()],
         "no image named like CASE_0000"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_and_nothing_written(folder: Path, change, message: str) -> None:
    change(folder)
    with pytest.raises(SegForgeError, match=message):
        write(folder)
    assert not (folder / "dataset.json").exists()


def test_cases_that_cannot_be_read_are_named_and_nothing_is_written(folder: Path) -> None:
    save(folder / "labelsTr" / "b.png", mask(shape=(3, 3)))
    (folder / "imagesTr" / "a_0000.png").write_bytes(b"no picture")
    with pytest.raises(CasesFailed, match=r"(?s)2 of 2 cases cannot be read.*a_0000\.png.*b\.png has shape \(1, 3, 3\)"):
        write(folder)
    assert not (folder / "dataset.json").exists()


def test_shades_and_images_that_differ_are_refused(folder: Path) -> None:
    save(folder / "labelsTr" / "b.png", np.arange(42 * 2, dtype=np.uint8)[:42].reshape(6, 7) * 6)
    save(folder / "labelsTr" / "a.png", np.arange(42, dtype=np.uint8).reshape(6, 7))
    with pytest.raises(SegForgeError, match="If they are shades"):
        write(folder)
    save(folder / "imagesTr" / "b_0001.png", photo(6, 7, 3))
    with pytest.raises(
        SegForgeError, match=r"a_0000\.png is a plane with 2 channels, .*b_0000\.png is a plane with 4 channels"
    ):
        write(folder)


def test_a_data_set_of_the_workspace_is_named_by_its_number(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "work" / "raw" / "Dataset012_Mine"
    place.parent.mkdir(parents=True)
    for part in ("imagesTr", "labelsTr"):
        (folder / part).rename(place / part) if place.exists() else (place.mkdir(), (folder / part).rename(place / part))
    assert write(12, workspace=tmp_path / "work").num_training == 2
    assert (place / "dataset.json").is_file()
