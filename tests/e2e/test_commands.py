"""The commands on a phantom data set: what they say when something is wrong, and the Python API beside them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from e2e_environment import environment

import segforge as package
from segforge.images.files import read_image, read_labels

RAW = Path("raw/Dataset900_Phantom")
TRAIN = "train 900 {} {} --epochs 1 --iterations 2 --validation-iterations 1 --batch-size 2"


@pytest.fixture(scope="module")
def trained(planned: Path, tmp_path_factory: pytest.TempPathFactory, segforge) -> Path:
    """Fold 0 of 2d and of 3d_fullres, and fold 1 of 3d_fullres alone."""
    workspace = tmp_path_factory.mktemp("trained") / "w"
    shutil.copytree(planned, workspace)
    for configuration, fold in (("2d", 0), ("3d_fullres", 0), ("3d_fullres", 1)):
        segforge(TRAIN.format(configuration, fold), workspace)
    return workspace


def test_several_trained_configurations_need_a_choice(trained: Path, segforge) -> None:
    done = segforge(f"predict -i {RAW}/imagesTs -o out1", trained, status=2)
    assert "Several trained models fit" in done.stderr
    assert "find-best" in done.stderr
    segforge(f"predict -i {RAW}/imagesTs -o out1 -c 2d --no-mirroring", trained)
    assert len(list((trained / "out1").glob("*.nii.gz"))) == 2


def test_find_best_uses_the_folds_that_all_have_and_predict_its_selection(trained: Path, segforge) -> None:
    done = segforge("find-best -d 900", trained)
    assert "folds 0:" in done.stdout
    selection = json.loads((trained / "results/Dataset900_Phantom/selection.json").read_text())
    dice = {
        name: json.loads((trained / f"results/Dataset900_Phantom/{name}/fold_0/validation/summary.json").read_text())[
            "foreground_mean"
        ]["Dice"]
        for name in ("default__default__2d", "default__default__3d_fullres")
    }
    ranking = {tuple(candidate["models"]): candidate["dice"] for candidate in selection["ranking"]}
    assert {models[0]: score for models, score in ranking.items() if len(models) == 1} == pytest.approx(dice)
    assert len(ranking) == 3
    assert ranking[tuple(selection["models"])] == max(ranking.values())
    done = segforge(f"predict -i {RAW}/imagesTs -o out2", trained)
    assert f"Using the selection of find-best: {' and '.join(selection['models'])}" in done.stdout


def test_an_explicit_fold_is_binding(trained: Path, segforge) -> None:
    done = segforge("find-best -d 900 -f 1", trained, status=2)
    assert "default__default__2d has no checkpoint_final.safetensors of fold 1. There is one of 0." in done.stderr


def test_a_missing_validation_is_made_from_the_checkpoint(trained: Path, segforge, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "w")
    validation = tmp_path / "w/results/Dataset900_Phantom/default__default__2d/fold_0/validation"
    shutil.rmtree(validation)
    segforge("find-best -d 900", tmp_path / "w")
    assert (validation / "summary.json").is_file()


def test_predictions_are_evaluated_with_a_table(trained: Path, segforge) -> None:
    segforge(f"predict -i {RAW}/imagesTs -o out3 -c 3d_fullres -f 0 1", trained)
    done = segforge(f"evaluate -r {RAW}/labelsTs -p out3", trained)
    assert "organ" in done.stdout
    assert "Mean foreground Dice" in done.stdout
    assert len(json.loads((trained / "out3/summary.json").read_text())["metric_per_case"]) == 2


def test_a_broken_case_is_named_and_the_others_are_predicted(trained: Path, segforge, tmp_path: Path) -> None:
    shutil.copytree(trained / RAW / "imagesTs", tmp_path / "in")
    broken = sorted((tmp_path / "in").iterdir())[0]
    broken.write_bytes(broken.read_bytes()[:2000])
    done = segforge(f"predict -i {tmp_path}/in -o {tmp_path}/out -d 900 -c 2d", trained, status=1)
    assert f"{broken.name} is truncated" in done.stderr
    assert len(list((tmp_path / "out").glob("*.nii.gz"))) == 1


def test_a_model_folder_predicts_anywhere_and_from_python_alike(trained: Path, segforge, tmp_path: Path) -> None:
    model = trained / "results/Dataset900_Phantom/default__default__3d_fullres"
    segforge(f"predict -i {trained / RAW}/imagesTs -o out -m {model} -f 0", tmp_path)
    predictor = package.load(model, folds=[0], device="cpu")
    for path in sorted((trained / RAW / "imagesTs").iterdir()):
        image = read_image(path)
        written = read_labels(tmp_path / "out" / path.name.replace("_0000", "")).array[0]
        np.testing.assert_array_equal(predictor.predict_array(image.array, image.geometry.spacing), written)
    with pytest.raises(package.SegForgeError, match="needs 1 channels"):
        predictor.predict_array(np.zeros((2, 4, 4, 4)), (1, 1, 1))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train 900 3d_fulres 0", "have no configuration 3d_fulres. Did you mean 3d_fullres? They have: 2d, 3d_fullres"),
        ("train 900 3d_fullres zero", "zero is no fold"),
        ("train 900 3d_fullres \u00b2", "is no fold"),
        ("train 900 3d_fullres 0 --name a__b", "cannot be part of a folder name"),
        ("train 900 3d_fullres 0 --name ../x", "cannot be part of a folder name"),
        ("plan -d 900 -np -1", "is no number of workers"),
        ("plan -d 900 --planner resenc-s", "Did you mean resenc-m?"),
        ("plan -d 900 --planner nowhere:Planner", "nowhere:Planner, one of the planners, cannot be loaded"),
        ("plan", "Give data sets with -d"),
        ("plan --fingerprint nowhere.json", "--fingerprint and --description go together"),
        ("plan -d 900 --patch-size 7 7 7 7", "z y x"),
        ("train 5 3d_fullres 0", "No data set 5"),
        ("train 900 3d_fullres 0 -p small", "has no plans small (there are: default)"),
        ("train 900 3d_fullres 0 --device tpu", "--device tpu is not available"),
        ("train 900 3d_fullres 0 --epochs 0", "epochs"),
        ("plan -d 900 --batch-size 1", "at least 2"),
        ("predict -i nowhere -o out -d 900 -c 2d", "nowhere is missing"),
        ("predict -i raw -o out -d 900 -c 2d -f 7", "has no checkpoint_final.safetensors of fold 7"),
        ("predict -i raw -o out -d 900 -c 2d", "no image named like CASE_0000.nii.gz"),
        ("predict -i raw -o out -d 900 -c 2d -chk newest", "newest is no checkpoint; there are final, best, latest"),
        ("predict -i raw -o out -d 900 -c 2d --part 4/4", "4/4 is no part"),
        ("predict -i raw -o out -d 900 -c 2d --tile-step 0", "--tile-step must be above 0"),
        ("evaluate -r raw -p out", "dataset.json is missing"),
    ],
)
def test_a_users_mistake_is_one_line_with_the_remedy_and_status_2(trained: Path, segforge, command: str, message: str) -> None:
    done = segforge(command, trained, status=2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_debug_shows_the_traceback(trained: Path, segforge) -> None:
    assert "Traceback" in segforge("train 900 3d_fulres 0 --debug", trained, status=1).stderr


def test_without_a_trained_model_predict_says_what_to_do(planned: Path, segforge) -> None:
    done = segforge(f"predict -i {RAW}/imagesTs -o out", planned, status=2)
    assert "has no trained model. Train one first" in done.stderr


def test_the_example_predicts_what_the_command_predicts(trained: Path, segforge, tmp_path: Path) -> None:
    model = trained / "results/Dataset900_Phantom/default__default__2d"
    source = sorted((trained / RAW / "imagesTs").iterdir())[0]
    script = Path(__file__).parents[2] / "examples" / "predict.py"
    words = [sys.executable, str(script), str(model), str(source), str(tmp_path / "labels.nii.gz")]
    subprocess.run(words, check=True, env=environment())
    segforge(f"predict -i {source.parent} -o {tmp_path}/out -m {model}", trained)
    written = read_labels(tmp_path / "out" / source.name.replace("_0000", "")).array
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.nii.gz").array, written)


def test_a_cascade_that_is_only_planned_is_refused_clearly(trained: Path, segforge, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "w")
    path = tmp_path / "w/preprocessed/Dataset900_Phantom/plans/default.json"
    plans = json.loads(path.read_text())
    plans["configurations"]["3d_lowres"] = plans["configurations"]["3d_fullres"]
    plans["configurations"]["3d_cascade_fullres"] = plans["configurations"]["3d_fullres"] | {"previous_stage": "3d_lowres"}
    path.write_text(json.dumps(plans))
    done = segforge(TRAIN.format("3d_cascade_fullres", 0), tmp_path / "w", status=2)
    assert "needs predictions of 3d_lowres, which is not trained yet" in done.stderr
