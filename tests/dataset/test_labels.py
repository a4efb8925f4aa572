import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segforge.dataset.labels import LabelScheme
from segforge.errors import SegForgeError

PLAIN = LabelScheme.from_description({"background": 0, "vessel": 255, "tumour": 7})
REGIONS = LabelScheme.from_description({"background": 0, "whole": (1, 2), "core": (2,)}, (1, 2))


def test_stored_values_become_consecutive_classes_in_their_order() -> None:
    assert PLAIN.stored_values == (0, 7, 255)
    assert [target.name for target in PLAIN.targets] == ["tumour", "vessel"]
    np.testing.assert_array_equal(PLAIN.to_classes(np.array([0, 255, 7])), [0, 2, 1])


@given(st.sets(st.integers(-32768, 2**31 - 1).filter(bool), min_size=1, max_size=200))
def test_stored_values_come_back_as_they_were_in_the_smallest_type(values: set[int]) -> None:
    scheme = LabelScheme.from_description({"background": 0} | {f"label {value}": value for value in values})
    stored = np.array([0, *values])
    back = scheme.to_stored(scheme.to_classes(stored))
    np.testing.assert_array_equal(back, stored)
    bits = max(value.bit_length() if value >= 0 else (~value).bit_length() for value in values) + (min(values) < 0)
    assert back.dtype.itemsize == next(size for size in (1, 2, 4) if 8 * size >= bits)


def test_0_and_255_stay_8_bit() -> None:
    assert LabelScheme.from_description({"background": 0, "vessel": 255}).to_stored(np.array([0, 1])).dtype == np.uint8


def test_unknown_values_are_named() -> None:
    with pytest.raises(SegForgeError, match=r"the label value 3, 8, which is not in dataset\.json \(it has 0, 7, 255\)"):
        PLAIN.to_classes(np.array([0, 3, 7, 8]))


def test_more_than_127_classes_need_16_bits() -> None:
    scheme = LabelScheme.from_description({"background": 0} | {f"l{i}": i for i in range(1, 201)})
    classes = scheme.to_classes(np.arange(201))
    assert classes.dtype == np.int16
    assert classes.max() == 200


def test_the_ignore_label_is_the_class_after_the_last_and_has_no_head() -> None:
    scheme = LabelScheme.from_description({"background": 0, "a": 1, "ignore": 2})
    assert (scheme.classes, scheme.heads, scheme.ignore_class) == (2, 2, 2)
    np.testing.assert_array_equal(scheme.to_classes(np.array([0, 1, 2])), [0, 1, 2])


def test_regions_have_a_head_each_and_keys_as_nnunet_writes_them() -> None:
    assert REGIONS.heads == 2
    assert [(target.key, target.classes) for target in REGIONS.targets] == [("(1, 2)", (1, 2)), ("(2,)", (2,))]


def test_logits_of_classes_become_the_largest() -> None:
    logits = np.array([[[0.1, 2.0]], [[0.2, 0.0]], [[0.0, 0.0]]])
    np.testing.assert_array_equal(PLAIN.classes_from_logits(logits), [[1, 0]])


def test_logits_of_regions_are_written_in_order_later_over_earlier() -> None:
    logits = np.array([[1.0, 1.0, -1.0, -1.0], [-1.0, 1.0, 1.0, -1.0]])
    np.testing.assert_array_equal(REGIONS.classes_from_logits(logits), [1, 2, 2, 0])


@pytest.mark.parametrize(
    ("labels", "order", "message"),
    [
        ({"liver": 1}, None, '"background": 0'),
        ({"background": 1, "a": 2}, None, '"background": 0'),
        ({"background": 0}, None, "at least one label"),
        ({"background": 0, "a": 1, "b": 1}, None, "different values"),
        ({"background": 0, "a": 0}, None, "value 0 is the background"),
        ({"background": 0, "a": 1, "ignore": 1}, None, "above all others"),
        ({"background": 0, "a": (1, 2), "b": 2}, None, "regions_class_order"),
        ({"background": 0, "a": (1, 2), "b": 2}, (1,), "regions_class_order"),
        ({"background": 0, "a": (1, 2), "b": 2}, (1, 9), "holds 9, which no region contains"),
        ({"background": 0, "a": ()}, None, "region a is empty"),
    ],
)
def test_contradictions_are_refused(labels, order, message: str) -> None:
    with pytest.raises(SegForgeError, match=message):
        LabelScheme.from_description(labels, order)
