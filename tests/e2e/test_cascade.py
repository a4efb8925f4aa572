"""A cascade from the plan to the validated fold: what it needs first, what it is trained with, how it goes on."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from segforge import TrainingOptions, plan, train
from segforge.api.cleaning import clean
from segforge.api.training import TrainingMode
from segforge.compute.files import file_hash
from segforge.dataset.phantom import write_phantom
from segforge.errors import Interrupted, SegForgeError
from segforge.planning.settings import PlannerSettings
from segforge.training.cascade import CascadeTrainer

NAME = "Dataset900_Phantom"
SHORT = TrainingOptions(epochs=3, iterations=3, validation_iterations=1, batch_size=2)
CASES = [f"phantom_{number:03d}" for number in range(4)]


def run(workspace: Path, configuration: str, fold: int, **more):
    return train(900, configuration, fold, options=SHORT, device="cpu", workspace=workspace, **more)


@pytest.fixture(scope="module")
def low(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the first of two folds of the low resolution is trained."""
    workspace = tmp_path_factory.mktemp("cascade")
    write_phantom(workspace / "raw" / NAME, training=4, testing=0)
    splits = [{"train": CASES[2:], "val": CASES[:2]}, {"train": CASES[:2], "val": CASES[2:]}]
    (workspace / "raw" / NAME / "splits_final.json").write_text(json.dumps(splits))
    planned = plan(900, settings=PlannerSettings(gpu_memory=0.0005, features=2), workspace=workspace)
    assert planned.plans.configuration("3d_cascade_fullres").previous_stage == "3d_lowres"
    run(workspace, "3d_lowres", 0)
    return workspace


@pytest.fixture(scope="module")
def trained(low: Path) -> Path:
    with pytest.raises(SegForgeError, match=f"segforge train {NAME} 3d_lowres 1$"):
        run(low, "3d_cascade_fullres", 0)
    run(low, "3d_lowres", 1)
    summary = run(low, "3d_cascade_fullres", 0)
    assert len(summary.metric_per_case) == 2
    return low


def model(workspace: Path, configuration: str) -> Path:
    return workspace / "results" / NAME / f"default__default__{configuration}"


def test_it_is_trained_with_a_map_for_each_case_on_its_own_grid(trained: Path) -> None:
    maps = model(trained, "3d_lowres") / "predicted_next_stage" / "3d_cascade_fullres"
    assert sorted(path.stem for path in maps.glob("*.npy")) == CASES
    for case in CASES:
        image = np.load(trained / "preprocessed" / NAME / "default_3d_fullres" / f"{case}.npy", mmap_mode="r")
        assert np.load(maps / f"{case}.npy").shape == image.shape
    settings = json.loads((model(trained, "3d_cascade_fullres") / "settings.json").read_text())
    assert settings["previous_model"] == "default__default__3d_lowres"


def test_interrupted_it_goes_on_to_the_same_bytes(trained: Path, tmp_path: Path, monkeypatch) -> None:
    shutil.copytree(trained, tmp_path / "w")
    final = Path("fold_0/checkpoint_final.safetensors")
    expected = (model(trained, "3d_cascade_fullres") / final).read_bytes()
    shutil.rmtree(model(tmp_path / "w", "3d_cascade_fullres"))
    step, steps = CascadeTrainer.train_step, []

    def interrupted(self, images, target):
        steps.append(self.epoch)
        if len(steps) == 5:
            signal.raise_signal(signal.SIGTERM)
        return step(self, images, target)

    monkeypatch.setattr(CascadeTrainer, "train_step", interrupted)
    with pytest.raises(Interrupted):
        run(tmp_path / "w", "3d_cascade_fullres", 0)
    run(tmp_path / "w", "3d_cascade_fullres", 0)
    assert len(steps) == 9
    assert (model(tmp_path / "w", "3d_cascade_fullres") / final).read_bytes() == expected


def test_what_was_cleaned_is_made_again_without_training(trained: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    shutil.copytree(trained, workspace)
    kept = list(model(workspace, "3d_lowres").rglob("*.npy"))
    before = {path: file_hash(path) for path in kept}
    assert len([path for path in kept if path.parent.name == "logits"]) == 4
    removed = {item.path for item in clean(900, remove=True, workspace=workspace)}
    assert {path.parent for path in kept} <= removed and not any(path.exists() for path in kept)
    plan(900, settings=PlannerSettings(gpu_memory=0.0005, features=2), workspace=workspace)
    run(workspace, "3d_cascade_fullres", 1)
    assert {path: file_hash(path) for path in kept} == before


def test_without_room_nothing_is_kept_and_the_cascade_trains_all_the_same(trained: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "w"
    shutil.copytree(trained, workspace)
    low_model = model(workspace, "3d_lowres")
    maps = {path.name: file_hash(path) for path in low_model.rglob("predicted_next_stage/*/*.npy")}
    for folder in (*low_model.glob("fold_*/validation/logits"), low_model / "predicted_next_stage"):
        shutil.rmtree(folder)
    run(workspace, "3d_cascade_fullres", 1, mode=TrainingMode(keep_logits=0))
    assert not list(low_model.glob("fold_*/validation/logits/*.npy"))
    assert {path.name: file_hash(path) for path in low_model.rglob("predicted_next_stage/*/*.npy")} == maps
