from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from segforge.figures.colours import FALSE_NEGATIVE, FALSE_POSITIVE, OTHER_STRUCTURE, structure_colours
from segforge.figures.curves import Curve, draw_panels
from segforge.figures.curves import Panel as CurvePanel
from segforge.figures.errors import error_map
from segforge.figures.overlay import Panel, Scene, Structures, draw_case
from segforge.figures.planes import Plane, planes_to_show
from segforge.figures.ranking import Ranked, draw_ranking
from segforge.figures.strips import Strip, draw_strips
from segforge.figures.window import window_around, window_of

ORGAN = Structures({"organ": (1,)})


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Picture.open(path).convert("RGB")).astype(int)


def rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)])


def count(picture: np.ndarray, colour: str, tolerance: int = 40) -> int:
    """Pixels nearly of a colour."""
    return int((np.abs(picture - rgb(colour)).max(-1) <= tolerance).sum())


def extent(found: np.ndarray) -> tuple[int, int]:
    """Height and width of the box around true pixels."""
    rows, columns = np.flatnonzero(found.any(1)), np.flatnonzero(found.any(0))
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def grey_scene(image: np.ndarray, spacing: tuple[float, float, float], toward: str | None = None) -> Scene:
    return Scene(image[None], window_of(image), spacing, toward)


def test_curves_are_drawn_with_gaps_and_without_points(tmp_path: Path) -> None:
    panel = CurvePanel("loss", [Curve("training", [1.0, None, 0.5]), Curve("average", [0.1, 0.2, 0.3], bold=True)], (0, 1))
    draw_panels(tmp_path / "a.png", [0, 1, 2], "epoch", [panel, panel])
    assert pixels(tmp_path / "a.png").std() > 1
    draw_panels(tmp_path / "b.png", [], "epoch", [CurvePanel("loss", [Curve("training", [])])])
    assert (tmp_path / "b.png").stat().st_size > 1000


def test_outlines_are_drawn_only_where_there_are_labels(tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(size=(3, 20, 20))
    labels = np.zeros((3, 20, 20), np.int8)
    labels[1, 5:15, 5:15] = 1
    panels = [Panel("image"), Panel("reference", labels), Panel("prediction", np.zeros_like(labels))]
    draw_case(tmp_path / "a.png", grey_scene(image, (3, 1, 1)), panels, [Plane(0, 1)], ORGAN, title="case")
    picture = pixels(tmp_path / "a.png")
    picture = picture[: int(0.85 * picture.shape[0])]  # without the legend
    third = picture.shape[1] // 3
    (colour,) = structure_colours(1)
    found = [count(picture[:, place * third : (place + 1) * third], colour) for place in range(3)]
    assert found[0] == found[2] == 0
    assert found[1] > 200


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.0, 3.0, 1.0), (1.0, 1.0, 2.5)])
def test_a_square_of_voxels_is_as_long_as_its_millimetres(tmp_path: Path, spacing: tuple[float, float, float]) -> None:
    labels = np.zeros((1, 20, 20), np.int8)
    labels[0, 5:15, 5:15] = 1
    filled = Structures({"organ": (1,)}, is_filled=True)
    scene = Scene(None, (0, 1), spacing)
    draw_case(tmp_path / "a.png", scene, [Panel("labels", labels)], [Plane(0, 0)], filled, title="case")
    picture = pixels(tmp_path / "a.png")[:-60]
    height, width = extent(np.abs(picture - rgb(structure_colours(1)[0])).max(-1) < 30)
    assert height / width == pytest.approx(spacing[1] / spacing[2], rel=0.05)


def test_an_image_is_drawn_head_up_and_the_patients_right_on_the_left(tmp_path: Path) -> None:
    image = np.zeros((10, 10, 10))
    image[8:, :, :2] = 100  # towards superior, and where x begins
    for toward, is_left in (("SPL", True), ("SPR", False)):
        scene = Scene(image[None], (0, 100), (1, 1, 1), toward)
        draw_case(tmp_path / "a.png", scene, [Panel("image")], [Plane(1, 5)], ORGAN, title="")
        picture = pixels(tmp_path / "a.png")
        black = (picture == 0).all(-1)
        rows, columns = np.flatnonzero(black.any(1)), np.flatnonzero(black.any(0))
        inner = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean(-1)
        # The bright corner is all that is not black; letters are small.
        high, wide = (size // 5 for size in inner.shape)
        corners = {"upper left": inner[:high, :wide], "upper right": inner[:high, -wide:], "lower left": inner[-high:, :wide]}
        bright = max(corners, key=lambda name: corners[name].mean())
        assert bright == ("upper left" if is_left else "upper right")


def test_each_kind_of_error_has_a_colour_and_ignored_voxels_none(tmp_path: Path) -> None:
    reference, prediction = np.zeros((2, 1, 40, 40), np.int8)
    reference[0, :10, :10], prediction[0, :10, 20:30] = 1, 1
    reference[0, 20:30, :10], prediction[0, 20:30, :10] = 1, 2
    reference[0, 20:30, 20:30], prediction[0, 20:30, 20:30] = 3, 1
    errors = error_map(reference, prediction, ignored=3)
    assert np.unique(errors, return_counts=True)[1].tolist() == [1300, 100, 100, 100]
    assert (errors[0, 0, 20], errors[0, 0, 0], errors[0, 20, 0]) == (1, 2, 3)
    scene = Scene(np.zeros((1, 1, 40, 40)), (0, 1), (1, 1, 1))
    draw_case(tmp_path / "a.png", scene, [Panel("errors", errors=errors)], [Plane(0, 0)], ORGAN, title="case")
    picture = pixels(tmp_path / "a.png")
    found = [count(picture, colour, tolerance=70) for colour in (FALSE_POSITIVE, FALSE_NEGATIVE, OTHER_STRUCTURE)]
    assert min(found) > 500


def test_ignored_voxels_are_hatched(tmp_path: Path) -> None:
    labels = np.zeros((1, 30, 30), np.int8)
    labels[0, 5:25, 5:25] = 2
    pictures = []
    for ignored in (None, 2):
        structures = Structures({"organ": (1,)}, ignored)
        draw_case(tmp_path / "a.png", Scene(None, (0, 1), (1, 1, 1)), [Panel("labels", labels)], [Plane(0, 0)], structures,
                  title="")  # fmt: skip
        picture = pixels(tmp_path / "a.png").mean(-1)
        middle = picture[picture.shape[0] // 3 : picture.shape[0] // 2, picture.shape[1] // 3 : picture.shape[1] // 2]
        pictures.append(middle)
    assert pictures[0].max() == 0
    assert 0.05 < (pictures[1] > 128).mean() < 0.7


def test_a_photograph_is_drawn_in_its_colours(tmp_path: Path) -> None:
    image = np.zeros((3, 1, 10, 10))
    image[0] = 250
    image[1, 0, :5] = 250
    draw_case(tmp_path / "a.png", Scene(image, (0, 250), (1, 1, 1)), [Panel("image")], [Plane(0, 0)], ORGAN, title="")
    picture = pixels(tmp_path / "a.png")
    assert count(picture, "#ff0000", 5) > 1000
    assert count(picture, "#ffff00", 5) > 1000


def test_any_name_is_drawn_as_it_is(tmp_path: Path) -> None:
    labels = np.ones((1, 8, 8), np.int8)
    names = Structures({"a $ b_{ $ {": (1,), "x" * 90: (2,)})
    draw_case(tmp_path / "a.png", Scene(None, (0, 1), (1, 1, 1)), [Panel("labels", labels)], [Plane(0, 0)], names,
              title="case $\\frac$ " + "n" * 300)  # fmt: skip
    assert (tmp_path / "a.png").is_file()


def test_forty_structures_have_forty_colours_and_the_first_stay() -> None:
    many = structure_colours(40)
    assert len(set(many)) == 40
    assert many[:3] == structure_colours(3)


def test_slices_show_every_structure_as_large_as_it_gets() -> None:
    labels = np.zeros((10, 12, 14), np.int8)
    labels[2, 1:9, 1:9] = 1
    labels[5, 1:9, 1:9], labels[5, 10, 10] = 1, 2
    labels[7, 10, 10:12] = 2
    (plane,) = planes_to_show(labels, [(1,), (2,)], (1, 1, 1), across=[0])
    assert plane == Plane(0, 5)  # 1 + 1/2, of both; slice 2 has 1, slice 7 has 1
    assert planes_to_show(labels, [(2,)], (1, 1, 1), across=[0]) == [Plane(0, 7)]
    assert planes_to_show(labels * 0, [(1,)], (1, 1, 1), across=[0]) == [Plane(0, 5)]


def test_what_lies_outside_or_is_ignored_is_no_structure() -> None:
    labels = np.zeros((6, 4, 4), np.int8)
    labels[1], labels[2], labels[4, 0, 0] = -1, 3, 1
    assert planes_to_show(labels, [(1,), (2,)], (1, 1, 1), across=[0]) == [Plane(0, 4)]


@pytest.mark.parametrize(
    ("shape", "spacing", "axes"),
    [
        ((30, 40, 40), (1.5, 1, 1), [0, 1, 2]),
        ((22, 320, 280), (6.5, 0.7, 0.7), [0]),
        ((280, 22, 320), (0.7, 6.5, 0.7), [1]),
        ((5, 200, 200), (1, 1, 1), [0]),
        ((1, 200, 200), (999, 1, 1), [0]),
        ((30, 40, 1), (1, 1, 1), [2]),
    ],
)
def test_three_planes_only_of_what_is_alike_along_all_axes(shape, spacing, axes: list[int]) -> None:
    assert [plane.axis for plane in planes_to_show(np.zeros(shape, np.int8), [(1,)], spacing)] == axes


def test_a_window_leaves_out_the_extremes_and_is_never_empty() -> None:
    values = np.r_[np.full(5, -1e6), np.linspace(0, 100, 2000), np.full(5, 1e6)]
    low, high = window_of(values)
    assert 0 <= low < 1
    assert 99 < high <= 100
    assert window_of(np.full(4, 7.0)) == (7.0, 8.0)
    assert window_of(np.r_[np.zeros(10000), 1.0]) == (0.0, 1.0)
    assert window_around(np.linspace(0, 100, 2000)) == pytest.approx((-49.5, 149.5), abs=2)


def test_strips_show_every_score_and_mark_the_winner(tmp_path: Path) -> None:
    candidates = [Ranked("a + b", 0.9, (0.88, 0.92), [0.8, 0.9, 1.0]), Ranked("c", 0.7, None, [0.7, float("nan")])]
    draw_ranking(tmp_path / "a.png", candidates, title="Dataset")
    won = count(pixels(tmp_path / "a.png"), "#d55e00", 10)
    draw_ranking(tmp_path / "b.png", candidates, winner=1)
    assert won > 100
    assert 50 < count(pixels(tmp_path / "b.png"), "#d55e00", 10) < won  # no interval, a shorter name
    draw_ranking(tmp_path / "c.png", [Ranked("alone", 0.5)])
    nothing = Strip("never $", [float("nan")], float("nan"))
    draw_strips(tmp_path / "d.png", [nothing, Strip("x" * 99, [0.1, 0.5, 0.6], 0.4, (0.3, 0.5), "case $")],
                title="", label="Dice", boxes=True)  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "b.png", "c.png", "d.png"}
