"""Options of `train` on the command line: what they leave in the model, and that it predicts; nnU-Net's words."""

import json
import shutil
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
RESULTS = Path("results/Dataset900_Phantom")
SHORT = "--iterations 1 --validation-iterations 1 --batch-size 2"


def settings(workspace: Path, model: str) -> dict:
    return json.loads((workspace / RESULTS / model / "settings.json").read_text())


@pytest.fixture(scope="module")
def workspace(planned: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("options") / "w"
    shutil.copytree(planned, folder)
    return folder


@pytest.fixture(scope="module")
def own(workspace: Path, segforge) -> Path:
    """A training in which everything is other than by default, and its model folder."""
    segforge(
        f"train 900 2d 0 {SHORT} --epochs 2 --optimizer adan --schedule cosine --warmup 1 --loss dice_topk "
        "--label-smoothing 0.1 --norm batch --no-deep-supervision --augmentation strong --mirror-axes 1 "
        "--foreground-share 0.5 --seed 3 --name own",
        workspace,
    )
    return workspace / RESULTS / "own__default__2d"


def test_what_was_used_stands_in_the_model(workspace: Path, own: Path) -> None:
    expected = {
        "epochs": 2, "iterations": 1, "batch_size": 2, "optimizer": "adan", "learning_rate": 1e-3, "weight_decay": 2e-2,
        "schedule": "cosine", "warmup": 1, "loss": "dice_topk", "label_smoothing": 0.1, "norm": "batch",
        "deep_supervision": False, "augmentation": "strong", "mirror_axes": [1], "foreground_share": 0.5, "seed": 3,
    }  # fmt: skip
    found = settings(workspace, own.name)
    assert {key: found[key] for key in expected} == expected
    architecture = next(iter(json.loads((own / "plans.json").read_text())["configurations"].values()))["architecture"]
    assert architecture["network"] == "plain_unet_batch_norm"
    assert architecture["deep_supervision"] is False


def test_a_model_with_other_options_predicts(workspace: Path, own: Path, segforge) -> None:
    segforge(f"predict -m {own} -i raw/Dataset900_Phantom/imagesTs -o predicted", workspace)
    assert len(list((workspace / "predicted").glob("*.nii.gz"))) == 2


def test_nnunet_s_words_are_understood(workspace: Path, segforge) -> None:
    done = segforge(
        f"train 900 2d 0 -tr nnUNetTrainer_1epoch -p nnUNetPlans -device cpu -num_gpus 1 --npz --c {SHORT}", workspace
    )
    assert "nnUNetTrainer_1epoch: epochs 1." in done.stdout
    validated = workspace / RESULTS / "nnUNetTrainer_1epoch__default__2d" / "fold_0" / "validation"
    assert len(list(validated.glob("*.npz"))) == len(list(validated.glob("*.nii.gz"))) == 2
    assert settings(workspace, "nnUNetTrainer_1epoch__default__2d")["epochs"] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-tr nnUNetTrainerDA5ord0", "Did you mean nnUNetTrainerDA5?"),
        ("-tr defalt", "defalt is not among the trainers here. Did you mean default?"),
        ("-tr torch.nn:ReLU", "-tr torch.nn:ReLU must be a subclass of segforge.training.trainer.Trainer"),
        ("--optimizer adm", "Did you mean adam?"),
        ("--loss dice_cee", "Did you mean dice_ce?"),
        ("--augmentation strng", "Did you mean strong?"),
        ("--mirror-axes 2", "--mirror-axes has 2; 2d has the axes 0, 1"),
        ("--warmup 1000", "The training is not valid. --warmup 1000 leaves nothing of the 1000 epochs"),
        ("--lr -1", "The training is not valid. --lr: Input should be greater than 0 (found -1.0)."),
        ("--keep-logits 20X", "20X is no size; give 20G or 500M for example"),
        ("--best-by full-volume", "--best-by full-volume needs whole cases; add --validate-every"),
        ("--best-by volume", "Did you mean full-volume?"),
        ("--pretrained nowhere.safetensors", "nowhere.safetensors"),
        ("-num_gpus 0", "0 is no number of GPUs; give 1 or more"),
        ("--validate-best --no-checkpoints", "Choose one"),
        ("--validate-only --name untrained", "there is nothing to validate"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(workspace: Path, segforge, words: str, message: str) -> None:
    assert message in segforge(f"train 900 2d 1 {SHORT} {words}", workspace, status=2).stderr
    assert not (workspace / RESULTS / "default__default__2d").exists()


def test_a_training_begins_with_another_s_weights(workspace: Path, own: Path, segforge) -> None:
    file = own / "fold_0" / "checkpoint_final.safetensors"
    words = f"train 900 2d 0 {SHORT} --epochs 1 --pretrained {file}"
    done = segforge(f"{words} --norm batch --name fine", workspace)
    assert f"Begins with the weights in {file}\n" in done.stdout
    (fresh,) = [line for line in done.stdout.splitlines() if line.strip().startswith("fresh")]
    assert "heads.0" in fresh
    assert len(settings(workspace, "fine__default__2d")["pretrained"]) == 64
    done = segforge(f"{words} --name other", workspace, status=2)
    assert "are of another network" in done.stderr


def test_the_best_checkpoint_is_validated_beside_the_final_one(workspace: Path, own: Path, segforge) -> None:
    before = (own / "fold_0/validation/summary.json").read_bytes()
    segforge("train 900 2d 0 --name own --validate-only --validate-best", workspace)
    assert (own / "fold_0/validation_best/summary.json").is_file()
    assert (own / "fold_0/validation/summary.json").read_bytes() == before
    segforge("train 900 2d 0 --name own --val", workspace)


def test_without_checkpoints_only_the_final_one_is_written(workspace: Path, segforge) -> None:
    segforge(f"train 900 2d 0 {SHORT} --epochs 2 --no-checkpoints --name bare", workspace)
    fold = workspace / RESULTS / "bare__default__2d" / "fold_0"
    assert [path.name for path in fold.glob("*.safetensors")] == ["checkpoint_final.safetensors"]


def test_a_trainer_of_one_s_own(workspace: Path, segforge, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES))
    done = segforge(f"train 900 2d 0 -tr custom_trainer:RareClassTrainer {SHORT} --epochs 1", workspace)
    assert "The rare class" in done.stdout
    assert settings(workspace, "RareClassTrainer__default__2d")["trainer"] == "custom_trainer:RareClassTrainer"
    segforge(f"train 900 2d 0 --loss custom_trainer:RareClassLoss {SHORT} --epochs 1 --name rare", workspace)


def test_a_network_of_one_s_own_trains_and_predicts(workspace: Path, tmp_path: Path, segforge, monkeypatch) -> None:
    words = f"train 900 2d 0 -tr custom_network:DilatedNetTrainer {SHORT} --epochs 1"
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES))
    assert "dilated_net is not among the networks here" in segforge(words, workspace, status=2).stderr
    package = tmp_path / "custom_network-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: custom_network\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[segforge.networks]\ndilated_net = custom_network:DilatedNet\n")
    monkeypatch.setenv("PYTHONPATH", f"{EXAMPLES}:{tmp_path}")
    segforge(words, workspace)
    model = RESULTS / "DilatedNetTrainer__default__2d"
    segforge(f"predict -m {model} -i raw/Dataset900_Phantom/imagesTs -o by_own_network", workspace)
