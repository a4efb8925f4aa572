"""Networks of MONAI's from plan to prediction on real data, as the examples do it, and begun with a bundle's weights."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_environment import environment
from monai_samples import bundle

from segforge.api.prediction import PredictionOptions, predict
from segforge.cli.main import main
from segforge.images.files import read_labels

EXAMPLES = Path(__file__).parents[2] / "examples"
CASES = 5

PREDICT = """
import sys
from pathlib import Path
from segforge.api.prediction import PredictionOptions, predict
*models, images, output = map(Path, sys.argv[1:])
options = PredictionOptions(mirroring=False)
for model in models:
    for number in "12":
        predict(images, output / f"{model.name}-{number}", model=model, options=options, device="cpu")
"""


@pytest.fixture(scope="module")
def workspace(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder: a workspace with a few cases of Dataset004, an image to predict, nothing planned."""
    place = tmp_path_factory.mktemp("monai")
    source = shared / "data/Dataset004_Hippocampus"
    raw = place / "raw" / source.name
    for folder in (raw / "imagesTr", raw / "labelsTr", place / "images"):
        folder.mkdir(parents=True)
    images = sorted((source / "imagesTr").iterdir())[: CASES + 1]
    for number, image in enumerate(images):
        shutil.copy(image, raw / "imagesTr" if number < CASES else place / "images")
        if number < CASES:
            shutil.copy(source / "labelsTr" / image.name.replace("_0000", ""), raw / "labelsTr")
    content = json.loads((source / "dataset.json").read_text()) | {"numTraining": CASES}
    (raw / "dataset.json").write_text(json.dumps(content))
    before = Path.cwd()
    os.chdir(place)
    yield place
    os.chdir(before)


@pytest.fixture(scope="module")
def trained(workspace: Path) -> list[Path]:
    """The models of both examples, which have predicted the images too."""
    run("monai_segresnet.py", "4", "images", "segresnet", "2", "4")
    run("swin_unetr.py", "4", "2d", "images", "swin", "2", "6")
    results = workspace / "results/Dataset004_Hippocampus"
    return [results / "default__segresnet__3d_fullres", results / "default__swin__2d"]


def run(example: str, *words: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [example, *words])
        for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results", "SEGFORGE_WORKSPACE"):
            patch.delenv(name, raising=False)
        runpy.run_path(str(EXAMPLES / example), run_name="__main__")


def test_the_loss_of_the_examples_falls(trained: list[Path]) -> None:
    for model in trained:
        lines = (model / "fold_0/history.jsonl").read_text().splitlines()
        losses = [json.loads(line)["train_loss"] for line in lines]
        assert len(losses) == 2
        assert losses[1] < losses[0]


def test_a_fresh_process_predicts_the_same_labels_twice(trained: list[Path], workspace: Path, tmp_path: Path) -> None:
    words = [*map(str, trained), str(workspace / "images"), str(tmp_path)]
    subprocess.run([sys.executable, "-c", PREDICT, *words], env=environment(), check=True, cwd=tmp_path)
    (image,) = (workspace / "images").iterdir()
    name = image.name.replace("_0000", "")
    for model, example in zip(trained, ("segresnet", "swin"), strict=True):
        assert read_labels(workspace / example / name).array.any()
        predict(image, tmp_path / example, model=model, options=PredictionOptions(mirroring=False), device="cpu")
        folders = [tmp_path / f"{model.name}-1", tmp_path / f"{model.name}-2", tmp_path / example]
        assert len({(folder / name).read_bytes() for folder in folders}) == 1


def test_a_training_begins_with_the_weights_of_a_bundle(workspace: Path, tmp_path: Path, capsys) -> None:
    folder = bundle(tmp_path / "brats")
    assert main(["import", "monai-bundle", str(folder)]) == 0
    printed = capsys.readouterr()
    assert "Imported monai:SegResNet in 3D, 4 channels, 3 heads: all " in printed.out
    path = workspace / "pretrained/brats.safetensors"
    assert f"segforge plan -d DATASET --network {path} --name brats" in printed.out
    assert main(["plan", "-d", "4", "--network", str(path), "--name", "brats", "-c", "3d_fullres"]) == 0
    assert main(["plan", "--check", str(workspace / "preprocessed/Dataset004_Hippocampus/plans/brats.json")]) == 0
    assert "monai:SegResNet" in capsys.readouterr().out
    train = ["train", "4", "3d_fullres", "0", "-p", "brats", "--pretrained", str(path), "--epochs", "1", "--iterations", "1"]
    train += ["--batch-size", "2", "--validation-iterations", "1", "--device", "cpu"]
    assert main(train) == 2
    assert "For another number of input channels: --adapt-channels." in capsys.readouterr().err
    assert main([*train, "--adapt-channels"]) == 0
    assert "adapted: network.convInit.conv.weight 4x4x3x3x3 to 4x1x3x3x3" in capsys.readouterr().out


def test_wrong_words_about_networks(workspace: Path, tmp_path: Path, capsys) -> None:
    for words, message in (
        (["--network-arguments", "init_filters=8"], "Name it with --network monai:NAME"),
        (["--network", "nowhere.safetensors"], "nowhere.safetensors is missing."),
        (["--network", "monai:SegResNet", "--network-arguments", "norm=os"], "Unsupported option 'OS'"),
    ):
        assert main(["plan", "-d", "4", "--show", *words]) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["plan", "-d", "4", "--network-arguments", "init_filters"])
    assert "init_filters is no NAME=VALUE" in capsys.readouterr().err
    assert main(["import", "monai-bundle", str(tmp_path)]) == 2
    assert "is no bundle with a network" in capsys.readouterr().err


def test_a_patch_edited_by_hand_is_refused_before_a_training(workspace: Path, capsys) -> None:
    plans = workspace / "preprocessed/Dataset004_Hippocampus/plans"
    assert main(["plan", "-d", "4", "--no-preprocess"]) == 0
    content = json.loads((plans / "default.json").read_text())
    network = {"network": "monai:SegResNet", "arguments": {"init_filters": 8}}
    heir = {"inherits_from": "3d_fullres", "patch_size": [40, 54, 40], "architecture": network}
    content["configurations"]["3d_segresnet"] = heir
    (plans / "default.json").write_text(json.dumps(content))
    message = "patch_size 40 54 40 does not work with monai:SegResNet: its size must be divisible by 8 8 8; 40 56 40 works."
    assert main(["plan", "--check", str(plans / "default.json")]) == 2
    assert message in capsys.readouterr().err
    assert main(["train", "4", "3d_segresnet", "0", "--device", "cpu"]) == 2
    assert message in capsys.readouterr().err
    assert not (workspace / "results/Dataset004_Hippocampus/default__default__3d_segresnet").exists()
