import numpy as np
import pytest

from segforge.errors import SegForgeError
from segforge.planning.fingerprint import IntensityProperties
from segforge.preprocessing.normalization import NORMALIZATIONS, find_normalization

FACTS = IntensityProperties(max=9, mean=2.0, median=2, min=-9, percentile_00_5=-1.0, percentile_99_5=5.0, std=4.0)
CHANNEL = np.array([[[-3.0, 0.0, 2.0, 9.0]]], np.float32)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ct", [-0.75, -0.5, 0.0, 0.75]),
        ("none", [-3, 0, 2, 9]),
        ("zscore", [-5 / np.sqrt(19.5), -2 / np.sqrt(19.5), 0, 7 / np.sqrt(19.5)]),
        ("rescale_to_0_1", [0, 0.25, 5 / 12, 1]),
    ],
)
def test_values_by_hand(name: str, expected: list[float]) -> None:
    result = find_normalization(name)(CHANNEL.copy(), None, FACTS)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.ravel(), expected, rtol=1e-6)


def test_with_a_mask_only_its_inside_is_normalized() -> None:
    mask = np.array([[[False, True, True, False]]])
    result = find_normalization("zscore")(CHANNEL.copy(), mask, FACTS)
    np.testing.assert_allclose(result.ravel(), [-3, -1, 1, 9], rtol=1e-6)


def test_a_constant_image_stays_finite() -> None:
    for name in NORMALIZATIONS:
        assert np.isfinite(find_normalization(name)(np.full((1, 2, 2), 7, np.float32), None, FACTS)).all()


def test_colours_beyond_255_are_refused() -> None:
    normalize = find_normalization("rgb_to_0_1")
    np.testing.assert_allclose(normalize(np.array([[[51.0]]], np.float32), None, FACTS), 0.2)
    for value in (-1.0, 256.0):
        with pytest.raises(SegForgeError, match="needs 0 to 255"):
            normalize(np.array([[[value]]], np.float32), None, FACTS)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(SegForgeError, match="Did you mean zscore"):
        find_normalization("z-score")
