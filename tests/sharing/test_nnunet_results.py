"""Models in nnUNet_results are listed and used where they lie."""

import json
from pathlib import Path

import pytest
from models import write_image
from sharing_samples import DATASET, nnunet_model, small_model

from segforge import predict
from segforge.cli.main import main
from segforge.errors import SegForgeError

TRAINED = "nnUNetTrainer__test__3d_fullres"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "workspace/raw").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "workspace")
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "nnunet"))
    write_image(tmp_path / "images/x_0000.nii.gz")
    return tmp_path / "workspace"


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def predicted(tmp_path: Path, name: str, **choice: object) -> bytes:
    predict(tmp_path / "images", tmp_path / name, device="cpu", **choice)
    return (tmp_path / name / "x.nii.gz").read_bytes()


def test_they_predict_without_being_written_to(workspace: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = nnunet_model(tmp_path, folds=("0", "1"))
    before = contents(tmp_path / "nnunet")
    with caplog.at_level("INFO", "segforge"):
        by_number = predicted(tmp_path, "number", dataset=900)
    assert f"Using nnU-Net's model where it lies: {folder}." in caplog.text
    assert by_number == predicted(tmp_path, "folder", model=folder)
    assert by_number == predicted(tmp_path, "alone")
    assert by_number == predicted(
        tmp_path, "words", dataset=900, trainer="nnUNetTrainer", plans="test", configuration="3d_fullres"
    )
    assert contents(tmp_path / "nnunet") == before
    assert not (workspace / "results").exists()


def test_they_are_listed(workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nnunet_model(tmp_path, folds=("0", "1"))
    assert main(["models"]) == 0
    assert f"{DATASET}  {TRAINED}  0 1    -     nnUNet_results" in capsys.readouterr().out


def test_a_cascade_finds_its_low_resolution_there(workspace: Path, tmp_path: Path) -> None:
    nnunet_model(tmp_path, cascade=True)
    assert predicted(tmp_path, "out", dataset=900, configuration="3d_cascade_fullres")


def test_ours_come_first(workspace: Path, tmp_path: Path) -> None:
    nnunet_model(tmp_path)
    small_model(workspace / "results", checkpoint="checkpoint_best.safetensors")  # has no trained fold
    theirs = predicted(tmp_path, "theirs", dataset=900)
    ours = small_model(workspace / "results", network="residual_encoder_unet", name="other").path
    own = predicted(tmp_path, "ours", dataset=900)
    assert own == predicted(tmp_path, "folder", model=ours)
    assert own != theirs
    assert predicted(tmp_path, "again", dataset=900, trainer="nnUNetTrainer") == theirs


def test_several_or_none_that_fit_are_refused(workspace: Path, tmp_path: Path) -> None:
    nnunet_model(tmp_path)
    nnunet_model(tmp_path / "more", dimensions=2)
    (tmp_path / "more/nnunet" / DATASET / "nnUNetTrainer__test__2d").rename(
        tmp_path / "nnunet" / DATASET / "nnUNetTrainer__test__2d"
    )
    with pytest.raises(
        SegForgeError, match=r"Several models in .*nnunet fit: .*2d, .*3d_fullres\. Choose one with -c, -p, -tr"
    ):
        predicted(tmp_path, "out", dataset=900)
    with pytest.raises(SegForgeError, match="has no trained model. Name a model"):
        predicted(tmp_path, "out", dataset=900, configuration="3d_lowres")
    with pytest.raises(SegForgeError, match="No data set 901"):
        predicted(tmp_path, "out", dataset=901)


def test_one_that_cannot_be_used_does_not_hide_the_others(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = nnunet_model(tmp_path)
    other = folder.with_name("nnUNetTrainer__test__2d")
    (other / "fold_0").mkdir(parents=True)
    (other / "fold_0/checkpoint_final.pth").write_bytes(b"")
    content = json.loads((folder / "plans.json").read_text())
    content["configurations"]["3d_fullres"]["architecture"]["network_class_name"] = "subprocess.Popen"
    (other / "plans.json").write_text(json.dumps(content))
    (other / "dataset.json").write_text((folder / "dataset.json").read_text())
    assert main(["models", "--json"]) == 0
    printed = capsys.readouterr()
    assert [Path(path) for path in json.loads(printed.out)] == [folder]
    assert f"{other} is left out: " in printed.err
