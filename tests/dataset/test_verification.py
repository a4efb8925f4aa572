"""A broken data set for each problem that `verify` names; each is found, with the file's name."""

import json
import shutil
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image as Picture

from segforge.compute.executors import Resources, inline, processes
from segforge.dataset.verification.content import check_case
from segforge.dataset.verification.grids import corner_shift, grid_difference
from segforge.dataset.verification.listing import check_listing
from segforge.dataset.verification.names import fault
from segforge.dataset.verification.opening import open_checked_dataset
from segforge.dataset.verification.problem import REMEDIES, Kind, Problem
from segforge.dataset.verification.report import Verification
from segforge.dataset.verification.run import verify_dataset
from segforge.errors import SegForgeError
from segforge.images.image import Geometry

SPACING, ORIGIN = (0.7, 0.8, 2.5), (-30.0, 12.0, 7.5)  # x, y, z
LPS = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SHAPE = (4, 5, 6)
LABELS = {"background": 0, "organ": 1, "lesion": 2}

Break = Callable[[Path], object]


def write(path: Path, array: np.ndarray, *, spacing=SPACING, origin=ORIGIN, direction=LPS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction)
    sitk.WriteImage(image, str(path))


def image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 100, SHAPE).astype(np.float32)


def labels(value: float = 1, dtype: type = np.uint8) -> np.ndarray:
    array = np.zeros(SHAPE, dtype)
    array[1, 2] = value
    return array


def write_case(folder: Path, case: str, seed: int, **grid) -> None:
    for channel in range(2):
        write(folder / f"imagesTr/{case}_{channel:04d}.nii.gz", image(2 * seed + channel), **grid)
    write(folder / f"labelsTr/{case}.nii.gz", labels(), **grid)


def describe(folder: Path, **changes: object) -> None:
    path = folder / "dataset.json"
    content = {"channel_names": {"0": "T1", "1": "T2"}, "labels": LABELS, "numTraining": 4, "file_ending": ".nii.gz"}
    path.write_text(json.dumps((json.loads(path.read_text()) if path.exists() else content) | changes))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "Dataset001_Tiny"
    for seed, case in enumerate("abcd"):
        write_case(folder, case, seed)
    describe(folder)
    return folder


def verified(folder: Path) -> Verification:
    return verify_dataset(folder, inline, Resources())


def rows(folder: Path) -> list[tuple[str, str]]:
    return [(str(problem.kind), problem.file) for problem in verified(folder).problems]


def image_of(**grid) -> Break:
    return lambda folder: write(folder / "imagesTr/b_0001.nii.gz", image(9), **grid)


def label_of(array: np.ndarray | None = None, **grid) -> Break:
    return lambda folder: write(folder / "labelsTr/b.nii.gz", labels() if array is None else array, **grid)


def truncate(name: str) -> Break:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-20])


def with_value(value: float) -> np.ndarray:
    array = image(9)
    array[0, 0, :2] = value
    return array


def rename(old: str, new: str) -> Break:
    def change(folder: Path) -> None:
        for path in [*(folder / "imagesTr").glob(f"{old}_*"), folder / f"labelsTr/{old}.nii.gz"]:
            path.rename(path.with_name(new + path.name.removeprefix(old)))

    return change


def twice(folder: Path) -> None:
    write(folder / "imagesTr/b_0001.nrrd", image(9))
    write(folder / "imagesTr/b_0001.mha", image(10))
    (folder / IMAGE).unlink()


def with_label_channels(folder: Path) -> None:
    array = nibabel.load(folder / LABEL)
    stacked = np.stack([np.asarray(array.dataobj), np.zeros(SHAPE[::-1], np.uint8), np.zeros(SHAPE[::-1], np.uint8)], -1)
    nibabel.save(nibabel.Nifti1Image(stacked, array.affine), folder / LABEL)


def drop(name: str) -> Break:
    return lambda folder: (folder / name).unlink()


def copy(old: str, new: str) -> Break:
    return lambda folder: shutil.copy(folder / old, folder / new)


def explicit(folder: Path) -> None:
    cases = {case: {"images": [f"imagesTr/{case}_000{n}.nii.gz" for n in (0, 1)], "label": f"labelsTr/{case}.nii.gz"}
             for case in "abcd"}  # fmt: skip
    describe(folder, dataset=cases)
    (folder / "labelsTr/b.nii.gz").unlink()
    (folder / "imagesTr/c_0001.nii.gz").unlink()


TURNED = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
TILT = np.array([[1, 0, 0], [0, np.cos(0.02), -np.sin(0.02)], [0, np.sin(0.02), np.cos(0.02)]])
SHIFTED = (ORIGIN[0] + 3 * SPACING[0], *ORIGIN[1:])
IMAGE, LABEL = "imagesTr/b_0001.nii.gz", "labelsTr/b.nii.gz"

BROKEN: dict[str, tuple[Break, str, str, str]] = {
    "a channel is missing": (drop(IMAGE), "missing channel", IMAGE, "is missing"),
    "a label map is missing": (drop(LABEL), "missing label", LABEL, "is missing"),
    "a label map has no image": (copy(LABEL, "labelsTr/x.nii.gz"), "missing image", "labelsTr/x.nii.gz", "no image"),
    "a channel is there twice": (twice, "doubled file", "imagesTr/b_0001.nrrd", "another ending"),
    "an image has no channel number": (copy(IMAGE, "imagesTr/x.nii.gz"), "unused file", "imagesTr/x.nii.gz", "channel number"),
    "numTraining is wrong": (lambda f: describe(f, numTraining=7), "wrong numTraining", "dataset.json", "is 7, there are 4"),
    "a name is a device": (rename("b", "aux"), "name not portable", "labelsTr/aux.nii.gz", "aux is a device"),
    "a name holds a colon": (rename("b", "b:1"), "name not portable", "imagesTr/b:1_0000.nii.gz", "':'"),
    "a name holds a control character": (rename("b", "b\a"), "name not portable", "imagesTr/b\a_0000.nii.gz", r"'\x07'"),
    "a name ends with a dot": (rename("b", "b."), "name not portable", "imagesTr/b._0000.nii.gz", "dot or a blank"),
    "a path is too long": (rename("b", "b" * 235), "name not portable", f"imagesTr/{'b' * 235}_0000.nii.gz", "characters"),
    "two names differ in case": (rename("b", "A"), "names alike", "imagesTr/a_0000.nii.gz", "A only in upper and lower"),
    "two names differ in encoding": (
        lambda f: [rename("a", "é")(f), rename("b", unicodedata.normalize("NFD", "é"))(f)],
        "names alike", "imagesTr/é_0000.nii.gz", "Unicode",
    ),
    "a name is that of a part": (rename("b", "a_seg"), "refused", "imagesTr", "a_seg has the name of a file"),
    "an image is truncated": (truncate(IMAGE), "unreadable file", IMAGE, "is truncated or damaged"),
    "a label map is truncated": (truncate(LABEL), "unreadable file", LABEL, "Copy or export"),
    "an image is no image": (lambda f: (f / IMAGE).write_bytes(b"hello"), "unreadable file", IMAGE, "Copy or export"),
    "there are too many channels": (
        lambda f: write(f / "imagesTr/b_0002.nii.gz", image(9)), "wrong number of channels", "imagesTr/b_0000.nii.gz",
        "has 3 channels in 3 files, dataset.json names 2 (T1, T2)",
    ),
    "the shape of a channel differs": (
        lambda f: write(f / IMAGE, image(9)[1:]), "shape mismatch", IMAGE,
        "has shape (3, 5, 6), imagesTr/b_0000.nii.gz has (4, 5, 6)",
    ),
    "the shape of a label differs": (label_of(labels()[:, 1:]), "shape mismatch", LABEL, "has shape (4, 4, 6)"),
    "the spacing of a channel differs": (image_of(spacing=(0.7, 0.8, 2.6)), "spacing mismatch", IMAGE, "(2.6, 0.8, 0.7)"),
    "the spacing of a label differs": (label_of(spacing=(0.7, 0.9, 2.5)), "spacing mismatch", LABEL, "(2.5, 0.9, 0.7)"),
    "a channel is shifted": (image_of(origin=SHIFTED), "shifted grid", IMAGE, "up to 3 voxels off imagesTr/b_0000.nii.gz"),
    "a label is shifted": (label_of(origin=SHIFTED), "shifted grid", LABEL, "up to 3 voxels off"),
    "a label is tilted": (label_of(direction=TILT.ravel().tolist()), "shifted grid", LABEL, "voxels off"),
    "a label has no position": (label_of(origin=(0.0, 0.0, 0.0)), "header mismatch", LABEL, "without a position"),
    "a label has not even a spacing": (
        label_of(origin=(0.0, 0.0, 0.0), spacing=(1.0, 1.0, 1.0)), "header mismatch", LABEL, "without a position",
    ),
    "signs differ": (
        label_of(origin=(-ORIGIN[0], -ORIGIN[1], ORIGIN[2]), direction=TURNED), "header mismatch", LABEL, "only in sign",
    ),
    "an image has NaN": (lambda f: write(f / IMAGE, with_value(np.nan)), "NaN or infinity", IMAGE, "2 voxels"),
    "an image has infinity": (lambda f: write(f / IMAGE, with_value(-np.inf)), "NaN or infinity", IMAGE, "2 voxels"),
    "a label map has NaN": (label_of(labels(np.nan, np.float32)), "NaN or infinity", LABEL, "6 voxels"),
    "a label map has infinity": (label_of(labels(np.inf, np.float32)), "NaN or infinity", LABEL, "6 voxels"),
    "a label map has channels": (with_label_channels, "wrong number of channels", LABEL, "has 3 channels; a label map has one"),
    "a label is not whole": (label_of(labels(0.5, np.float32)), "label not a whole number", LABEL, "holds the value 0.5"),
    "a label is not in dataset.json": (label_of(labels(7)), "label not in dataset.json", LABEL, "value 7, which is not"),
    "a label map is empty": (label_of(labels(0)), "empty label", LABEL, "holds no label"),
    "an image is constant": (lambda f: write(f / IMAGE, np.full(SHAPE, 3.0)), "constant image", IMAGE, "the value 3 in"),
    "an image is there twice": (
        copy("imagesTr/a_0000.nii.gz", "imagesTr/c_0000.nii.gz"), "same image twice", "imagesTr/c_0000.nii.gz",
        "same voxels as imagesTr/a_0000.nii.gz",
    ),
    "one case has another orientation": (
        lambda f: write_case(f, "c", 9, direction=TURNED), "mixed orientations", "imagesTr/c_0000.nii.gz",
        "axes run RAS in c; LPS in the other 3 cases",
    ),
}  # fmt: skip


def test_a_clean_data_set_has_no_problem(dataset: Path) -> None:
    found = verified(dataset)
    assert found.problems == ()
    assert found.table() == "No problems in 4 cases."


@pytest.mark.parametrize("what", BROKEN)
def test_each_problem_is_found_with_the_name_of_the_file(dataset: Path, what: str) -> None:
    break_it, kind, file, words = BROKEN[what]
    break_it(dataset)
    found = verified(dataset).problems
    (problem,) = [problem for problem in found if (problem.kind, problem.file) == (kind, file)]
    assert words in problem.found
    # What is broken in one place is named once; only the file that is there twice is named for both.
    assert len(found) == (2 if problem.kind is Kind.DOUBLED else 1), found


def test_every_problem_has_a_test_and_a_remedy() -> None:
    elsewhere = {Kind.NO_CASES, Kind.NOT_CHECKED, Kind.LOSSY_LABELS}
    assert {kind for _, kind, _, _ in BROKEN.values()} | elsewhere == set(Kind) == set(REMEDIES)


def test_all_problems_of_all_cases_are_reported_at_once(dataset: Path) -> None:
    drop("imagesTr/a_0001.nii.gz")(dataset)
    truncate("imagesTr/a_0000.nii.gz")(dataset)  # of a case that is not complete
    drop("labelsTr/b.nii.gz")(dataset)
    write(dataset / "labelsTr/c.nii.gz", labels(7), origin=SHIFTED)
    write(dataset / "labelsTr/d.nii.gz", labels(0)[1:])
    describe(dataset, numTraining=5)
    assert rows(dataset) == [
        ("missing channel", "imagesTr/a_0001.nii.gz"),
        ("missing label", "labelsTr/b.nii.gz"),
        ("wrong numTraining", "dataset.json"),
        ("unreadable file", "imagesTr/a_0000.nii.gz"),
        ("shape mismatch", "labelsTr/d.nii.gz"),
        ("shifted grid", "labelsTr/c.nii.gz"),
        ("label not in dataset.json", "labelsTr/c.nii.gz"),
        ("empty label", "labelsTr/d.nii.gz"),
    ]


def test_files_that_dataset_json_names_are_checked_too(dataset: Path) -> None:
    explicit(dataset)
    assert rows(dataset) == [("missing channel", "imagesTr/c_0001.nii.gz"), ("missing label", "labelsTr/b.nii.gz")]


def test_no_image_at_all_is_a_problem(dataset: Path) -> None:
    shutil.rmtree(dataset / "imagesTr")
    assert rows(dataset) == [("no cases", "imagesTr")]


def test_labels_as_jpeg_are_found(tmp_path: Path) -> None:
    for case, value in (("a", 10), ("b", 20)):
        for path in (f"imagesTr/{case}_0000.png", f"labelsTr/{case}.jpg"):
            (tmp_path / path).parent.mkdir(exist_ok=True)
            pixels = np.full((8, 8), value, np.uint8)
            pixels[2:4] = 1
            Picture.fromarray(pixels).save(tmp_path / path)
    describe(tmp_path, channel_names={"0": "grey"}, numTraining=2, file_ending=".jpg")
    assert rows(tmp_path) == [("lossy label format", "labelsTr/a.jpg"), ("lossy label format", "labelsTr/b.jpg")]


def test_float_noise_is_counted_but_no_problem(dataset: Path) -> None:
    write(dataset / "labelsTr/b.nii.gz", labels(), origin=(ORIGIN[0] + 0.001, *ORIGIN[1:]))
    found = verified(dataset)
    assert found.problems == ()
    assert found.table() == "No problems in 4 cases. Float noise in the grids of 1 case does no harm."


def test_a_label_with_nothing_but_the_ignore_label_is_empty(dataset: Path) -> None:
    describe(dataset, labels=LABELS | {"ignore": 3})
    write(dataset / "labelsTr/b.nii.gz", labels(3))
    (problem,) = verified(dataset).problems
    assert (problem.kind, problem.found) == (Kind.EMPTY_LABEL, "holds no label but background and ignore")


def test_axes_that_are_turned_when_they_are_read_are_not_mixed(dataset: Path) -> None:
    write_case(dataset, "c", 9, direction=TURNED)
    describe(dataset, overwrite_image_reader_writer="canonical")
    assert rows(dataset) == []


def test_a_case_whose_worker_dies_is_named_and_the_others_are_checked(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dying(case, *arguments, **keywords):
        if case.id == "b":
            raise MemoryError
        return check_case(case, *arguments, **keywords)

    monkeypatch.setattr("segforge.dataset.verification.run.check_case", dying)
    drop("labelsTr/a.nii.gz")(dataset)
    found = verified(dataset).problems
    assert [(problem.kind, problem.file) for problem in found] == [
        (Kind.MISSING_LABEL, "labelsTr/a.nii.gz"),
        (Kind.NOT_CHECKED, "imagesTr/b_0000.nii.gz"),
    ]
    assert "out of memory" in found[1].found


def test_worker_processes_find_the_same(dataset: Path) -> None:
    label_of(labels(7))(dataset)
    assert verify_dataset(dataset, processes, Resources(workers=1)) == verified(dataset)


def test_old_spellings_are_said_once(dataset: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = dataset / "dataset.json"
    content = json.loads(path.read_text())
    content["modality"] = content.pop("channel_names")
    path.write_text(json.dumps(content))
    (dataset / "labelsTr" / "b.nii.gz").unlink()
    for look in (verified, open_checked_dataset):
        caplog.clear()
        with suppress(SegForgeError):
            look(dataset)
        assert caplog.text.count('"modality" is spelled') == 1


def test_a_wrong_description_is_an_error(dataset: Path) -> None:
    describe(dataset, channel_names={"0": "a", "2": "b"})
    with pytest.raises(SegForgeError, match=r"dataset\.json: channel_names must be numbered"):
        verified(dataset)


def test_the_table_shows_twenty_of_a_kind_and_json_all() -> None:
    many = tuple(Problem(Kind.EMPTY_LABEL, f"c{n}", f"labelsTr/c{n}.nii.gz", "holds no label") for n in range(25))
    found = Verification("Dataset001_Tiny", 30, many)
    lines = found.table().splitlines()
    assert lines[0] == f"empty label: {REMEDIES[Kind.EMPTY_LABEL]}"
    assert lines[20] == "  labelsTr/c19.nii.gz  holds no label"
    assert lines[21:] == ["  and 5 more (--json has all)", "", "25 problems in 30 cases."]
    content = json.loads(found.to_json())
    assert (content["dataset"], content["cases"], len(content["problems"])) == ("Dataset001_Tiny", 30, 25)
    assert content["problems"][24] == {
        "kind": "empty label", "case": "c24", "file": "labelsTr/c24.nii.gz", "found": "holds no label",
        "remedy": REMEDIES[Kind.EMPTY_LABEL],
    }  # fmt: skip


def test_the_table_shows_no_control_character() -> None:
    found = Verification("Dataset001_Tiny", 1, (Problem(Kind.NAME, "é\x1b[2J", "imagesTr/é\x1b[2J_0000.nii.gz", "no"),))
    assert r"  imagesTr/é\x1b[2J_0000.nii.gz  no" in found.table()


@pytest.mark.parametrize("name", ["CON", "nul.nii.gz", "COM1", "lpt9.txt", "con .x", "a?", "a\\b", "a.", "a ", "a\x1fb"])
def test_names_that_windows_cannot_hold(name: str) -> None:
    assert fault(name)


@pytest.mark.parametrize("name", ["CONE", "console.nii.gz", "COM10", "com", "a.b", " a", "ä"])
def test_names_that_windows_can_hold(name: str) -> None:
    assert fault(name) is None


def test_the_shift_is_that_of_the_farthest_corner() -> None:
    grid = Geometry((4, 5, 101), (2.0, 1.0, 0.5), direction=LPS)
    angle = 0.1
    turned = (np.cos(angle), -np.sin(angle), 0.0, np.sin(angle), np.cos(angle), 0.0, 0.0, 0.0, 1.0)
    # The corner (x, y) = (50, 4) mm, turned about the origin by 0.1, moves by these millimetres.
    x, y = 50 * np.cos(angle) - 4 * np.sin(angle) - 50, 50 * np.sin(angle) + 4 * np.cos(angle) - 4
    corner = np.hypot(x / 0.5, y / 1.0)
    assert corner_shift(Geometry(grid.shape, grid.spacing, direction=turned), grid) == pytest.approx(corner)


@pytest.mark.parametrize(("shift", "kind"), [(0.009, None), (0.011, Kind.SHIFT)])
def test_a_hundredth_of_a_voxel_is_the_limit_of_float_noise(shift: float, kind: Kind | None) -> None:
    first = Geometry(SHAPE, (2.0, 1.0, 1.0), origin=(5.0, 5.0, 5.0))
    second = Geometry(SHAPE, (2.0, 1.0, 1.0), origin=(5.0, 5.0, 5.0 + 2 * shift))
    difference = grid_difference(second, first, "x")
    assert difference is not None
    assert difference.kind is kind


def test_the_list_is_checked_without_reading_an_image(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segforge.images.files._read", None)
    opened = open_checked_dataset(dataset)
    assert check_listing(dataset, opened.description) == []


def test_planning_names_all_missing_files_and_warns_of_the_rest(dataset: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(12):
        write_case(dataset, f"e{number:02d}", 10 + number)
        (dataset / f"labelsTr/e{number:02d}.nii.gz").unlink()
    drop("imagesTr/a_0001.nii.gz")(dataset)
    with pytest.raises(SegForgeError) as refusal:
        open_checked_dataset(dataset)
    assert all(f"labelsTr/e{number:02d}.nii.gz: is missing" in str(refusal.value) for number in range(12))
    assert "imagesTr/a_0001.nii.gz: is missing" in str(refusal.value)
    assert REMEDIES[Kind.MISSING_LABEL] in str(refusal.value)
    for path in (dataset / "imagesTr").glob("e*"):
        path.unlink()
    write(dataset / "imagesTr/a_0001.nii.gz", image(50))
    for name in ("x", "y"):
        copy("labelsTr/a.nii.gz", f"labelsTr/{name}.nii.gz")(dataset)
    opened = open_checked_dataset(dataset)
    assert [case.id for case in opened.cases] == ["a", "b", "c", "d"]
    assert "labelsTr/x.nii.gz: has no image in imagesTr (and 1 more" in caplog.text
