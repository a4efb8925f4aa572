from pathlib import Path

import numpy as np
from PIL import Image as Picture

from segforge.figures.curves import Curve, Panel, draw_panels
from segforge.figures.overlay import draw_comparison


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Picture.open(path).convert("RGB")).astype(int)


def test_curves_are_drawn_with_gaps_and_without_points(tmp_path: Path) -> None:
    panel = Panel("loss", [Curve("training", [1.0, None, 0.5]), Curve("average", [0.1, 0.2, 0.3], bold=True)], (0, 1))
    draw_panels(tmp_path / "a.png", [0, 1, 2], "epoch", [panel, panel])
    assert pixels(tmp_path / "a.png").std() > 1
    draw_panels(tmp_path / "b.png", [], "epoch", [Panel("loss", [Curve("training", [])])])
    assert (tmp_path / "b.png").stat().st_size > 1000


def test_contours_are_drawn_only_where_there_are_labels(tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(size=(3, 20, 30))
    labels = np.zeros((3, 20, 30), np.uint8)
    labels[1, 5:15, 5:15] = 1
    draw_comparison(tmp_path / "a.png", image, labels, np.zeros_like(labels), (3, 1, 1), names={1: "organ"}, title="case")
    picture = pixels(tmp_path / "a.png")
    coloured = (np.ptp(picture, axis=2)[: int(0.9 * picture.shape[0])] > 40).sum(0)  # without the legend
    third = picture.shape[1] // 3
    assert coloured[:third].sum() == 0
    assert coloured[third : 2 * third].sum() > 50
    assert coloured[2 * third :].sum() == 0
