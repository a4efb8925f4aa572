"""A model folder of ours -> one that nnU-Net predicts with."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from segforge.compute.documents import to_json
from segforge.compute.files import write_text
from segforge.dataset.description import FILE_NAME as DESCRIPTION
from segforge.dataset.description import DatasetDescription
from segforge.errors import SegForgeError
from segforge.networks.batch_norm import with_norm
from segforge.networks.checkpoint import CheckpointFacts, load_checkpoint
from segforge.networks.model_folder import BEST, FINAL, LATEST, PLANS, ModelFolder
from segforge.planning.architecture import ArchitectureSpec
from segforge.planning.memory import PLAIN, RESIDUAL
from segforge.sharing.nnunet_checkpoint import CHECKPOINTS, write_nnunet_checkpoint
from segforge.sharing.nnunet_plans import plans_to_nnunet
from segforge.sharing.nnunet_weights import weights_to_nnunet

log = logging.getLogger(__name__)

_OURS = {"final": FINAL, "best": BEST, "latest": LATEST}


def export_to_nnunet(model: ModelFolder, folds: Sequence[str], checkpoints: Sequence[str], folder: Path) -> None:
    """Write a model of ours as nnU-Net 2.8.1 would.

    Args:
        model: The model.
        folds: Folds to write.
        checkpoints: Of each fold: some of `final`, `best`, `latest`.
        folder: An empty folder, which becomes the model's.

    Raises:
        SegForgeError: If nnU-Net has no such network, normalization or labels; names the field.
    """
    plans, description = model.plans, model.description
    name, configuration = model.configuration(plans)
    content = plans_to_nnunet(plans, description)
    facts_of_data = _description(description)
    write_text(folder / PLANS, to_json(content))
    write_text(folder / DESCRIPTION, to_json(facts_of_data))
    if (fingerprint := model.fingerprint) is not None:
        fingerprint.write(folder / model.fingerprint_path.name)
    for fold in folds:
        for kind in checkpoints:
            path = model.fold(fold).path / _OURS[kind]
            loaded = load_checkpoint(path)
            _refuse_other_network(loaded.facts.architecture, configuration.architecture, path)
            arguments = {"plans": content, "configuration": name, "fold": _number(fold), "dataset_json": facts_of_data}
            weights = weights_to_nnunet(loaded.weights, loaded.facts.architecture)
            written = _content(loaded.facts, weights, arguments | {"device": torch.device("cpu")})
            write_nnunet_checkpoint(folder / f"fold_{fold}" / CHECKPOINTS[kind], written)
    if configuration.previous_stage is not None:
        log.info(
            "nnU-Net needs the predictions of %s for it (-prev_stage_predictions). Export that model too.",
            configuration.previous_stage,
        )


def _content(facts: CheckpointFacts, weights: dict[str, torch.Tensor], arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "network_weights": weights,
        "optimizer_state": {},
        "grad_scaler_state": None,
        "logging": {},
        "_best_ema": facts.best_ema,
        "current_epoch": facts.epoch,
        "init_args": arguments,
        "trainer_name": "nnUNetTrainerBN" if facts.architecture.network.endswith("batch_norm") else "nnUNetTrainer",
        "inference_allowed_mirroring_axes": tuple(facts.mirror_axes) or None,
    }


def _description(description: DatasetDescription) -> dict[str, Any]:
    """The content of `dataset.json` in nnU-Net's words."""
    labels = description.label_scheme
    expected = tuple(range(labels.classes))
    if labels.stored_values != expected or labels.ignore_value not in (None, labels.classes):
        found = ", ".join(map(str, labels.stored_values))
        raise SegForgeError(
            f"nnU-Net's labels are numbered without gaps, from 0, the ignore label last; this model's are {found}"
            f"{'' if labels.ignore_value is None else f', ignore {labels.ignore_value}'}. Give it as a package instead."
        )
    content = description.model_copy(update={"dataset": None, "reader": None}).model_dump(mode="json", exclude_none=True)
    if description.is_canonical:
        reader = str(description.reader)
        content["overwrite_image_reader_writer"] = reader if reader.endswith("Reorient") else "SimpleITKIOWithReorient"
    return content


def _refuse_other_network(spec: ArchitectureSpec, planned: ArchitectureSpec, path: Path) -> None:
    """What nnU-Net derives from the plans must be what was trained."""
    plain = with_norm(spec, "instance") if spec.network.startswith((PLAIN, RESIDUAL)) else spec
    if plain.model_copy(update={"deep_supervision": planned.deep_supervision}) != planned:
        raise SegForgeError(
            f"{path} was trained with {spec.network}, which nnU-Net would not build from these plans. Give it as a package "
            "instead."
        )


def _number(fold: str) -> int | str:
    return fold if fold == "all" else int(fold)
