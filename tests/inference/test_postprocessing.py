import json
from pathlib import Path

import numpy as np
import pytest
from masks import blob

from segforge.compute.executors import Resources, inline, threads
from segforge.errors import CasesFailed, SegForgeError
from segforge.images.files import read_labels, write_volume
from segforge.images.image import Geometry
from segforge.inference.postprocess_folder import postprocess_folder
from segforge.inference.postprocessing import KeepLargestComponent, Postprocessing, Trial, keep_largest, read_postprocessing

LARGEST = KeepLargestComponent(structure="a", values=(1,))


def row(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)[None, None]


def test_all_but_the_largest_component_of_the_values_becomes_background() -> None:
    np.testing.assert_array_equal(keep_largest(row(1, 0, 1, 1, 0, 2, 1), (1,)), row(0, 0, 1, 1, 0, 2, 0))
    np.testing.assert_array_equal(keep_largest(row(1, 0, 1, 1, 0, 2, 1, 1), (1, 2)), row(0, 0, 0, 0, 0, 2, 1, 1))


def test_other_values_and_the_given_array_stay_as_they_are() -> None:
    labels = np.where(blob((4, 9, 9), 0), 1, 0).astype(np.int16) + 2 * blob((4, 9, 9), 1)
    before = labels.copy()
    result = LARGEST.apply(labels)
    np.testing.assert_array_equal(labels, before)
    assert result.dtype == labels.dtype
    np.testing.assert_array_equal(result[labels != 1], labels[labels != 1])
    assert (result != labels).any()


def test_a_structure_that_is_not_there_changes_nothing() -> None:
    np.testing.assert_array_equal(keep_largest(row(2, 0, 2), (1,)), row(2, 0, 2))


def test_in_a_plane_pixels_that_touch_by_a_corner_are_one_component() -> None:
    plane = np.zeros((1, 5, 5), np.uint8)
    plane[0, [0, 1, 2], [0, 1, 2]] = 1
    plane[0, 4, [3, 4]] = 1
    kept = keep_largest(plane, (1,))
    assert kept.sum() == 3
    assert kept[0, 1, 1] == 1


def test_steps_are_applied_in_their_order() -> None:
    labels = row(1, 1, 2, 0, 1)
    together = KeepLargestComponent(structure="foreground", values=(1, 2))
    np.testing.assert_array_equal(Postprocessing(steps=(together, LARGEST)).apply(row(2, 2, 1, 0, 1, 1)), row(2, 2, 1, 0, 0, 0))
    np.testing.assert_array_equal(Postprocessing(steps=(LARGEST, together)).apply(row(2, 2, 1, 0, 1, 1)), row(2, 2, 0, 0, 1, 1))
    np.testing.assert_array_equal(Postprocessing(steps=()).apply(labels), labels)


def test_the_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    trial = Trial(structure="a", before=float("nan"), after=0.5, helped=False)
    Postprocessing(steps=(LARGEST,), trials=(trial,)).write(tmp_path / "p.json")
    read = read_postprocessing(tmp_path / "p.json")
    assert read.steps == (LARGEST,)
    assert np.isnan(read.trials[0].before)
    content = json.loads((tmp_path / "p.json").read_text())
    assert content["steps"] == [{"step": "keep_largest_component", "structure": "a", "values": [1]}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"steps": [{"step": "run", "structure": "a", "values": [1]}]}', "steps.0.step"),
        ('{"steps": [{"structure": "a", "values": []}]}', "steps.0.values"),
        ('{"steps": [], "functions": ["os.remove"]}', "functions"),
        ("{}", "steps is missing"),
        ("[", "is not valid JSON"),
    ],
)
def test_a_file_that_says_anything_else_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(SegForgeError, match=message):
        read_postprocessing(tmp_path / "p.json")


def test_a_pickle_is_never_read(tmp_path: Path) -> None:
    (tmp_path / "postprocessing.pkl").write_bytes(b"cos\nsystem\n(S'touch " + bytes(tmp_path / "ran") + b"'\ntR.")
    with pytest.raises(SegForgeError, match="is a pickle, which can run code, and is never read"):
        read_postprocessing(tmp_path / "postprocessing.pkl")
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    Postprocessing(steps=(LARGEST,)).write(tmp_path / "p.json")
    for number in range(3):
        geometry = Geometry((4, 19, 19), (2.0, 1.0, 0.5), origin=(1.0, 2.0, 3.0))
        write_volume(tmp_path / "pred" / f"case_{number}.nii.gz", blob((4, 19, 19), number).astype(np.uint16), geometry)
    return tmp_path / "pred"


def apply(predictions: Path, factory=threads) -> int:
    folder = predictions.parent
    return postprocess_folder(predictions, folder / "out", folder / "p.json", factory, Resources(2))


def test_a_folder_is_postprocessed_on_the_same_grids(predictions: Path) -> None:
    assert apply(predictions) == 3
    for source in sorted(predictions.iterdir()):
        before, after = read_labels(source), read_labels(predictions.parent / "out" / source.name)
        np.testing.assert_array_equal(after.array[0], LARGEST.apply(before.array[0]))
        assert (after.array != before.array).any()
        assert after.array.dtype == before.array.dtype
        assert after.geometry == before.geometry


def test_a_label_map_that_was_stored_as_float_is_written_as_small_integers(predictions: Path) -> None:
    path = predictions / "case_0.nii.gz"
    image = read_labels(path)
    write_volume(path, image.array[0].astype(np.float32), image.geometry)
    apply(predictions)
    assert read_labels(predictions.parent / "out" / path.name).array.dtype == np.uint8


def test_only_what_changed_is_done_again(predictions: Path) -> None:
    apply(predictions)
    assert apply(predictions) == 0
    changed = predictions / "case_1.nii.gz"
    image = read_labels(changed)
    write_volume(changed, image.array[0, :, ::-1], image.geometry)
    assert apply(predictions) == 1
    Postprocessing(steps=()).write(predictions.parent / "p.json")
    with pytest.raises(SegForgeError, match="Choose another folder"):
        apply(predictions)


def test_a_damaged_case_is_named_and_the_others_are_written(predictions: Path) -> None:
    (predictions / "case_1.nii.gz").write_bytes(b"no image")
    with pytest.raises(CasesFailed, match=r"(?s)1 of 3 cases failed.*case_1\.nii\.gz"):
        apply(predictions, inline)
    assert sorted(path.name for path in (predictions.parent / "out").glob("*.nii.gz")) == ["case_0.nii.gz", "case_2.nii.gz"]


def test_the_predictions_themselves_are_never_written_over(predictions: Path) -> None:
    with pytest.raises(SegForgeError, match="Choose another folder for the results"):
        postprocess_folder(predictions, predictions / ".." / "pred", predictions.parent / "p.json", inline, Resources())


def test_a_folder_without_label_maps_is_an_error(predictions: Path) -> None:
    for folder, message in ((predictions / "nowhere", "is missing"), (predictions.parent, "has no label maps")):
        with pytest.raises(SegForgeError, match=message):
            postprocess_folder(folder, predictions.parent / "o", predictions.parent / "p.json", inline, Resources())
