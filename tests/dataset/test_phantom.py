from pathlib import Path

import numpy as np

from segforge.dataset.cases import open_dataset
from segforge.dataset.phantom import best_threshold_dice, phantom_case, write_phantom
from segforge.images.files import read_image


def test_no_single_threshold_finds_a_structure() -> None:
    cases = [phantom_case(np.random.default_rng((0, index))) for index in range(20)]
    assert best_threshold_dice(cases, 1) <= 0.6
    assert best_threshold_dice(cases, 2) <= 0.6


def test_the_best_threshold_is_that_of_a_plain_search() -> None:
    case = phantom_case(np.random.default_rng(1))
    image, truth = case.image, case.labels == 1
    dice = [2 * ((image >= t) & truth).sum() / ((image >= t).sum() + truth.sum()) for t in range(0, 300)]
    assert abs(best_threshold_dice([case], 1) - max(dice)) < 0.01


def test_every_case_has_both_structures_and_its_own_spacing() -> None:
    cases = [phantom_case(np.random.default_rng((0, index))) for index in range(20)]
    assert all(set(np.unique(case.labels)) == {0, 1, 2} for case in cases)
    assert len({case.geometry.spacing for case in cases}) == 20


def test_the_data_set_opens_and_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_phantom(tmp_path / name, training=2, testing=1)
    dataset = open_dataset(tmp_path / "a")
    assert [case.id for case in dataset.cases] == ["phantom_000", "phantom_001"]
    for path in (tmp_path / "a").rglob("*.nii.gz"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
    np.testing.assert_array_equal(
        read_image(dataset.cases[0].images[0]).geometry.shape, read_image(dataset.cases[0].label).geometry.shape
    )
