from types import SimpleNamespace

import numpy as np
import pytest
from samples import plans_for

from segforge.dataset.labels import LabelScheme
from segforge.errors import SegForgeError
from segforge.images.image import Geometry, Image
from segforge.planning.plans import NormalizationSpec, Plans, ResamplingSpec
from segforge.preprocessing.locations import draw_locations
from segforge.preprocessing.preprocessor import PreprocessedCase, Preprocessor
from segforge.preprocessing.resampling import Resampling

LABELS = LabelScheme.from_description({"background": 0, "a": 1, "b": 2})


def run(plans: Plans, array: np.ndarray, classes: np.ndarray | None, spacing=(1.0, 1.0, 1.0)) -> PreprocessedCase:
    (configuration,) = plans.configurations.values()
    geometry = Geometry(array.shape[1:], spacing)
    return Preprocessor(plans, configuration, LABELS)(Image(array, geometry), classes)


def framed() -> tuple[np.ndarray, np.ndarray]:
    """Values 1 to 27 in a frame of zeros, with a closed cavity of value 0 in the middle and a label in a corner outside."""
    array = np.zeros((1, 5, 6, 7), np.float32)
    array[0, 1:4, 1:4, 1:4] = np.arange(1, 28).reshape(3, 3, 3)
    array[0, 2, 2, 2] = 0
    array[0, 1, 1, 3] = 0
    classes = np.zeros((1, 5, 6, 7), np.int8)
    classes[0, 1, 1, 1] = 1
    return array, classes


def test_the_border_of_zeros_is_cropped_and_the_box_remembered() -> None:
    case = run(plans_for((1, 1, 1)), *framed())
    assert case.image.shape == (1, 3, 3, 3)
    assert case.properties.crop_begin == (1, 1, 1)
    assert case.properties.crop_end == (4, 4, 4)
    assert case.properties.shape == (5, 6, 7)


def test_background_outside_the_filled_region_is_minus_one_and_a_closed_cavity_is_not() -> None:
    case = run(plans_for((1, 1, 1)), *framed())
    assert case.classes[0, 0, 0, 2] == -1  # an open corner
    assert case.classes[0, 1, 1, 1] == 0  # the cavity
    assert case.classes[0, 0, 0, 0] == 1


def test_a_label_outside_the_region_stays_a_label() -> None:
    array, classes = framed()
    classes[0, 1, 1, 3] = 2
    assert run(plans_for((1, 1, 1)), array, classes).classes[0, 0, 0, 2] == 2


def test_an_all_zero_case_stays_whole() -> None:
    case = run(plans_for((1, 1, 1)), np.zeros((1, 3, 4, 5), np.float32), np.zeros((1, 3, 4, 5), np.int8))
    assert case.image.shape == (1, 3, 4, 5)
    assert (case.classes == -1).all()
    assert case.locations == {}


def test_axes_are_transposed_before_everything() -> None:
    array, classes = framed()
    case = run(plans_for((1, 1, 1), order=(2, 0, 1)), array, classes)
    straight = run(plans_for((1, 1, 1)), array, classes)
    np.testing.assert_array_equal(case.image, straight.image.transpose(0, 3, 1, 2))
    assert case.properties.shape == (7, 5, 6)
    assert case.properties.geometry.shape == (5, 6, 7)


def test_the_new_shape_follows_from_the_spacing() -> None:
    array = np.random.default_rng(0).random((1, 4, 6, 8), np.float32) + 1
    case = run(plans_for((2, 1, 1)), array, np.ones((1, 4, 6, 8), np.int8), spacing=(1.0, 1.0, 0.5))
    assert case.image.shape == (1, 2, 6, 4)
    assert case.properties.new_shape == (2, 6, 4)


def test_a_2d_configuration_leaves_the_slice_axis() -> None:
    array = np.random.default_rng(0).random((1, 4, 6, 8), np.float32) + 1
    case = run(plans_for((2, 2)), array, None, spacing=(5.0, 1.0, 1.0))
    assert case.image.shape == (1, 4, 3, 4)


def test_the_masked_rule_leaves_the_outside_untouched() -> None:
    case = run(plans_for((1, 1, 1), mask=True), *framed())
    assert case.image[0, 0, 0, 2] == 0
    inside = case.image[case.classes >= 0]
    assert abs(inside.mean()) < 1e-6
    assert abs(inside.std() - 1) < 1e-5


def test_with_an_ignore_label_there_is_a_list_of_annotated_voxels() -> None:
    labels = LabelScheme.from_description({"background": 0, "a": 1, "ignore": 2})
    classes = np.zeros((1, 4, 5, 6), np.int8)
    classes[0, :2] = 2
    classes[0, 3, 0, 0] = 1
    locations = draw_locations(classes[0], labels)
    assert set(locations) == {"1", "annotated"}
    assert sorted(map(tuple, locations["annotated"])) == sorted(map(tuple, np.argwhere(classes[0] != 2)))


def test_locations_point_at_their_structure_and_are_the_same_each_time() -> None:
    array = np.ones((1, 30, 30, 30), np.float32)
    classes = np.zeros((1, 30, 30, 30), np.int8)
    classes[0, 10:20, 10:20, 10:25] = 1
    classes[0, 1, 1, 1] = 2
    first, second = (run(plans_for((1, 1, 1)), array, classes) for _ in range(2))
    assert first.locations["1"].shape == (1500, 3)
    assert len(np.unique(first.locations["1"], axis=0)) == 1500
    assert (classes[0][tuple(first.locations["1"].T)] == 1).all()
    assert first.locations["2"].tolist() == [[1, 1, 1]]
    np.testing.assert_array_equal(first.locations["1"], second.locations["1"])


def with_(**changes: object) -> Plans:
    plans = plans_for((1, 1, 1))
    (name, configuration), *_ = plans.configurations.items()
    return plans.model_copy(update={"configurations": {name: configuration.model_copy(update=changes)}})


def test_images_may_be_stored_with_16_bits() -> None:
    array, classes = framed()
    full, half = run(with_(), array, classes), run(with_(dtype="float16"), array, classes)
    assert half.image.dtype == np.float16
    np.testing.assert_array_equal(half.image, full.image.astype(np.float16))


def test_what_16_bits_cannot_hold_is_refused() -> None:
    array = np.full((1, 3, 4, 5), 70000, np.float32)
    plans = with_(dtype="float16", normalization=(NormalizationSpec(name="none"),))
    with pytest.raises(SegForgeError, match=r"values above 65504 after normalization, which float16 cannot hold"):
        run(plans, array, None)


def test_linear_and_no_resampling() -> None:
    array, classes = np.arange(60, dtype=np.float32).reshape(1, 3, 4, 5) + 1, np.zeros((1, 3, 4, 5), np.int8)
    spacing = (2.0, 1.0, 1.0)
    spline, linear = (
        run(
            with_(resampling=ResamplingSpec(image_order=order), normalization=(NormalizationSpec(name="none"),)),
            array,
            classes,
            spacing,
        )
        for order in (3, 1)
    )
    assert spline.image.shape == linear.image.shape == (1, 6, 4, 5)
    np.testing.assert_allclose(
        linear.image[0, :, 0, 0], np.interp((np.arange(6) + 0.5) / 2 - 0.5, range(3), [1, 21, 41]), rtol=1e-6
    )
    assert np.abs(spline.image - linear.image).max() > 0.1
    own = run(with_(resampling=ResamplingSpec(method="none")), array, classes, spacing)
    assert own.image.shape == array.shape


def test_a_resampling_of_a_plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    class Zeros(Resampling):
        def image(self, channels: np.ndarray, order: int) -> np.ndarray:
            return np.zeros((len(channels), *self.new_shape), np.float32)

    point = SimpleNamespace(name="zeros", value="here", load=lambda: Zeros)
    monkeypatch.setattr("segforge.plugins.entry_points", lambda group: [point] if group == "segforge.resamplings" else [])
    array, classes = np.ones((1, 3, 4, 5), np.float32), np.zeros((1, 3, 4, 5), np.int8)
    plans = with_(resampling=ResamplingSpec(method="zeros"), normalization=(NormalizationSpec(name="none"),))
    case = run(plans, array, classes, (2.0, 1.0, 1.0))
    assert case.image.shape == (1, 6, 4, 5)
    assert not case.image.any()
    with pytest.raises(SegForgeError, match=r"zeross is not among the resamplings here\. Did you mean zeros\?"):
        run(with_(resampling=ResamplingSpec(method="zeross")), array, classes)
