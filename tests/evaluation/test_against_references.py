"""The metrics against other programs and against formulas, with empty masks, single voxels and anisotropic voxels."""

import math

import numpy as np
import pytest
import SimpleITK as sitk
from masks import ball, blob, box
from skimage.metrics import hausdorff_distance as skimage_hausdorff
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from segforge.dataset.labels import LabelScheme
from segforge.evaluation.measure import Measures, scores_of_case
from segforge.evaluation.surface import border_voxels, distances_between, hausdorff

ONE = LabelScheme.from_description({"background": 0, "a": 1})
THREE = LabelScheme.from_description({"background": 0, "a": 1, "b": 2, "c": 3})
SPACINGS = [(1.0, 1.0, 1.0), (3.0, 0.8, 1.1), (0.5, 2.0, 1.0)]
SHAPE = (12, 15, 13)


def scores(reference, prediction, spacing, labels=ONE, **measures) -> dict[str, dict[str, float]]:
    arrays = [np.asarray(array).astype(np.int8) for array in (reference, prediction)]
    return {key: found.scores for key, found in scores_of_case(*arrays, labels, spacing, Measures(**measures)).items()}


def sitk_image(mask: np.ndarray, spacing: tuple[float, ...]) -> "sitk.Image":
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(spacing[::-1])
    return image


def sitk_surface_distances(masks: tuple[np.ndarray, np.ndarray], spacing: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Distance in mm from each border voxel of a mask to the nearest of the other, both ways, by SimpleITK alone."""
    # The contour filter sees no border where the image ends.
    images = [sitk_image(np.pad(mask, 2), spacing) for mask in masks]
    contours = [sitk.LabelContour(image, fullyConnected=False) for image in images]
    fields = [
        sitk.GetArrayFromImage(sitk.Abs(sitk.SignedMaurerDistanceMap(contour, squaredDistance=False, useImageSpacing=True)))
        for contour in contours
    ]
    borders = [sitk.GetArrayFromImage(contour) > 0 for contour in contours]
    return fields[1][borders[0]], fields[0][borders[1]]


def test_rates_of_several_labels_equal_scikit_learn() -> None:
    reference, prediction = np.random.default_rng(0).integers(0, 4, (2, *SHAPE))
    flat = reference.ravel(), prediction.ravel()
    for key, found in scores(reference, prediction, (1, 1, 1), THREE).items():
        only = {"labels": [int(key)], "average": "macro"}
        assert found["Dice"] == pytest.approx(f1_score(*flat, **only))
        assert found["IoU"] == pytest.approx(jaccard_score(*flat, **only))
        assert found["Sensitivity"] == pytest.approx(recall_score(*flat, **only))
        assert found["Precision"] == pytest.approx(precision_score(*flat, **only))


@pytest.mark.parametrize("spacing", SPACINGS)
def test_volumes_equal_simple_itk(spacing: tuple[float, float, float]) -> None:
    masks = blob(SHAPE, 0), blob(SHAPE, 1)
    found = scores(*masks, spacing)["1"]
    volumes = []
    for mask in masks:
        statistics = sitk.LabelShapeStatisticsImageFilter()
        statistics.Execute(sitk_image(mask, spacing))
        volumes.append(statistics.GetPhysicalSize(1))
    assert [found["Volume of reference"], found["Volume of prediction"]] == pytest.approx(volumes)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*(sitk_image(mask, spacing) for mask in masks))
    similarity = 2 * found["Volume error"] / sum(volumes)
    assert abs(similarity) == pytest.approx(abs(overlap.GetVolumeSimilarity(1)))


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", [0, 1])
def test_surface_scores_of_voxels_equal_simple_itk(spacing: tuple[float, float, float], seed: int) -> None:
    masks = blob(SHAPE, 2 * seed), blob(SHAPE, 2 * seed + 1)
    found = scores(*masks, spacing, tolerances=(1.2,))["1"]
    forward, backward = sitk_surface_distances(masks, spacing)
    both = np.concatenate([forward, backward])
    expected = max(np.percentile(forward, 95), np.percentile(backward, 95))
    assert found["HD95 (voxels)"] == pytest.approx(expected, rel=1e-5)
    assert found["Mean surface distance (voxels)"] == pytest.approx(both.mean(), rel=1e-5)
    assert found["NSD at 1.2 mm (voxels)"] == pytest.approx((both <= 1.2).mean())


def test_the_full_hausdorff_distance_equals_scikit_image() -> None:
    masks = blob(SHAPE, 3), blob(SHAPE, 4)
    borders = [border_voxels(mask, (1, 1, 1))[0] for mask in masks]
    pictures = [np.zeros(SHAPE, bool) for _ in masks]
    for picture, border in zip(pictures, borders, strict=True):
        picture[tuple(border.T)] = True
    ours = distances_between(*((border.astype(float), None) for border in borders))
    assert hausdorff(*ours, share=100) == pytest.approx(skimage_hausdorff(*pictures))


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (1.0, 0.5, 0.5), (0.5, 0.5, 1.2)])
def test_two_balls_overlap_as_the_formula_of_the_lens_says(spacing: tuple[float, float, float]) -> None:
    radius, shift = 12.0, 7.0
    shape = [round(46 / size) for size in spacing]
    balls = [ball(shape, (22, 22, centre), radius, spacing) for centre in (18, 18 + shift)]
    whole = 4 / 3 * math.pi * radius**3
    lens = math.pi * (4 * radius + shift) * (2 * radius - shift) ** 2 / 12
    found = scores(*balls, spacing)["1"]
    assert found["Volume of reference"] == pytest.approx(whole, rel=0.01)
    assert found["Dice"] == pytest.approx(lens / whole, abs=0.005)
    assert found["IoU"] == pytest.approx(lens / (2 * whole - lens), abs=0.005)
    assert found["Relative volume error"] == pytest.approx(0, abs=0.01)


def test_a_slab_between_parallel_planes_has_the_distance_of_the_planes() -> None:
    spacing = (2.5, 1.0, 1.0)
    reference, prediction = box((20, 30, 30), (2, 6), (0, 30), (0, 30)), box((20, 30, 30), (2, 10), (0, 30), (0, 30))
    found = scores(reference, prediction, spacing, tolerances=(9.9, 10.0))["1"]
    assert found["HD95 (area)"] == found["HD95 (voxels)"] == pytest.approx(10.0)  # four slices of 2.5 mm
    assert found["Dice"] == pytest.approx(2 * 4 / (4 + 8))
    assert found["NSD at 10 mm (area)"] == 1
    assert found["NSD at 9.9 mm (area)"] < 1


@pytest.mark.parametrize("spacing", SPACINGS)
def test_single_voxels_by_hand(spacing: tuple[float, float, float]) -> None:
    reference, same, diagonal = np.zeros((3, 5, 5, 5), bool)
    reference[2, 2, 2] = same[2, 2, 2] = diagonal[3, 3, 3] = True
    found = scores(reference, same, spacing, tolerances=(0.0,), lesions=True)["1"]
    assert (found["Dice"], found["HD95 (voxels)"], found["NSD at 0 mm (area)"], found["Lesion F1"]) == (1, 0, 1, 1)
    found = scores(reference, diagonal, spacing, tolerances=(0.0,), lesions=True)["1"]
    assert (found["Dice"], found["NSD at 0 mm (voxels)"], found["Lesion F1"]) == (0, 0, 0)
    assert found["HD95 (voxels)"] == pytest.approx(math.hypot(*spacing))
    assert found["Volume of reference"] == pytest.approx(math.prod(spacing))
    assert found["Volume error"] == 0


@pytest.mark.filterwarnings("ignore")
def test_empty_masks_have_monais_scores() -> None:
    torch, metrics = pytest.importorskip("torch"), pytest.importorskip("monai.metrics")
    full, empty = blob(SHAPE, 0), np.zeros(SHAPE, bool)
    for reference, prediction in ((full, empty), (empty, full), (empty, empty), (full, full)):
        found = scores(reference, prediction, (1, 1, 1), tolerances=(1.0,))["1"]
        pair = [torch.from_numpy(mask[None, None]) for mask in (prediction, reference)]
        theirs = {
            "IoU": metrics.compute_iou(*pair, ignore_empty=False),
            "Dice": metrics.compute_dice(*pair, ignore_empty=False),
            # Of infinite distances theirs has no percentile.
            "HD95 (voxels)": metrics.compute_hausdorff_distance(*pair, include_background=True),
            "NSD at 1 mm (voxels)": metrics.compute_surface_dice(*pair, class_thresholds=[1.0], include_background=True),
        }
        if not (reference.any() or prediction.any()):
            # Theirs are 1 where nothing is to be found and nothing is; ours, as nnU-Net's, do not count such a case.
            assert math.isnan(found["Dice"])
            assert math.isnan(found["IoU"])
            assert math.isnan(found["HD95 (voxels)"])
            assert math.isnan(float(theirs["HD95 (voxels)"]))
            continue
        for name, value in theirs.items():
            assert found[name] == pytest.approx(float(value)), (name, reference.any(), prediction.any())


def test_confusion_of_masks_equals_monai() -> None:
    torch, metrics = pytest.importorskip("torch"), pytest.importorskip("monai.metrics")
    reference, prediction = blob(SHAPE, 1), blob(SHAPE, 2)
    found = scores(reference, prediction, (1, 1, 1))["1"]
    pair = [torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (prediction, reference)]
    theirs = metrics.get_confusion_matrix(*pair, include_background=True).ravel().tolist()
    assert [found[name] for name in ("TP", "FP", "TN", "FN")] == theirs
