import math

import pytest

from segforge.evaluation.paired_test import paired_test


def test_all_differences_in_one_direction_are_as_likely_as_that_many_coins() -> None:
    first = [0.5 + 0.01 * n for n in range(1, 8)]
    result = paired_test(first, [0.5] * 7)
    assert (result.cases, result.differing) == (7, 7)
    assert result.p == pytest.approx(2 / 2**7)
    assert paired_test([0.5] * 7, first).p == result.p


def test_of_fewer_than_six_differing_cases_nothing_is_said() -> None:
    result = paired_test([0.6] * 5 + [0.5] * 20, [0.5] * 25)
    assert (result.cases, result.differing) == (25, 5)
    assert math.isnan(result.p)
    assert not math.isnan(paired_test([0.6] * 6, [0.5] * 6).p)


def test_cases_without_a_score_do_not_count() -> None:
    assert paired_test([0.5, math.nan, 0.7], [0.4, 0.3, math.nan]).cases == 1
