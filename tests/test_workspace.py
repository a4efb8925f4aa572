from pathlib import Path

import pytest

from segforge.errors import SegForgeError
from segforge.workspace import find_workspace


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("SEGFORGE_WORKSPACE", "nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def make(tmp_path: Path, *folders: str) -> None:
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)


def test_the_argument_goes_before_the_environment_and_that_before_the_current_folder(tmp_path: Path, monkeypatch) -> None:
    make(tmp_path, "raw", "a/raw", "b/raw")
    assert find_workspace().root == tmp_path
    monkeypatch.setenv("SEGFORGE_WORKSPACE", str(tmp_path / "b"))
    assert find_workspace().root == tmp_path / "b"
    assert find_workspace(tmp_path / "a").root == tmp_path / "a"


def test_without_a_workspace_the_error_says_how_to_make_one() -> None:
    with pytest.raises(SegForgeError, match=r"no folder raw/.*--workspace or SEGFORGE_WORKSPACE"):
        find_workspace()


def test_a_workspace_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SegForgeError, match="does not exist"):
        find_workspace(tmp_path / "nowhere")


@pytest.mark.parametrize("word", ["4", "004", "Hippocampus", "Dataset004_Hippocampus"])
def test_a_data_set_is_found_by_number_and_name(tmp_path: Path, word: str) -> None:
    make(tmp_path, "raw/Dataset004_Hippocampus", "raw/Dataset014_Other", "raw/notes")
    assert find_workspace().dataset_name(word) == "Dataset004_Hippocampus"


def test_an_unknown_data_set_is_an_error_that_lists_what_there_is(tmp_path: Path) -> None:
    make(tmp_path, "raw/Dataset004_Hippocampus")
    with pytest.raises(SegForgeError, match=r"No data set 5 .*There are: Dataset004_Hippocampus"):
        find_workspace().dataset_name("5")


def test_one_number_with_two_names_is_an_error_that_names_both(tmp_path: Path) -> None:
    make(tmp_path, "raw/Dataset004_A", "raw/Dataset004_B")
    with pytest.raises(SegForgeError, match=r"Dataset004_A or Dataset004_B"):
        find_workspace().dataset_name("4")


def test_nnunets_raw_folder_is_a_further_place(tmp_path: Path, monkeypatch) -> None:
    make(tmp_path, "raw", "theirs/Dataset004_A")
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "theirs"))
    workspace = find_workspace()
    assert workspace.raw_folder(workspace.dataset_name("4")) == tmp_path / "theirs" / "Dataset004_A"


def test_nnunets_other_folders_are_further_places_too(tmp_path: Path, monkeypatch) -> None:
    make(tmp_path, "raw", "results/Dataset004_A", "theirs/Dataset005_B", "folds/Dataset006_C")
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "theirs"))
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "folds"))
    workspace = find_workspace()
    assert workspace.dataset_names() == ["Dataset004_A", "Dataset005_B"]
    assert (workspace.more_results, workspace.more_preprocessed) == (tmp_path / "theirs", tmp_path / "folds")


def test_one_data_set_in_two_places_is_an_error_that_names_both(tmp_path: Path, monkeypatch) -> None:
    make(tmp_path, "raw/Dataset004_A", "theirs/Dataset004_A")
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "theirs"))
    with pytest.raises(SegForgeError, match=r"two places: .*raw/Dataset004_A and .*theirs/Dataset004_A"):
        find_workspace().raw_folder("Dataset004_A")


def test_trained_data_sets_are_known_without_their_raw_data(tmp_path: Path) -> None:
    make(tmp_path, "raw", "results/Dataset004_A")
    assert find_workspace().dataset_name("4") == "Dataset004_A"
    with pytest.raises(SegForgeError, match="are in none of"):
        find_workspace().raw_folder("Dataset004_A")


@pytest.mark.parametrize(
    "other", ["raw/Dataset004_A", "preprocessed/Dataset004_A", "results/Dataset0004_A", "theirs/Dataset004_B"]
)
def test_a_new_data_set_needs_a_number_of_its_own(tmp_path: Path, monkeypatch, other: str) -> None:
    make(tmp_path, "raw", "theirs", other)
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "theirs"))
    with pytest.raises(SegForgeError, match=r"The number 4 belongs to .*Dataset0+4_[AB]"):
        find_workspace().new_raw_folder(4, "B")
    assert find_workspace().new_raw_folder(14, "B") == tmp_path / "raw" / "Dataset014_B"


def test_a_new_data_set_may_be_there_half_made(tmp_path: Path) -> None:
    make(tmp_path, "raw/Dataset004_A", "results/Dataset004_A")
    assert find_workspace().new_raw_folder(4, "A") == tmp_path / "raw" / "Dataset004_A"
    with pytest.raises(SegForgeError, match="cannot be part of a folder name"):
        find_workspace().new_raw_folder(5, "../A")
