"""Small models of ours and of nnU-Net's, with random weights, to be passed on."""

import json
from pathlib import Path
from typing import Any

import torch
from samples import plans_for

from segforge.dataset.description import read_description
from segforge.networks.build import build
from segforge.networks.checkpoint import Checkpoint, CheckpointFacts, load_checkpoint, save_checkpoint
from segforge.networks.model_folder import FINAL, ModelFolder
from segforge.sharing.nnunet_export import export_to_nnunet

DATASET = "Dataset900_Phantom"
LABELS: dict[str, Any] = {"background": 0, "a": 1, "b": 2}
REGIONS: dict[str, Any] = {"labels": {"background": 0, "whole": [1, 2], "core": [2]}, "regions_class_order": [1, 2]}


def small_model(
    place: Path,
    *,
    name: str = "default",
    network: str = "plain_unet",
    dimensions: int = 3,
    folds: tuple[str, ...] = ("0",),
    deep_supervision: bool = True,
    cascade: bool = False,
    description: dict[str, Any] | None = None,
    checkpoint: str = FINAL,
) -> ModelFolder:
    """A model of three stages; a cascade comes with the model of its previous stage beside it."""
    content = {
        "channel_names": {"0": "MRI"}, "labels": LABELS, "numTraining": 2, "file_ending": ".nii.gz", "licence": "CC0",
    } | (description or {})  # fmt: skip
    batch_norm = network.endswith("_batch_norm")
    plans = plans_for((2.0,) * dimensions)
    ((configuration, plain),) = plans.configurations.items()
    (place / "draft.json").parent.mkdir(parents=True, exist_ok=True)
    (place / "draft.json").write_text(json.dumps(content))
    labels = read_description(place / "draft.json").label_scheme
    (place / "draft.json").unlink()
    ones, twos, threes = (1,) * dimensions, (2,) * dimensions, (3,) * dimensions
    spec = plain.architecture.model_copy(
        update={
            "network": network.removesuffix("_batch_norm"), "output_channels": labels.heads, "features": (4, 8, 8),
            "strides": (ones, twos, twos), "kernel_sizes": (threes,) * 3, "encoder_blocks": (1, 2, 1),
            "decoder_convolutions": (2, 1), "deep_supervision": True,
        }
    )  # fmt: skip
    plain = plain.model_copy(update={"architecture": spec})
    configurations = {configuration: plain}
    if cascade:
        wider = spec.model_copy(update={"input_channels": labels.classes})
        low = plain.model_copy(update={"data": "low", "spacing": (3.0,) * dimensions})
        full = plain.model_copy(update={"architecture": wider, "previous_stage": "3d_lowres"})
        _write(place, name, plans, {"3d_lowres": low}, content, folds, seed=9)
        configurations = {"3d_cascade_fullres": full, "3d_lowres": low}
    trained = {"network": network, "deep_supervision": deep_supervision} if batch_norm or not deep_supervision else {}
    return _write(place, name, plans, configurations, content, folds, trained=trained, checkpoint=checkpoint)


def nnunet_model(place: Path, **options: Any) -> Path:
    """A model in nnU-Net's layout, in a folder as nnU-Net names it."""
    model = small_model(place / "ours", **options)
    _, plans, configuration = model.path.name.split("__")
    folder = place / "nnunet" / DATASET / f"nnUNetTrainer__{plans}__{configuration}"
    export_to_nnunet(model, model.begun_folds(), ["final"], folder)
    if options.get("cascade"):
        low = ModelFolder(model.path.with_name(model.path.name.replace(configuration, "3d_lowres")))
        export_to_nnunet(low, low.begun_folds(), ["final"], folder.with_name(f"nnUNetTrainer__{plans}__3d_lowres"))
    return folder


def read_pth(folder: Path, fold: str = "0") -> dict[str, Any]:
    """The content of a checkpoint in nnU-Net's layout."""
    content: dict[str, Any] = torch.load(folder / f"fold_{fold}" / "checkpoint_final.pth", weights_only=True)
    return content


def write_pth(folder: Path, content: Any, fold: str = "0") -> None:
    """Write a checkpoint in nnU-Net's layout."""
    torch.save(content, folder / f"fold_{fold}" / "checkpoint_final.pth")


def weights(model: ModelFolder, fold: str = "0") -> dict[str, torch.Tensor]:
    """The weights of a model's final checkpoint."""
    return dict(load_checkpoint(model.fold(fold).path / FINAL).weights)


def _write(
    place: Path, name: str, plans: Any, configurations: Any, content: Any, folds: Any, *, trained: Any = None,
    checkpoint: str = FINAL, seed: int = 0,
) -> ModelFolder:  # fmt: skip
    configuration, own = next(iter(configurations.items()))
    model = ModelFolder(place / DATASET / f"{name}__{plans.name}__{configuration}")
    plans.model_copy(update={"configurations": configurations}).write(model.path / "plans.json")
    (model.path / "dataset.json").write_text(json.dumps(content))
    spec = own.architecture.model_copy(update=trained or {})
    for fold in folds:
        facts = CheckpointFacts(
            configuration=configuration, fold=fold, architecture=spec, epoch=3, ema=0.5, best_ema=0.5,
            mirror_axes=tuple(range(spec.dimensions)), threads=1,
        )  # fmt: skip
        network = build(spec, seed=seed + ord(fold[0]))
        state = {"step": torch.ones(3)}
        save_checkpoint(model.path / f"fold_{fold}" / checkpoint, Checkpoint(network.state_dict(), state, facts))
        (model.path / f"fold_{fold}" / "cases.json").write_text('{"train": ["a"], "val": ["b"]}')
    return model
