"""Model folders with random weights: what prediction needs, without a training."""

import json
from pathlib import Path

import numpy as np
from samples import plans_for

from segforge.dataset.description import read_description
from segforge.images.files import write_volume
from segforge.images.image import Geometry
from segforge.networks.build import build
from segforge.networks.checkpoint import Checkpoint, CheckpointFacts, save_checkpoint
from segforge.networks.model_folder import FINAL, ModelFolder

DESCRIPTION = {
    "channel_names": {"0": "MRI"},
    "labels": {"background": 0, "a": 1, "b": 300},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}


def model_folder(
    path: Path,
    *,
    spacing: tuple[float, ...] = (2.0, 2.0, 2.0),
    order: tuple[int, int, int] = (0, 1, 2),
    folds: tuple[str, ...] = ("0",),
    previous: str | None = None,
    description: dict | None = None,
    configuration: str = "",
    checkpoint: str = FINAL,
    seed: int = 0,
) -> ModelFolder:
    """A model with networks of one stage; a cascade's configuration is planned with its previous one."""
    content = DESCRIPTION | (description or {})
    path.mkdir(parents=True, exist_ok=True)
    (path / "dataset.json").write_text(json.dumps(content))
    labels = read_description(path / "dataset.json").label_scheme
    channels = len(content["channel_names"])
    plans = plans_for(spacing, order=order, channels=channels)
    name, plain = next(iter(plans.configurations.items()))
    spec = plain.architecture.model_copy(update={"output_channels": labels.heads})
    configurations = {configuration or name: plain.model_copy(update={"architecture": spec})}
    if previous:
        cascade = spec.model_copy(update={"input_channels": channels + labels.classes - 1})
        first = plain.model_copy(update={"architecture": cascade, "previous_stage": previous})
        low = plain.model_copy(update={"architecture": spec, "spacing": (3.0,) * len(spacing), "data": "low"})
        configurations = {configuration: first, previous: low}
    plans.model_copy(update={"configurations": configurations}).write(path / "plans.json")
    used = next(iter(configurations.values()))
    for fold in folds:
        network = build(used.architecture, seed=seed + len(fold) + ord(fold[0]))
        facts = CheckpointFacts(
            configuration=next(iter(configurations)), fold=fold, architecture=used.architecture, epoch=1, ema=0.5,
            best_ema=0.5, mirror_axes=tuple(range(used.dimensions)), threads=1,
        )  # fmt: skip
        save_checkpoint(path / f"fold_{fold}" / checkpoint, Checkpoint(network.state_dict(), {}, facts))
        (path / f"fold_{fold}" / "cases.json").write_text('{"train": ["a"], "val": ["b"]}')
    return ModelFolder(path)


def write_image(path: Path, *, shape: tuple[int, int, int] = (9, 12, 14), seed: int = 0, spacing=(2.0, 1.5, 1.5)) -> None:
    """A random image on a grid of its own, with a border of zeros."""
    array = np.zeros(shape, np.float32)
    array[1:-1, 2:-1, 1:-2] = np.random.default_rng(seed).normal(100, 30, [size - 2 - (n > 0) for n, size in enumerate(shape)])
    write_volume(path, array, Geometry(shape, spacing, (5.0, -3.0, 11.0)))
