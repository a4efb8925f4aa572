"""`segforge plot`: what it draws, where, and how it ends."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from e2e_environment import environment
from PIL import Image as Picture

from segforge.api.planning import Work, plan
from segforge.cli.main import main
from segforge.dataset.phantom import write_phantom
from segforge.networks.model_folder import FINAL
from segforge.planning.settings import PlannerSettings

NAME = "Dataset900_Phantom"


@pytest.fixture(scope="module")
def preprocessed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a preprocessed phantom data set. Copy it before writing."""
    folder = tmp_path_factory.mktemp("workspace")
    write_phantom(folder / "raw" / NAME, training=7, testing=2)
    plan(900, settings=PlannerSettings(features=2), work=Work(workers=0), workspace=folder)
    return folder


@pytest.fixture
def workspace(preprocessed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(preprocessed, tmp_path / "workspace"))


@pytest.fixture
def model(workspace: Path) -> Path:
    """A model whose held-out cases were predicted as they are, in two folds."""
    folder = workspace / "results" / NAME / "default__default__3d_fullres"
    for fold, cases in enumerate((["phantom_000", "phantom_001"], ["phantom_002"])):
        (folder / f"fold_{fold}" / "validation").mkdir(parents=True)
        (folder / f"fold_{fold}" / FINAL).write_bytes(b"")
        (folder / f"fold_{fold}" / "cases.json").write_text(json.dumps({"train": [], "val": cases}))
        for case in cases:
            shutil.copy(workspace / "raw" / NAME / "labelsTr" / f"{case}.nii.gz", folder / f"fold_{fold}" / "validation")
    return folder


def plot(words: str, workspace: Path, status: int = 0) -> set[str]:
    """Run the verb; all pictures in the workspace, in the raw data none."""
    assert main(["plot", "-d", "900", *words.split(), "-np", "0", "--workspace", str(workspace)]) == status
    assert not list((workspace / "raw").rglob("*.png"))
    found = {path.relative_to(workspace).as_posix() for path in workspace.rglob("*.png")}
    for path in found:
        assert np.asarray(Picture.open(workspace / path)).std() > 1
    return found


def test_a_handful_of_cases_of_all_sizes_is_drawn(workspace: Path) -> None:
    found = plot("", workspace)
    assert len(found) == 5
    sizes = {}
    for path in sorted((workspace / "raw" / NAME / "imagesTr").iterdir()):
        case = path.name.removesuffix("_0000.nii.gz")
        sizes[case] = path.stat().st_size + (workspace / "raw" / NAME / "labelsTr" / f"{case}.nii.gz").stat().st_size
    for case in (min(sizes, key=sizes.get), max(sizes, key=sizes.get)):
        assert f"results/{NAME}/figures/raw/{case}.png" in found
    assert len(plot("--all", workspace)) == 7


def test_named_cases_go_to_a_named_folder(workspace: Path) -> None:
    assert plot(f"--cases phantom_003 -o {workspace}/out --filled", workspace) == {"out/phantom_003.png"}


def test_several_kinds_have_a_folder_each(workspace: Path, model: Path) -> None:
    found = plot(f"--what raw preprocessed predictions --cases phantom_001 -o {workspace}/out", workspace)
    kinds = ("raw", "default_2d", "default_3d_fullres", model.name)
    assert found == {f"out/{kind}/phantom_001.png" for kind in kinds}


def test_a_configuration_is_drawn_as_the_network_sees_it(workspace: Path) -> None:
    found = plot("--what preprocessed -c 2d --cases phantom_002", workspace)
    assert found == {f"results/{NAME}/figures/preprocessed/default_2d/phantom_002.png"}
    both = plot("--what preprocessed --cases phantom_002", workspace)
    flat, volume = (np.asarray(Picture.open(workspace / path)).shape for path in sorted(both))
    assert volume[0] > 1.3 * flat[0]  # three planes, and of 2d only the slices that it is trained on


def test_held_out_cases_of_the_folds_that_are_asked_for_are_drawn(workspace: Path, model: Path) -> None:
    folder = f"results/{NAME}/figures/predictions/{model.name}"
    assert plot("--what predictions -f 1", workspace) == {f"{folder}/phantom_002.png"}
    assert plot("--what predictions", workspace) == {f"{folder}/phantom_00{case}.png" for case in range(3)}


def test_any_predictions_are_drawn_beside_what_is_known_of_them(workspace: Path, tmp_path: Path) -> None:
    raw = workspace / "raw" / NAME
    shutil.copytree(raw / "labelsTs", workspace / "out")
    expected = {f"out/figures/phantom_00{case}.png" for case in (7, 8)}
    assert plot(f"--predictions {workspace}/out", workspace) == expected
    shutil.move(raw / "imagesTs", tmp_path / "elsewhere")
    shutil.rmtree(raw / "labelsTs")
    with_reference = {path: Picture.open(workspace / path).size[0] for path in expected}
    assert plot(f"--predictions {workspace}/out -i {tmp_path}/elsewhere", workspace) == expected
    assert all(Picture.open(workspace / path).size != width for path, width in with_reference.items())


def test_a_case_that_fails_is_named_and_the_others_are_drawn(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workspace / "raw" / NAME / "imagesTr" / "phantom_003_0000.nii.gz").write_bytes(b"damaged")
    assert len(plot("--all", workspace, status=1)) == 6
    shown = capsys.readouterr().err
    assert "1 of 7 pictures failed" in shown
    assert "phantom_003_0000.nii.gz" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--cases phantom_01", "There is no case phantom_01. Did you mean phantom_001?"),
        ("--what preprocessed -c 3d_fulres", "Did you mean 3d_fullres?"),
        ("--what preprocessed -p other", "has no plans other"),
        ("--what predictions", "has no trained model"),
        ("--predictions nowhere", "nowhere is missing"),
        ("--what predictions -i nowhere", "--predictions DIR"),
        ("--window 2 1", "--window goes from a lower to a higher value"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    workspace: Path, words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plot(words, workspace, status=2) == set()
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown


def test_cases_that_are_not_preprocessed_are_told_how_to_become_so(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(workspace / "preprocessed" / NAME / "default_2d")
    assert plot("--what preprocessed -c 2d", workspace, status=2) == set()
    assert f"segforge preprocess -d {NAME} -c 2d -p default" in capsys.readouterr().err


def test_drawing_cases_imports_no_torch(preprocessed: Path) -> None:
    words = f"plot -d 900 --cases phantom_001 --what raw preprocessed -np 0 --workspace {preprocessed} -o {preprocessed}/out"
    script = (
        f"import sys\nfrom segforge.cli.main import main\nassert main({words.split()}) == 0\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, env=environment())
