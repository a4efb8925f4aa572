"""The same command typed again, other commands for the same data set, and folders that are not the converter's."""

import json
import logging
import os
from pathlib import Path

import numpy as np
import pytest
from conversion_samples import mask, photo, save
from PIL import Image as Picture

from segforge.dataset.conversion import writing
from segforge.errors import CasesFailed, SegForgeError


@pytest.fixture
def pictures(source: Path) -> Path:
    for case in ("a", "b", "c"):
        save(source / "image" / f"{case}.png", photo())
        save(source / "label" / f"{case}.png", mask())
    return source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "work" / "raw" / "Dataset007_Test"


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (folder / "imagesTr").iterdir()}


def again(convert, caplog, *words, **options) -> str:
    caplog.clear()
    with caplog.at_level(logging.INFO):
        convert(*words, **options)
    return caplog.text


def test_typed_again_it_writes_nothing_and_says_so(pictures: Path, convert, folder: Path, caplog) -> None:
    convert(pictures)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*")}
    assert "3 of 3 cases are there already." in again(convert, caplog, pictures)
    assert before == {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*")}


def test_only_what_is_missing_new_or_changed_is_done(pictures: Path, convert, folder: Path, caplog) -> None:
    convert(pictures)
    before = times(folder)
    (folder / "labelsTr" / "a.png").unlink()
    changed = photo()
    save(pictures / "image" / "b.png", changed)
    save(pictures / "image" / "d.png", photo())
    save(pictures / "label" / "d.png", mask())
    assert "1 of 4 cases are there already." in again(convert, caplog, pictures)
    after = times(folder)
    assert after["c_0000.png"] == before["c_0000.png"]
    assert (folder / "labelsTr" / "a.png").is_file()
    np.testing.assert_array_equal(Picture.open(folder / "imagesTr" / "b_0000.png"), changed)
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == 4


def test_a_source_that_was_only_copied_again_is_not_converted_again(pictures: Path, convert, caplog) -> None:
    convert(pictures)
    for path in pictures.rglob("*.png"):
        path.write_bytes(path.read_bytes())
    assert "3 of 3 cases are there already." in again(convert, caplog, pictures)


def test_a_damaged_output_is_found_and_made_again(pictures: Path, convert, folder: Path, caplog) -> None:
    convert(pictures)
    path = folder / "imagesTr" / "b_0000.png"
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    text = again(convert, caplog, pictures)
    assert "2 of 3 cases are there already." in text
    assert "was changed after it was converted; it is kept as b_0000.png.old-1" in text
    assert path.read_bytes() == content
    assert path.with_name("b_0000.png.old-1").read_bytes() == content[:-20]


def test_an_edited_label_map_is_kept_aside_when_its_source_changes(pictures: Path, convert, folder: Path) -> None:
    convert(pictures)
    edited = save(folder / "labelsTr" / "b.png", mask()).read_bytes()
    save(pictures / "image" / "b.png", photo())
    convert(pictures)
    assert (folder / "labelsTr" / "b.png.old-1").read_bytes() == edited
    assert (folder / "labelsTr" / "b.png").read_bytes() == (pictures / "label" / "b.png").read_bytes()


def test_without_any_case_that_could_be_written_there_is_no_data_set(pictures, convert, folder: Path, monkeypatch) -> None:
    def full_disk(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.shutil, "copyfile", full_disk)
    with pytest.raises(CasesFailed, match=r"(?s)3 of 3 cases failed.*a: .*could not be written: No space left on device"):
        convert(pictures)
    assert not (folder / "dataset.json").exists()


def test_other_options_convert_anew_and_leave_no_old_file(pictures: Path, convert, folder: Path) -> None:
    convert(pictures)
    convert(pictures, grey=True, label_names=["vessel"])
    with Picture.open(folder / "imagesTr" / "a_0000.png") as picture:
        assert picture.mode == "L"
    description = json.loads((folder / "dataset.json").read_text())
    assert description["channel_names"] == {"0": "grey"}
    assert description["labels"] == {"background": 0, "vessel": 255}
    convert(pictures, stack=True)
    assert {path.name for path in (folder / "imagesTr").iterdir()} == {f"source_{index:04d}.tif" for index in range(3)} | {
        "source.json"
    }
    assert {path.name for path in (folder / "labelsTr").iterdir()} == {"source.tif", "source.json"}


def test_a_case_that_left_the_source_leaves_the_data_set(pictures: Path, convert, folder: Path, caplog) -> None:
    convert(pictures)
    (pictures / "image" / "b.png").unlink()
    assert "1 case no longer in the source, removed: b." in again(convert, caplog, pictures)
    assert not list(folder.rglob("b*"))
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == 2


def test_an_edited_description_stays_until_it_must_say_something_else(pictures: Path, convert, folder: Path, caplog) -> None:
    convert(pictures)
    path = folder / "dataset.json"
    edited = path.read_text().replace("red", "zscore")
    path.write_text(edited)
    (folder / "imagesTr" / "a_0000.png").unlink()
    convert(pictures)
    assert path.read_text() == edited
    assert "was edited; it is kept as dataset.json.old-1" in again(convert, caplog, pictures, label_names=["vessel"])
    assert path.with_name("dataset.json.old-1").read_text() == edited
    assert "vessel" in path.read_text()


def test_an_interrupted_conversion_is_no_data_set_and_goes_on(
    pictures: Path, convert, folder: Path, caplog, monkeypatch
) -> None:
    original = writing._write_images

    def interrupted(case, *arguments):
        if case.id == "c":
            raise KeyboardInterrupt
        return original(case, *arguments)

    monkeypatch.setattr(writing, "_write_images", interrupted)
    with pytest.raises(KeyboardInterrupt):
        convert(pictures)
    assert not (folder / "dataset.json").exists()
    done = times(folder)
    assert set(done) == {"a_0000.png", "b_0000.png"}
    monkeypatch.setattr(writing, "_write_images", original)
    assert "2 of 3 cases are there already." in again(convert, caplog, pictures)
    assert {name: time for name, time in times(folder).items() if name in done} == done
    assert (folder / "dataset.json").is_file()


def test_a_conversion_that_goes_on_takes_its_description_away_meanwhile(pictures, convert, folder: Path, monkeypatch) -> None:
    convert(pictures)
    original = writing._write_images

    def watching(*arguments):
        assert not (folder / "dataset.json").exists()
        return original(*arguments)

    monkeypatch.setattr(writing, "_write_images", watching)
    convert(pictures, grey=True)
    assert (folder / "dataset.json").is_file()


def test_cases_are_not_read_again_after_an_interruption(pictures: Path, convert, monkeypatch) -> None:
    from segforge.dataset.conversion import contents

    read, original = [], contents.read_source_image

    def reading(path):
        read.append(path.name)
        if path.name == "b.png" and len(read) == 2:
            raise KeyboardInterrupt
        return original(path)

    monkeypatch.setattr(contents, "read_source_image", reading)
    with pytest.raises(KeyboardInterrupt):
        convert(pictures)
    convert(pictures)
    assert read == ["a.png", "b.png", "b.png", "c.png"]


def test_mended_files_complete_the_data_set(pictures: Path, convert, folder: Path, caplog) -> None:
    content = (pictures / "image" / "b.png").read_bytes()
    (pictures / "image" / "b.png").write_bytes(content[:50])
    with pytest.raises(CasesFailed, match=r"b: .*b\.png is truncated"):
        convert(pictures)
    (pictures / "image" / "b.png").write_bytes(content)
    assert "2 of 3 cases are there already." in again(convert, caplog, pictures)
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == 3


def test_a_case_whose_source_became_unreadable_leaves_the_data_set_until_it_is_mended(pictures, convert, folder: Path) -> None:
    convert(pictures)
    content = (pictures / "image" / "b.png").read_bytes()
    (pictures / "image" / "b.png").write_bytes(content[:50])
    with pytest.raises(CasesFailed, match=r"1 of 3 cases failed"):
        convert(pictures)
    assert [path.name for path in sorted(folder.glob("*Tr/*"))] == ["a_0000.png", "c_0000.png", "a.png", "c.png"]
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == 2
    (pictures / "image" / "b.png").write_bytes(content)
    assert len(convert(pictures).cases) == 3


def test_a_folder_that_was_not_converted_is_refused(pictures: Path, convert, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(SegForgeError, match=r"Dataset007_Test exists and was not made by segforge convert images"):
        convert(pictures)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_data_set_from_another_source_is_refused_and_named(pictures: Path, convert, folder: Path, tmp_path: Path) -> None:
    convert(pictures)
    other = tmp_path / "other"
    save(other / "x.jpg", photo())
    save(other / "x_mask.png", mask())
    with pytest.raises(SegForgeError, match=rf"was converted from {pictures}, not from {other}"):
        convert(other)


def test_a_source_that_never_became_anything_does_not_hold_the_number(pictures: Path, convert, tmp_path: Path) -> None:
    save(tmp_path / "wrong" / "x.jpg", photo())
    save(tmp_path / "wrong" / "x_mask.png", np.zeros((6, 7), np.uint8))
    with pytest.raises(SegForgeError, match="nothing but 0"):
        convert(tmp_path / "wrong")
    assert len(convert(pictures).cases) == 3


def test_a_number_that_another_data_set_has_is_refused(pictures: Path, convert) -> None:
    convert(pictures)
    with pytest.raises(SegForgeError, match=r"The number 7 belongs to Dataset007_Test\. .*-d"):
        convert(pictures, name="Other")


def test_a_workspace_within_the_source_is_refused(tmp_path: Path, convert) -> None:
    save(tmp_path / "a.jpg", photo())
    save(tmp_path / "a_mask.png", mask())
    with pytest.raises(SegForgeError, match="would lie in its own source"):
        convert(tmp_path)


def test_what_killed_processes_left_is_removed(pictures: Path, convert, folder: Path) -> None:
    convert(pictures)
    leftover = folder / "imagesTr" / ".00000000-999999999-0.partial.a_0000.png"
    leftover.touch()
    os.utime(leftover, (0, 0))
    convert(pictures)
    assert not leftover.exists()


def test_threads_and_processes_make_the_same_files(pictures: Path, convert, folder: Path, tmp_path: Path) -> None:
    convert(pictures, grey=True)
    for workers in (None, 2):
        place = tmp_path / f"workers_{workers}"
        place.mkdir()
        other = convert(pictures, grey=True, workers=workers, workspace=place).folder
        for path in (*folder.glob("imagesTr/*"), *folder.glob("labelsTr/*"), folder / "dataset.json"):
            assert (other / path.relative_to(folder)).read_bytes() == path.read_bytes()
