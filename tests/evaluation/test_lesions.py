import math

import numpy as np
import pytest
from masks import blob, box
from skimage.measure import label

from segforge.evaluation.lesions import lesion_scores

SHAPE = (6, 12, 12)
FIRST, SECOND, THIRD = (box(SHAPE, (1, 3), (1, 3), (begin, begin + 2)) for begin in (1, 5, 9))


def test_lesions_are_found_missed_or_made_up() -> None:
    touching = box(SHAPE, (2, 5), (2, 5), (2, 4))
    found = lesion_scores(FIRST | SECOND, touching | THIRD)
    assert found == {
        "Lesion F1": 2 * 1 / (2 * 1 + 1 + 1),
        "Lesion sensitivity": 0.5,
        "Lesion false positives": 1,
        "Lesions in reference": 2,
        "Lesions in prediction": 2,
    }


def test_one_component_that_joins_two_lesions_finds_both() -> None:
    found = lesion_scores(FIRST | SECOND, box(SHAPE, (1, 3), (1, 3), (1, 7)))
    assert (found["Lesion F1"], found["Lesion sensitivity"], found["Lesion false positives"]) == (1, 1, 0)


def test_two_parts_of_one_lesion_find_it_once_and_are_no_false_positives() -> None:
    parts = box(SHAPE, (1, 3), (1, 3), (1, 2)) | box(SHAPE, (1, 3), (1, 3), (6, 7))
    found = lesion_scores(box(SHAPE, (1, 3), (1, 3), (1, 7)), parts)
    assert (found["Lesion F1"], found["Lesion false positives"], found["Lesions in prediction"]) == (1, 0, 2)


def test_voxels_that_touch_by_a_corner_are_one_lesion() -> None:
    mask = np.zeros(SHAPE, bool)
    mask[1, 1, 1] = mask[2, 2, 2] = mask[3, 1, 1] = True
    assert lesion_scores(mask, mask)["Lesions in reference"] == 1
    plane = np.eye(5, dtype=bool)[None]
    assert lesion_scores(plane, plane)["Lesions in reference"] == 1


def test_without_lesions_there_is_no_score_and_with_lesions_on_one_side_only_zero() -> None:
    nothing = np.zeros(SHAPE, bool)
    none = lesion_scores(nothing, nothing)
    assert math.isnan(none["Lesion F1"])
    assert math.isnan(none["Lesion sensitivity"])
    assert none["Lesion false positives"] == 0
    missed, made_up = lesion_scores(FIRST, nothing), lesion_scores(nothing, FIRST)
    assert (missed["Lesion F1"], missed["Lesion sensitivity"]) == (0, 0)
    assert made_up["Lesion F1"] == 0
    assert math.isnan(made_up["Lesion sensitivity"])
    assert made_up["Lesion false positives"] == 1


@pytest.mark.parametrize("seed", range(3))
def test_counts_equal_those_by_scikit_image(seed: int) -> None:
    reference, prediction = blob((8, 20, 20), seed), blob((8, 20, 20), seed + 10)
    lesions, predicted = (label(mask, connectivity=3) for mask in (reference, prediction))
    hit = sum((prediction & (lesions == number)).any() for number in range(1, lesions.max() + 1))
    wrong = sum(not (reference & (predicted == number)).any() for number in range(1, predicted.max() + 1))
    found = lesion_scores(reference, prediction)
    assert found["Lesion sensitivity"] == hit / lesions.max()
    assert found["Lesion false positives"] == wrong
    assert found["Lesion F1"] == hit / (hit + (wrong + lesions.max() - hit) / 2)
