import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from segforge.compute.executors import Resources, inline
from segforge.dataset.cases import Case
from segforge.dataset.grouping import find_leaks, groups_by_pattern, groups_from_table, make_grouped_splits, read_groups
from segforge.dataset.labels import LabelScheme
from segforge.dataset.splits import Fold, Splits
from segforge.dataset.strata import LabelContent, make_strata, read_contents
from segforge.errors import CasesFailed, SegForgeError
from segforge.images.files import write_volume
from segforge.images.image import Geometry

CASES = [f"site{site}_p{patient:02d}_{scan}" for site in range(2) for patient in range(7) for scan in "ab"]


def patient_of(case: str) -> str:
    return case.rsplit("_", 1)[0]


def by_patient() -> dict[str, str]:
    return {case: patient_of(case) for case in CASES}


def test_the_first_parentheses_make_the_group_else_the_whole_match() -> None:
    assert groups_by_pattern(r"_(p\d+)_", ["site0_p01_a", "x_p02_b"]) == {"site0_p01_a": "p01", "x_p02_b": "p02"}
    assert groups_by_pattern(r"site\d", ["site0_p01_a"]) == {"site0_p01_a": "site0"}


def test_cases_without_a_match_are_named_up_to_ten() -> None:
    cases = [f"c{number:02d}" for number in range(12)]
    with pytest.raises(SegForgeError, match=r"finds no group in c00, c01, .*, c09 and 2 more\. "):
        groups_by_pattern(r"site\d", cases)
    with pytest.raises(SegForgeError, match="finds no group in c00"):
        groups_by_pattern(r"\d*?", cases)  # matches, but nothing
    with pytest.raises(SegForgeError, match="finds no group in c00"):
        groups_by_pattern(r"(site)?c", cases)  # the parentheses take no part


def test_a_wrong_expression_says_what_is_wrong() -> None:
    with pytest.raises(SegForgeError, match=r"--group-by \(p is neither a \.csv file nor a regular expression: missing \)"):
        read_groups("(p", ["p1"])


@pytest.mark.parametrize(
    "text",
    [
        "case,group\na,1\nb,2\n",
        "\ufeffcase;group\r\na;1\r\nb;2\r\n",
        "group\tage\tcase\n1\t40\ta\n2\t50\tb\n\n",
        '"Case", "Group"\n"a","1"\n"b","2"\n',
    ],
)
def test_a_table_may_have_commas_semicolons_tabs_and_more_columns(tmp_path: Path, text: str) -> None:
    (tmp_path / "g.csv").write_text(text, encoding="utf-8", newline="")
    assert read_groups(str(tmp_path / "g.csv"), ["a", "b"]) == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,group\na,1\n", r"g\.csv has no row for b\."),
        ("case,group\na,1\nb,2\nc,3\n", r"g\.csv names what is no case of the data set: c\."),
        ("case,group\na,1\nb,2\na,2\n", r"g\.csv has more than one row for a\."),
        ("case,group\na,1\nb\n", r"g\.csv has a row without a group for b\."),
        ("case,patient\na,1\nb,2\n", r"g\.csv has no column group; its first line must be: case,group"),
        ("", r"g\.csv has no column case and no column group"),
    ],
)
def test_a_wrong_table_is_refused_with_the_cases(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "g.csv").write_text(text)
    with pytest.raises(SegForgeError, match=message):
        groups_from_table(tmp_path / "g.csv", ["a", "b"])


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(SegForgeError, match=r"nowhere\.csv is missing, which --group-by names"):
        read_groups(str(tmp_path / "nowhere.csv"), ["a"])


def test_a_table_in_another_encoding_is_refused_with_the_one_to_save_it_in(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("case,group\na,Köln\n".encode("latin-1"))
    with pytest.raises(SegForgeError, match=r"latin\.csv is no text in UTF-8\. Save it as CSV in UTF-8\."):
        read_groups(str(tmp_path / "latin.csv"), ["a"])


def test_rows_that_a_spreadsheet_left_empty_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "g.csv").write_text("Case,Group,\na,1,\n,,\nb,2,\n")
    assert read_groups(str(tmp_path / "g.csv"), ["a", "b"]) == {"a": "1", "b": "2"}


def test_grouped_folds_are_those_of_scikit_learn_and_do_not_leak() -> None:
    splits = make_grouped_splits(CASES[::-1], 5, groups=by_patient())
    expected = GroupKFold(5, shuffle=True, random_state=12345).split(CASES, groups=[patient_of(case) for case in CASES])
    for fold, (train, val) in zip(splits, expected, strict=True):
        assert list(fold.train) == [CASES[index] for index in train]
        assert list(fold.val) == [CASES[index] for index in val]
    assert find_leaks(splits, by_patient()) == []


def test_stratified_folds_are_those_of_scikit_learn() -> None:
    strata = {case: number % 2 for number, case in enumerate(CASES)}
    splits = make_grouped_splits(CASES, 4, groups=by_patient(), strata=strata)
    splitter = StratifiedGroupKFold(4, shuffle=True, random_state=12345)
    expected = splitter.split(CASES, list(strata.values()), [patient_of(case) for case in CASES])
    assert [list(fold.val) for fold in splits] == [[CASES[index] for index in val] for _, val in expected]


def test_without_groups_each_stratum_is_spread_evenly() -> None:
    strata = {case: int(case.startswith("site0")) + int(case.endswith("b")) * 2 for case in CASES}
    splits = make_grouped_splits(CASES, 7, strata=strata)
    for fold in splits:
        assert sorted(strata[case] for case in fold.val) == [0, 1, 2, 3]


@given(st.lists(st.integers(0, 5), min_size=2, max_size=20), st.integers(2, 6), st.booleans())
def test_every_case_is_validated_once_and_no_group_is_on_both_sides(numbers: list[int], folds: int, stratify: bool) -> None:
    cases = [f"c{index:02d}" for index in range(len(numbers))]
    groups = {case: f"g{number}" for case, number in zip(cases, numbers, strict=True)}
    contents = {case: LabelContent(frozenset({number % 2}), number) for case, number in zip(cases, numbers, strict=True)}
    strata = make_strata(contents, folds) if stratify else None
    if len(set(numbers)) == 1:
        with pytest.raises(SegForgeError, match="are in the group"):
            make_grouped_splits(cases, folds, groups=groups, strata=strata)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = make_grouped_splits(cases, folds, groups=groups, strata=strata)
    assert len(splits) == min(folds, len(set(numbers)))
    assert sorted(case for fold in splits for case in fold.val) == cases
    assert all(set(fold.train) == set(cases) - set(fold.val) and fold.val for fold in splits)
    assert find_leaks(splits, groups) == []


def test_fewer_groups_than_folds_give_fewer_folds_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    splits = make_grouped_splits(CASES, 5, groups={case: case[:5] for case in CASES})
    assert len(splits) == 2
    assert "Only 2 groups: 2 folds instead of 5." in caplog.text


def test_one_group_cannot_be_divided() -> None:
    with pytest.raises(SegForgeError, match="All 28 cases are in the group all, which cannot be divided"):
        make_grouped_splits(CASES, 5, groups=dict.fromkeys(CASES, "all"))
    with pytest.raises(SegForgeError, match="at least 2 folds, not 1"):
        make_grouped_splits(CASES, 1, groups=by_patient())


def test_a_leak_names_fold_group_and_cases() -> None:
    splits = Splits((Fold(train=("a1", "b1"), val=("c1",)), Fold(train=("a1", "c1"), val=("a2", "b1"))))
    (leak,) = find_leaks(splits, {"a1": "a", "a2": "a", "b1": "b", "c1": "c"})
    assert (leak.fold, leak.group, leak.train, leak.val) == (1, "a", ("a1",), ("a2",))


def contents_of(*sets: tuple[set[int], int]) -> dict[str, LabelContent]:
    held = [classes for classes, count in sets for _ in range(count)]
    return {f"c{number:02d}": LabelContent(frozenset(classes), float(number)) for number, classes in enumerate(held)}


def test_cases_with_the_same_labels_are_divided_into_terciles_of_volume() -> None:
    contents = contents_of(({1}, 15), ({1, 2}, 10))
    strata = make_strata(contents, 5)
    groups = [[case for case in contents if strata[case] == stratum] for stratum in sorted(set(strata.values()))]
    assert [len(group) for group in groups] == [5, 5, 5, 5, 5]
    for below, above in pairwise(groups[:3]):
        assert max(contents[case].volume for case in below) < min(contents[case].volume for case in above)


def test_rare_sets_of_labels_join_the_set_that_is_most_like_them() -> None:
    contents = contents_of(({1}, 6), ({1, 2, 3}, 6), ({1, 2}, 1), ({2, 3}, 1), (set(), 1))
    strata = make_strata(contents, 5)
    alike = {case: stratum for case, stratum in strata.items() if contents[case].classes in ({1}, {1, 2, 3})}
    one, three = alike["c00"], alike["c06"]
    assert one != three
    assert strata["c13"] == three  # {2, 3} lacks one label of {1, 2, 3}
    assert strata["c14"] == one  # nothing lacks one label of {1}
    assert len(set(strata.values())) == 2


def test_a_split_that_leaves_a_fold_empty_is_replaced(monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    def unlucky(self, cases, strata, groups):
        everything = np.arange(len(cases))
        yield everything[:0], everything
        yield everything, everything[:0]

    monkeypatch.setattr(StratifiedGroupKFold, "split", unlucky)
    splits = make_grouped_splits(CASES, 2, groups=by_patient(), strata=dict.fromkeys(CASES, 0))
    assert splits == make_grouped_splits(CASES, 2, groups=by_patient())
    assert "divided by groups alone" in caplog.text


def test_label_maps_are_read_for_their_labels_and_volume(tmp_path: Path) -> None:
    scheme = LabelScheme.from_description({"background": 0, "organ": 5, "lesion": 9, "ignore": 20})
    array = np.zeros((3, 4, 5), np.uint8)
    array[0, 0, :3] = 9
    array[1] = 20
    write_volume(tmp_path / "a.nii.gz", array, Geometry((3, 4, 5), (2.0, 0.5, 0.5)))
    write_volume(tmp_path / "b.nii.gz", array + 1, Geometry((3, 4, 5), (2.0, 0.5, 0.5)))
    contents = read_contents([Case("a", (), tmp_path / "a.nii.gz")], scheme, inline, Resources())
    assert contents == {"a": LabelContent(frozenset({2}), 3 * 0.5)}
    with pytest.raises(CasesFailed, match=r"b: .*b\.nii\.gz holds the label value 1, 10, 21, which is not in dataset\.json"):
        read_contents([Case("b", (), tmp_path / "b.nii.gz")], scheme, inline, Resources())
