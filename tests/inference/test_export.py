import numpy as np
import pytest
import torch
from samples import plans_for
from skimage.transform import resize

from segforge.dataset.labels import LabelScheme
from segforge.images.image import Geometry, Image
from segforge.inference.export import CaseLogits, labels_of, probabilities_of
from segforge.preprocessing.preprocessor import Preprocessor

LABELS = LabelScheme.from_description({"background": 0, "a": 5, "b": 300})
REGIONS = LabelScheme.from_description({"background": 0, "whole": (5, 300), "core": 300, "rim": 7}, (5, 300, 7))
SHAPE, BOX = (11, 12, 13), (slice(2, 9), slice(1, 12), slice(3, 11))


def case_logits(order=(0, 1, 2), spacing=(1.5, 1.25, 0.5), seed: int = 0, heads: int = 3) -> CaseLogits:
    random = np.random.default_rng(seed)
    array = np.zeros((1, *SHAPE), np.float32)
    array[(0, *BOX)] = random.random((7, 11, 8)) + 1
    plans = plans_for(spacing, order=order)
    configuration = next(iter(plans.configurations.values()))
    case = Preprocessor(plans, configuration, LABELS)(Image(array, Geometry(SHAPE, (1.0, 1.25, 2.0))))
    values = random.normal(size=(heads, *case.image.shape[1:])).astype(np.float32)
    return CaseLogits.of(values, case.properties, plans, configuration)


def resized(logits: CaseLogits) -> np.ndarray:
    """The logits on the crop's own grid, stored axes, all at once in float64."""
    cropped = tuple((7, 11, 8)[axis] for axis in logits.order)
    heads = [resize(head.astype(np.float64), cropped, 1, mode="edge", anti_aliasing=False) for head in logits.values]
    return np.stack(heads).transpose(0, *(logits.order.index(axis) + 1 for axis in range(3)))


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits)
    return powers / powers.sum(0)


@pytest.fixture(params=["one slab", "many slabs"])
def slabs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "many slabs":
        monkeypatch.setattr("segforge.preprocessing.resampling.SLAB_BYTES", 1000)


@pytest.mark.usefixtures("slabs")
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_logits_come_back_to_the_original_grid(order: tuple[int, int, int]) -> None:
    logits = case_logits(order)
    expected = np.zeros(SHAPE, np.int64)
    expected[BOX] = np.array([0, 5, 300])[resized(logits).argmax(0)]
    ours = labels_of([logits], LABELS)
    assert ours.dtype == np.uint16
    assert (ours != expected).mean() < 1e-3


def test_a_tensor_and_half_precision_give_the_same() -> None:
    logits = case_logits()
    tensor = CaseLogits(torch.from_numpy(logits.values), logits.properties, logits.order, logits.resampling, logits.spline)
    half = CaseLogits(logits.values.astype(np.float16), logits.properties, logits.order, logits.resampling, logits.spline)
    ours = labels_of([logits], LABELS)
    np.testing.assert_array_equal(labels_of([tensor], LABELS), ours)
    assert (labels_of([half], LABELS) != ours).mean() < 0.01


@pytest.mark.usefixtures("slabs")
def test_models_with_other_axes_and_spacings_are_averaged_as_probabilities() -> None:
    members = [case_logits((0, 1, 2)), case_logits((2, 0, 1), (1.0, 1.0, 1.0), seed=1)]
    mean = sum(softmax(resized(member)) for member in members) / 2
    expected = np.zeros(SHAPE, np.int64)
    expected[BOX] = np.array([0, 5, 300])[mean.argmax(0)]
    assert (labels_of(members, LABELS) != expected).mean() < 1e-3
    probabilities = np.stack(list(probabilities_of(members, LABELS)))
    np.testing.assert_allclose(probabilities[(slice(None), *BOX)], mean, atol=1e-5)
    assert probabilities.dtype == np.float32


def test_the_mean_of_two_models_is_not_one_of_them() -> None:
    first, second = case_logits(), case_logits((2, 0, 1), seed=1)
    both = labels_of([first, second], LABELS)
    assert (both != labels_of([first], LABELS)).any()
    assert (both != labels_of([second], LABELS)).any()


@pytest.mark.usefixtures("slabs")
def test_regions_are_written_in_order_where_they_are_likelier_than_not() -> None:
    members = [case_logits(seed=2), case_logits((1, 2, 0), seed=3)]
    for chosen in (members[:1], members):
        mean = sum(1 / (1 + np.exp(-resized(member))) for member in chosen) / len(chosen)
        expected = np.zeros(SHAPE, np.int64)
        for probability, value in zip(mean, (5, 300, 7), strict=True):
            expected[BOX][probability > 0.5] = value
        assert (labels_of(chosen, REGIONS) != expected).mean() < 1e-3
        probabilities = np.stack(list(probabilities_of(chosen, REGIONS)))
        np.testing.assert_allclose(probabilities[(slice(None), *BOX)], mean, atol=1e-5)


def test_beyond_the_crop_all_is_background() -> None:
    probabilities = np.stack(list(probabilities_of([case_logits()], LABELS)))
    np.testing.assert_allclose(probabilities.sum(0), 1, atol=1e-5)
    assert probabilities[0, 0, 0, 0] == 1
    assert next(probabilities_of([case_logits()], REGIONS))[0, 0, 0] == 0


def test_large_logits_do_not_overflow() -> None:
    logits = case_logits()
    huge = CaseLogits(logits.values * 1e4, logits.properties, logits.order, logits.resampling, logits.spline)
    for labels in (LABELS, REGIONS):
        assert all(np.isfinite(head).all() for head in probabilities_of([huge, huge], labels))
    np.testing.assert_array_equal(labels_of([huge, huge], LABELS), labels_of([huge], LABELS))


def test_slices_of_a_2d_model_stay_slices() -> None:
    random = np.random.default_rng(0)
    array = random.random((1, 5, 8, 8)).astype(np.float32) + 1
    plans = plans_for((2.0, 2.0))
    configuration = plans.configurations["2d"]
    case = Preprocessor(plans, configuration, LABELS)(Image(array, Geometry((5, 8, 8), (7.0, 1.0, 1.0))))
    assert case.image.shape == (1, 5, 4, 4)
    logits = random.normal(size=(3, 5, 4, 4)).astype(np.float32)
    ours = labels_of([CaseLogits.of(logits, case.properties, plans, configuration)], LABELS)
    for z in range(5):
        alone = np.stack([resize(head[z].astype(np.float64), (8, 8), 1, mode="edge", anti_aliasing=False) for head in logits])
        assert (ours[z] != np.array([0, 5, 300])[alone.argmax(0)]).mean() < 0.02
