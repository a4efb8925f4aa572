import numpy as np
import pytest
from samples import plans_for
from skimage.transform import resize

from segforge.dataset.labels import LabelScheme
from segforge.images.image import Geometry, Image
from segforge.inference.export import labels_from_logits
from segforge.preprocessing.preprocessor import Preprocessor

LABELS = LabelScheme.from_description({"background": 0, "a": 5, "b": 300})


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_logits_come_back_to_the_original_grid(order: tuple[int, int, int]) -> None:
    random = np.random.default_rng(0)
    array = np.zeros((1, 11, 12, 13), np.float32)
    array[0, 2:9, 1:12, 3:11] = random.random((7, 11, 8)) + 1
    plans = plans_for((1.5, 1.25, 0.5), order=order)
    configuration = plans.configurations["3d_fullres"]
    case = Preprocessor(plans, configuration, LABELS)(Image(array, Geometry((11, 12, 13), (1.0, 1.25, 2.0))))
    logits = random.normal(size=(3, *case.image.shape[1:])).astype(np.float32)
    ours = labels_from_logits(logits, case.properties, plans, configuration, LABELS)
    cropped = tuple((7, 11, 8)[axis] for axis in order)
    resized = np.stack([resize(head.astype(np.float64), cropped, 1, mode="edge", anti_aliasing=False) for head in logits])
    expected = np.zeros((11, 12, 13), np.int64)
    inverse = tuple(order.index(axis) for axis in range(3))
    expected[2:9, 1:12, 3:11] = np.array([0, 5, 300])[resized.argmax(0)].transpose(inverse)
    assert ours.dtype == np.uint16
    assert (ours != expected).mean() < 1e-3


def test_slices_of_a_2d_model_stay_slices() -> None:
    random = np.random.default_rng(0)
    array = random.random((1, 5, 8, 8)).astype(np.float32) + 1
    plans = plans_for((2.0, 2.0))
    configuration = plans.configurations["2d"]
    case = Preprocessor(plans, configuration, LABELS)(Image(array, Geometry((5, 8, 8), (7.0, 1.0, 1.0))))
    assert case.image.shape == (1, 5, 4, 4)
    logits = random.normal(size=(3, 5, 4, 4)).astype(np.float32)
    ours = labels_from_logits(logits, case.properties, plans, configuration, LABELS)
    for z in range(5):
        alone = np.stack([resize(head[z].astype(np.float64), (8, 8), 1, mode="edge", anti_aliasing=False) for head in logits])
        assert (ours[z] != np.array([0, 5, 300])[alone.argmax(0)]).mean() < 0.02
