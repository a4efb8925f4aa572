"""Probabilities of the held-out cases: beside the label maps, of the same weights, made once."""

from pathlib import Path

import numpy as np
import pytest

from segforge import TrainingOptions, plan, train
from segforge.api.training import TrainingMode
from segforge.dataset.phantom import write_phantom
from segforge.images.files import read_labels
from segforge.inference.loaded_model import LoadedModel
from segforge.planning.settings import PlannerSettings

NAME = "Dataset900_Phantom"
SHORT = TrainingOptions(epochs=1, iterations=1, validation_iterations=1, batch_size=2)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probabilities")
    write_phantom(folder / "raw" / NAME, training=5, testing=0)
    plan(900, settings=PlannerSettings(features=2), configurations=["2d"], workspace=folder)
    train(900, "2d", 0, options=SHORT, device="cpu", workspace=folder)
    return folder


def test_probabilities_come_later_from_kept_logits_and_fit_the_label_maps(workspace: Path, monkeypatch) -> None:
    validation = workspace / "results" / NAME / "default__default__2d" / "fold_0" / "validation"
    assert not list(validation.glob("*.npz"))
    with monkeypatch.context() as patch:
        patch.setattr(LoadedModel, "logits", None)  # nothing may be predicted again
        train(900, "2d", 0, options=SHORT, mode=TrainingMode(save_probabilities=True), device="cpu", workspace=workspace)
    (label_map,) = validation.glob("*.nii.gz")
    labels = read_labels(label_map).array[0]
    path = label_map.with_name(label_map.name.replace(".nii.gz", ".npz"))
    with np.load(path) as file:
        probabilities = file["probabilities"]
    assert probabilities.shape == (3, *labels.shape) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(0), 1, atol=1e-5)
    assert (probabilities.argmax(0) == labels).mean() > 0.999
    written = path.stat().st_mtime_ns
    train(900, "2d", 0, options=SHORT, mode=TrainingMode(save_probabilities=True), device="cpu", workspace=workspace)
    assert path.stat().st_mtime_ns == written


def test_probabilities_of_other_weights_do_not_stay(workspace: Path) -> None:
    saving = TrainingMode(save_probabilities=True)
    train(900, "2d", 0, options=SHORT, name="own", mode=saving, device="cpu", workspace=workspace)
    model = workspace / "results" / NAME / "own__default__2d" / "fold_0"
    (path,) = (model / "validation").glob("*.npz")
    before = path.read_bytes()
    final = "checkpoint_final.safetensors"
    longer = TrainingOptions(epochs=2, iterations=1, validation_iterations=1, batch_size=2)
    train(900, "2d", 0, options=longer, name="longer", device="cpu", workspace=workspace)
    (model / final).write_bytes((model.parents[1] / "longer__default__2d" / "fold_0" / final).read_bytes())
    train(900, "2d", 0, options=SHORT, name="own", device="cpu", workspace=workspace)
    assert not path.exists()
    train(900, "2d", 0, options=SHORT, name="own", mode=saving, device="cpu", workspace=workspace)
    assert path.read_bytes() != before
