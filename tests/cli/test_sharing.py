"""`segforge import`, `export`, `models`, `show` as they are typed."""

import json
from pathlib import Path

import pytest
from models import write_image
from sharing_samples import DATASET, nnunet_model, small_model

from segforge.cli.main import main

MODEL = "default__test__3d_fullres"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "workspace/raw").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "workspace")
    return tmp_path / "workspace"


def test_a_model_of_nnunets_is_imported_listed_shown_and_predicted_with(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = nnunet_model(tmp_path)
    assert main(["import", "nnunet", str(folder), "--name", "theirs"]) == 0
    model = workspace / "results" / DATASET / "theirs__test__3d_fullres"
    assert f"segforge predict -i IMAGES -o OUT -m {model}" in capsys.readouterr().out
    assert main(["models"]) == 0
    assert "theirs__test__3d_fullres  0      -     nnUNetTrainer__test__3d_fullres" in capsys.readouterr().out
    assert main(["show", str(model)]) == 0
    assert "nnU-Net, nnUNetTrainer, imported from nnUNetTrainer__test__3d_fullres" in capsys.readouterr().out
    write_image(tmp_path / "images/x_0000.nii.gz")
    for number, each in enumerate((folder, model)):
        words = ["predict", "-i", str(tmp_path / "images"), "-o", str(tmp_path / f"out{number}"), "-m", str(each)]
        assert main([*words, "--device", "cpu"]) == 0
    assert (tmp_path / "out0/x.nii.gz").read_bytes() == (tmp_path / "out1/x.nii.gz").read_bytes()
    assert main(["import", str(folder), "--name", "theirs"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["import", str(folder), "--name", "theirs", "--force"]) == 0


def test_a_package_goes_from_one_workspace_to_another(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_model(tmp_path / "other/results", folds=("0", "1"))
    words = ["export", "900", "-o", "m.segforge.zip", "-f", "1", "-chk", "final", "--licence", "mine", "--workspace"]
    assert main([*words, str(tmp_path / "other")]) == 0
    assert main(["import", "m.segforge.zip"]) == 0
    assert sorted(path.name for path in (workspace / "results" / DATASET / MODEL).glob("fold_*")) == ["fold_1"]
    capsys.readouterr()
    assert main(["show", "m.segforge.zip", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["licence"] == "mine"
    assert main(["models", "--json"]) == 0
    assert [Path(path).name for path in json.loads(capsys.readouterr().out)] == [MODEL]


def test_a_model_is_exported_for_nnunet(workspace: Path, tmp_path: Path) -> None:
    model = small_model(tmp_path / "other")
    assert main(["export", str(model.path), "-o", "theirs", "--format", "nnunet"]) == 0
    assert sorted(path.name for path in (workspace / "theirs").rglob("*.*")) == [
        "checkpoint_final.pth", "dataset.json", "plans.json",
    ]  # fmt: skip


def test_wrong_words(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "a.zip", "b.zip"]) == 2
    assert "Give one source; found a.zip b.zip" in capsys.readouterr().err
    assert main(["import", "nowhere.zip"]) == 2
    assert "nowhere.zip is missing" in capsys.readouterr().err
    assert main(["show", "nowhere"]) == 2
    assert main(["export", "nowhere", "-o", "x"]) == 2
    assert main(["models"]) == 0
    assert "No trained models yet" in capsys.readouterr().out
    assert sorted(path.name for path in workspace.iterdir()) == ["raw"]
