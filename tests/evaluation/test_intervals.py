import numpy as np
import pytest
from scipy.stats import bootstrap

from segforge.evaluation.intervals import RESAMPLES, percentile_interval, resampled_means


def interval(scores: list[float] | np.ndarray) -> tuple[float, float]:
    low, high = percentile_interval(resampled_means(np.array(scores, float)))
    return float(low), float(high)


def test_the_interval_equals_scipys_percentile_bootstrap() -> None:
    scores = np.random.default_rng(3).beta(8, 2, 40)
    expected = bootstrap((scores,), np.mean, n_resamples=20000, method="percentile", rng=0).confidence_interval
    width = expected.high - expected.low
    assert interval(scores) == pytest.approx(tuple(expected), abs=0.05 * width)


def test_the_same_scores_always_have_the_same_interval() -> None:
    scores = np.random.default_rng(0).random(15)
    assert interval(scores) == interval(scores)
    low, high = interval(scores)
    assert low < scores.mean() < high


def test_cases_without_a_score_do_not_count() -> None:
    scores = np.random.default_rng(0).random(30)
    gaps = np.where(np.arange(30) % 3 == 0, np.nan, scores)
    means = resampled_means(gaps)
    assert np.nanmean(means) == pytest.approx(np.nanmean(gaps), abs=0.01)
    low, high = interval(gaps)
    only_known = interval(scores[np.arange(30) % 3 != 0])
    assert (low, high) == pytest.approx(only_known, abs=0.03)
    assert np.isnan(interval([np.nan, np.nan])).all()


def test_a_score_that_is_rare_still_has_an_interval() -> None:
    assert interval([np.nan] * 9 + [0.5]) == (0.5, 0.5)


def test_one_case_has_the_interval_of_its_score() -> None:
    assert interval([0.25]) == (0.25, 0.25)


def test_an_infinite_score_makes_the_means_infinite_that_it_is_drawn_for() -> None:
    scores = [1.0] * 9 + [np.inf]
    means = resampled_means(np.array(scores))
    assert np.isinf(means).mean() == pytest.approx(1 - 0.9**10, abs=0.03)
    assert interval(scores) == (1.0, np.inf)


def test_all_columns_are_drawn_alike() -> None:
    scores = np.random.default_rng(0).random((20, 3, 2))
    means = resampled_means(scores)
    assert means.shape == (RESAMPLES, 3, 2)
    np.testing.assert_allclose(means[:, 1, 1], resampled_means(scores[:, 1, 1]))
