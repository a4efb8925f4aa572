"""The surface metrics against MONAI's: its voxels, and its subvoxel elements, which are DeepMind's."""

import numpy as np
import pytest
from masks import blob

from segforge.evaluation.surface import surface_scores
from segforge.evaluation.surface_elements import element_sizes

torch = pytest.importorskip("torch")
metrics = pytest.importorskip("monai.metrics")
tables = pytest.importorskip("monai.metrics.utils")

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:monai")

CASES = [
    ((10, 14, 13), (1.0, 1.0, 1.0), 0),
    ((10, 14, 13), (3.0, 0.8, 1.1), 1),
    ((8, 20, 9), (0.5, 2.0, 1.0), 2),
    ((24, 30), (1.0, 1.0), 3),
    ((24, 30), (0.7, 2.5), 4),
]


def as_batch(mask: np.ndarray) -> "torch.Tensor":
    return torch.from_numpy(mask[None, None])


@pytest.mark.parametrize(("shape", "spacing", "seed"), CASES)
def test_distances_and_surface_dice_equal_monai(shape: tuple[int, ...], spacing: tuple[float, ...], seed: int) -> None:
    reference, prediction = blob(shape, 2 * seed), blob(shape, 2 * seed + 1)
    pair = (as_batch(prediction), as_batch(reference))
    volumes = [mask if mask.ndim == 3 else mask[None] for mask in (reference, prediction)]
    found = surface_scores(*volumes, spacing if len(spacing) == 3 else (999.0, *spacing), (1.0, 1.7))
    common = {"include_background": True, "spacing": spacing}
    expected = {
        "HD95 (voxels)": metrics.compute_hausdorff_distance(*pair, percentile=95, **common),
        "Mean surface distance (voxels)": metrics.compute_average_surface_distance(*pair, symmetric=True, **common),
    }
    for tolerance in (1.0, 1.7):
        for definition in ("voxels", "area"):
            expected[f"NSD at {tolerance:g} mm ({definition})"] = metrics.compute_surface_dice(
                *pair, class_thresholds=[tolerance], use_subvoxels=definition == "area", **common
            )
    for name, value in expected.items():
        assert found[name] == pytest.approx(float(value), rel=1e-5), name


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 0.5), (3.0, 0.7, 1.1)])
def test_the_area_of_every_element_equals_the_table(spacing: tuple[float, ...]) -> None:
    table, _ = tables.create_table_neighbour_code_to_surface_area(spacing)
    # The table's highest bit is our lowest.
    codes = [int(f"{code:08b}"[::-1], 2) for code in range(256)]
    np.testing.assert_allclose(element_sizes(spacing)[codes], np.asarray(table).ravel(), atol=1e-5)


def test_the_length_of_every_contour_element_equals_the_table() -> None:
    table, _ = tables.create_table_neighbour_code_to_contour_length((2.0, 3.0))
    codes = [int(f"{code:04b}"[::-1], 2) for code in range(16)]
    np.testing.assert_allclose(element_sizes((2.0, 3.0))[codes], np.asarray(table).ravel(), atol=1e-5)
