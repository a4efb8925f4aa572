import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from segforge.compute.executors import Resources, inline
from segforge.dataset.labels import LabelScheme
from segforge.dataset.scenes import Look, images_of_cases, scene_of, toward_of
from segforge.errors import CasesFailed, SegForgeError
from segforge.evaluation.evaluate import evaluate_folders
from segforge.evaluation.pictures import PredictedCase, draw_extremes, draw_prediction
from segforge.evaluation.summary import Summary
from segforge.figures.colours import FALSE_NEGATIVE, FALSE_POSITIVE
from segforge.images.files import write_volume
from segforge.images.image import Geometry

LABELS = LabelScheme.from_description({"background": 0, "organ": 1, "lesion": 2})
GRID = Geometry((6, 20, 20), (1.0, 1.0, 1.0))
PLANE = Geometry((1, 20, 20), (999.0, 1.0, 1.0), is_2d=True)


def label_map(shift: int) -> np.ndarray:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[1:5, 4 + shift : 12 + shift, 4:12] = 1
    return labels


def write_case(folder: Path, name: str, shift: int, geometry: Geometry = GRID) -> None:
    image = np.random.default_rng(shift).normal(100, 10, geometry.shape).astype(np.float32)
    for kind, array in (("images", image), ("ref", label_map(0)), ("pred", label_map(shift))):
        path = folder / kind / f"{name}{'_0000' if kind == 'images' else ''}.nii.gz"
        write_volume(path, array[: geometry.shape[0]], geometry)


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """Cases that are the worse the higher their number."""
    for number in range(5):
        write_case(tmp_path, f"case_{number}", number)
    return tmp_path


def summarized(folder: Path) -> Summary:
    return evaluate_folders(folder / "ref", folder / "pred", LABELS, inline, Resources())


def colours(path: Path) -> np.ndarray:
    return np.asarray(Picture.open(path).convert("RGB")).reshape(-1, 3).astype(int)


def has(path: Path, colour: str) -> bool:
    wanted = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return bool((np.abs(colours(path) - wanted).max(1) < 60).sum() > 100)


def draw(folder: Path, count: int, images: dict[str, tuple[Path, ...]] | None = None) -> set[str]:
    draw_extremes(summarized(folder), LABELS, folder / "figures", images or {}, count, inline, Resources())
    return {path.name for path in (folder / "figures").iterdir()}


def test_the_worst_and_the_best_are_drawn_and_none_twice(cases: Path) -> None:
    names = draw(cases, 3)
    worst = {f"worst_{place}_case_{5 - place}.png" for place in (1, 2, 3)}
    assert names == worst | {"best_1_case_0.png", "best_2_case_1.png", "scores.png"}
    names = draw(cases, 1, images_of_cases(cases / "images"))  # and those of the first call are gone
    assert names == {"worst_1_case_4.png", "best_1_case_0.png", "scores.png"}
    assert has(cases / "figures" / "worst_1_case_4.png", FALSE_POSITIVE)
    assert has(cases / "figures" / "worst_1_case_4.png", FALSE_NEGATIVE)
    assert not has(cases / "figures" / "best_1_case_0.png", FALSE_POSITIVE)


def test_a_case_that_cannot_be_drawn_is_named_and_the_others_are_drawn(cases: Path) -> None:
    summary = summarized(cases)
    (cases / "pred" / "case_4.nii.gz").write_bytes(b"damaged")
    with pytest.raises(CasesFailed, match="1 of 4 cases could not be drawn:\ncase_4: "):
        draw_extremes(summary, LABELS, cases / "figures", {}, 2, inline, Resources())
    assert len(list((cases / "figures").iterdir())) == 4


def test_an_image_on_another_grid_is_refused(cases: Path) -> None:
    write_case(cases, "other", 0, Geometry((4, 20, 20), (1.0, 1.0, 1.0)))
    case = PredictedCase("x", cases / "pred/case_1.nii.gz", None, (cases / "images/other_0000.nii.gz",))
    with pytest.raises(SegForgeError, match=r"other_0000.*differ in shape"):
        draw_prediction(cases / "a.png", case, LABELS, Look())


def test_predictions_are_drawn_without_a_reference(cases: Path) -> None:
    case = PredictedCase("x", cases / "pred/case_3.nii.gz", None, (cases / "images/case_3_0000.nii.gz",))
    draw_prediction(cases / "a.png", case, LABELS, Look())
    assert not has(cases / "a.png", FALSE_POSITIVE)
    assert (cases / "a.png").stat().st_size > 5000


def test_images_are_found_by_case_and_channel(tmp_path: Path) -> None:
    for name in ("a_0001", "a_0000", "b_c_0000", "plain"):
        write_volume(tmp_path / f"{name}.nii.gz", label_map(0), GRID)
    (tmp_path / "notes.txt").write_text("")
    found = images_of_cases(tmp_path)
    assert {case: [path.name for path in paths] for case, paths in found.items()} == {
        "a": ["a_0000.nii.gz", "a_0001.nii.gz"], "b_c": ["b_c_0000.nii.gz"], "plain": ["plain.nii.gz"],
    }  # fmt: skip
    with pytest.raises(SegForgeError, match="nowhere is missing"):
        images_of_cases(tmp_path / "nowhere")


def test_channels_are_chosen_and_named() -> None:
    volume, photograph = np.zeros((4, *GRID.shape)), np.zeros((3, *PLANE.shape))
    assert scene_of(volume, GRID, Look(), names=("T1", "T2", "a", "b")).name == "channel 0, T1"
    scene = scene_of(volume + np.arange(4)[:, None, None, None], GRID, Look(channel=3))
    assert (scene.name, scene.image.min(), len(scene.image)) == ("channel 3", 3, 1)
    assert len(scene_of(photograph, PLANE, Look()).image) == 3
    assert len(scene_of(photograph, PLANE, Look(channel=1)).image) == 1
    assert len(scene_of(volume[:3], GRID, Look()).image) == 1
    assert len(scene_of(volume, GRID, Look(), names=("Red", "Green", "Blue", "alpha")).image) == 3
    with pytest.raises(SegForgeError, match=r"There is no channel 2. There are: 0 \(MRI\)"):
        scene_of(volume[:1], GRID, Look(channel=2), names=("MRI",))


def test_the_window_of_a_ct_is_that_of_its_structures() -> None:
    values = np.linspace(-1000, 2000, 6 * 400).reshape(1, *GRID.shape)
    organ = (values[0] > 0) & (values[0] < 100)
    assert scene_of(values, GRID, Look(), foreground=organ, names=("CT",)).window == pytest.approx((-50, 150), abs=5)
    assert scene_of(values, GRID, Look(), foreground=organ, names=("MRI",)).window[0] < -900
    for none_or_all in (organ & False, values[0] > -999, None):
        assert scene_of(values, GRID, Look(), foreground=none_or_all, names=("ct",)).window == (-160, 240)
    assert scene_of(values, GRID, Look(window=(0, 1)), foreground=organ, names=("CT",)).window == (0, 1)
    with pytest.raises(SegForgeError, match="--window goes from a lower to a higher value"):
        Look(window=(3, 3))


def test_only_what_is_of_a_patient_has_sides() -> None:
    assert toward_of(Path("a.nii.gz"), GRID) == "SPL"
    assert toward_of(Path("a.nii.gz"), PLANE) is None
    assert toward_of(Path("a.tif"), GRID) is None


def test_scores_of_a_structure_that_never_occurs_are_drawn_too(cases: Path) -> None:
    draw(cases, 1)
    assert json.loads(summarized(cases).to_json())["mean"]["2"]["Dice"] is None
    assert (cases / "figures" / "scores.png").stat().st_size > 5000
