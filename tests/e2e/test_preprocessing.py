"""Preprocessing by itself, and what may be removed, from the command line."""

import shutil
from pathlib import Path

import pytest

DATA = Path("preprocessed/Dataset900_Phantom/default_3d_fullres")


@pytest.fixture
def workspace(planned: Path, tmp_path: Path) -> Path:
    shutil.copytree(planned, tmp_path / "w")
    return tmp_path / "w"


def files(workspace: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (workspace / DATA).iterdir() if path.suffix != ".json"}


def test_what_clean_removes_preprocess_makes_again(workspace: Path, segforge) -> None:
    before = files(workspace)
    shown = segforge("clean -d 900", workspace)
    assert "default_3d_fullres" in shown.stdout
    assert "segforge preprocess -d 900 -c 3d_fullres -p default" in shown.stdout
    assert files(workspace) == before
    segforge("clean -d 900 --remove", workspace)
    assert not (workspace / DATA).exists()
    assert (workspace / "preprocessed/Dataset900_Phantom/plans/default.json").is_file()
    assert (workspace / "preprocessed/Dataset900_Phantom/splits_final.json").is_file()
    assert "nothing that could be made again" in segforge("clean -d 900", workspace).stdout
    made = segforge("preprocess -d 900 -c 3d_fullres -np 0 --max-memory 2", workspace)
    assert "Preprocessed 6 cases for 3d_fullres." in made.stdout
    assert files(workspace) == before
    assert "Preprocessed 0 cases" in segforge("preprocess -d 900 -c 3d_fullres", workspace).stdout


def test_nothing_is_removed_that_could_not_be_made_again(workspace: Path, segforge) -> None:
    (workspace / "raw/Dataset900_Phantom").rename(workspace / "elsewhere")
    done = segforge("clean -d 900 --remove", workspace, status=2)
    assert "raw data of Dataset900_Phantom are in none of" in done.stderr
    assert files(workspace)


def test_verify_finds_what_size_and_time_do_not_tell(workspace: Path, segforge) -> None:
    before, path = files(workspace), sorted((workspace / DATA).glob("*_seg.npy"))[0]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "Preprocessed 0 cases" in segforge("preprocess -d 900", workspace).stdout
    assert "Preprocessed 1 case" in segforge("preprocess -d 900 --verify", workspace).stdout
    assert files(workspace) == before


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("preprocess -d 900 -p none", "has no plans none (there are: default)"),
        ("preprocess -d 900 -c 4d", "Did you mean"),
        ("preprocess -d 900 --max-memory much", "much is no amount of memory"),
        ("plan -d 900 --resampling cubic --name c", "cubic is not among the resamplings here"),
        ("plan -d 900 --planner nnUNetPlannerResEncL_noResampling", "--planner resenc-l --resampling none"),
    ],
)
def test_wrong_words_are_answered(workspace: Path, segforge, command: str, message: str) -> None:
    assert message in segforge(command, workspace, status=2).stderr
