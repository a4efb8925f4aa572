"""`segforge evaluate` on the words of a user: folders or the cross-validation, and pictures."""

import json
import shutil
from pathlib import Path

import pytest

import segforge as package
from segforge.cli.main import main
from segforge.compute.executors import Resources, inline
from segforge.dataset.cases import open_dataset
from segforge.dataset.phantom import write_phantom
from segforge.evaluation.evaluate import evaluate_pairs
from segforge.evaluation.made_from import made_from
from segforge.networks.model_folder import FINAL, ModelFolder

NAME = "Dataset900_Phantom"
FOLDS = (["phantom_000", "phantom_001"], ["phantom_002"])


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    write_phantom(tmp_path / "raw" / NAME, training=3, testing=2)
    shutil.copytree(tmp_path / "raw" / NAME / "labelsTs", tmp_path / "out")
    for configuration in ("2d", "3d_fullres"):
        validate(tmp_path, configuration)
    return tmp_path


def validate(workspace: Path, configuration: str) -> None:
    """A model as a training leaves it, whose predictions are perfect."""
    raw = open_dataset(workspace / "raw" / NAME)
    model = ModelFolder(workspace / "results" / NAME / f"default__default__{configuration}")
    for fold, cases in enumerate(FOLDS):
        folder = model.fold(fold)
        references = {case.id: case.label for case in raw.cases if case.id in cases}
        folder.validation.mkdir(parents=True)
        (folder.path / FINAL).write_bytes(b"")
        folder.cases_path.write_text(json.dumps({"train": [], "val": cases}))
        pairs = [(path, Path(shutil.copy(path, folder.validation))) for path in references.values()]
        summary = evaluate_pairs(pairs, raw.description.label_scheme, inline, Resources(),
                                 made_from(folder.path / FINAL, references))  # fmt: skip
        summary.write(folder.validation / "summary.json")
    shutil.copy(raw.folder / "dataset.json", model.path)


def run(words: str, workspace: Path, status: int = 0) -> None:
    assert main(["evaluate", *words.split(), "-np", "0", "--workspace", str(workspace)]) == status


def test_every_trained_model_has_a_table_and_its_files(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("-d 900", workspace)
    shown = capsys.readouterr().out
    for configuration in ("2d", "3d_fullres"):
        model = f"default__default__{configuration}"
        assert f"{model}: folds 0, 1." in shown
        assert f"{model}\n\n" in shown
        folder = workspace / "results" / NAME / model / "cv_results"
        assert {path.name for path in folder.iterdir()} == {"summary.json", "cases.csv"}
        assert len((folder / "cases.csv").read_text().splitlines()) == 1 + 3 * 2
    assert shown.count("over 3 cases.") == 2


def test_a_model_and_folds_are_chosen(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(f"-d 900 -c 2d -f 1 -p default --name default -o {workspace}/all.json", workspace)
    assert "over 1 case." in capsys.readouterr().out
    assert (workspace / "all_cases.csv").is_file()
    assert not list(workspace.rglob("cv_results"))


def test_numbers_of_all_models_are_one_json(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("-d 900 --json", workspace)
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"default__default__2d", "default__default__3d_fullres"}
    assert found["default__default__2d"]["foreground_mean"]["Dice"] == 1
    same = package.cross_validate(900, configurations=["2d"], workers=0, workspace=workspace)
    assert same["default__default__2d"].dice == 1


def test_pictures_lie_beside_the_summary(workspace: Path) -> None:
    run("-d 900 -c 2d --figures 1", workspace)
    folder = workspace / "results" / NAME / "default__default__2d" / "cv_results" / "figures"
    assert len(list(folder.glob("worst_1_*.png"))) == len(list(folder.glob("best_1_*.png"))) == 1
    assert (folder / "scores.png").is_file()


def test_images_for_pictures_are_found_or_named(workspace: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    raw = workspace / "raw" / NAME
    run(f"{raw}/labelsTs {workspace}/out --figures", workspace)
    figures = workspace / "out" / "figures"
    found = sorted(figures.iterdir())
    assert [path.name.split("_")[0] for path in found] == ["scores.png", "worst", "worst"]
    with_images = found[-1].stat().st_size
    shutil.copytree(raw / "labelsTs", workspace / "alone" / "labels")
    shutil.copy(raw / "dataset.json", workspace / "alone")
    run(f"{workspace}/alone/labels {workspace}/out --figures", workspace)
    assert "There are no images beside the references" in capsys.readouterr().err
    assert found[-1].stat().st_size < 0.7 * with_images
    for words in (f"-i {raw}/imagesTs", "-d 900"):
        run(f"{workspace}/alone/labels {workspace}/out --figures {words}", workspace)
        assert found[-1].stat().st_size == with_images


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-d 900 -c 3d_lowres", "no trained model with configuration 3d_lowres"),
        ("-d 900 -f 4", "of fold 4"),
        ("-d 900 -o all.json", "-o is for one model; 2 fit"),
        ("-d 900 -l 1", "--labels is for two folders"),
        ("a b -d 900 -c 2d", "--configurations is for the cross-validation"),
        ("-r a", "Give two folders"),
        ("", "or -d DATASET alone"),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    workspace: Path, words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(words, workspace, status=2)
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown


def test_figures_take_a_number_of_cases(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("-d 900 --figures 0", workspace)
    assert "give 1 or more" in capsys.readouterr().err
