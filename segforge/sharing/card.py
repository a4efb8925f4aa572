"""What a model is, in a file that people read too: `model_card.json`."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from segforge.compute.documents import Document, NanFloat, read_json
from segforge.dataset.description import DatasetDescription
from segforge.evaluation.summary import SUMMARY
from segforge.networks.model_folder import ModelFolder
from segforge.planning.plans import Configuration, Plans

FILE_NAME = "model_card.json"


class Provenance(Document):
    """Where a model comes from.

    Attributes:
        program: What trained it: `SegForge`, or `nnU-Net` and its trainer.
        source: Name of the folder or file that it was imported from; empty if it was trained here.
        files: SHA-256 of the imported files by name.
    """

    program: str = "SegForge"
    source: str = ""
    files: dict[str, str] = Field(default_factory=dict)


class ModelCard(Document):
    """What a model is.

    Attributes:
        version: Version of this schema.
        dataset: Folder name of the data set.
        model: Name of the model's folder.
        channels: What the image channels show.
        labels: Names of the structures.
        network: Registry name of the network.
        spacing: Spacing in mm that it works on.
        patch_size: Its input in voxels.
        folds: Trained folds.
        dice: By fold: mean foreground Dice of its validation, where there is one.
        training_cases: Cases of the data set.
        licence: Of the weights, as whoever passed them on said.
        reference: What to cite.
        notes: Anything else.
        provenance: Where it comes from.
    """

    version: Literal[1] = 1
    dataset: str
    model: str
    channels: tuple[str, ...]
    labels: tuple[str, ...]
    network: str
    spacing: tuple[float, ...]
    patch_size: tuple[int, ...]
    folds: tuple[str, ...]
    dice: dict[str, NanFloat] = Field(default_factory=dict)
    training_cases: int
    licence: str = ""
    reference: str = ""
    notes: str = ""
    provenance: Provenance = Provenance()


def card_of(model: ModelFolder) -> ModelCard:
    """The card of a model: what its folder says, and what its card adds.

    Raises:
        SegForgeError: If a file is missing or damaged.
    """
    plans, description = model.plans, model.description
    _, configuration = model.configuration(plans)
    path = model.path / FILE_NAME
    earlier = ModelCard.read(path) if path.is_file() else None
    card = new_card(
        plans,
        description,
        configuration,
        model=model.path.name,
        folds=model.begun_folds(),
        dice=_dice(model),
        provenance=Provenance(),
    )
    if earlier is None:
        return card
    kept = {name: getattr(earlier, name) for name in ("licence", "reference", "notes", "provenance")}
    return card.model_copy(update=kept | {"dice": earlier.dice | card.dice})


def new_card(
    plans: Plans,
    description: DatasetDescription,
    configuration: Configuration,
    *,
    model: str,
    folds: Sequence[str],
    dice: Mapping[str, float],
    provenance: Provenance,
) -> ModelCard:
    """The card of a model by its plans and the description of its data set.

    Args:
        plans: The plans.
        description: The description.
        configuration: The model's configuration.
        model: Name of its folder.
        folds: Its trained folds.
        dice: Mean foreground Dice of their validations.
        provenance: Where it comes from.
    """
    return ModelCard(
        dataset=plans.dataset,
        model=model,
        channels=description.channels,
        labels=tuple(description.label_scheme.structures),
        network=configuration.architecture.network,
        spacing=configuration.spacing,
        patch_size=configuration.patch_size,
        folds=tuple(folds),
        dice=dict(dice),
        training_cases=description.num_training,
        licence=said(description, "licence", "license"),
        reference=said(description, "reference"),
        provenance=provenance,
    )


def said(description: DatasetDescription, *keys: str) -> str:
    """What a `dataset.json` says under one of its further keys, as text; empty if it says nothing."""
    further = description.model_extra or {}
    return next((str(further[key]) for key in keys if further.get(key)), "")


def foreground_dice(summary: Path) -> float:
    """Mean foreground Dice of a `summary.json`, ours or nnU-Net's; NaN if it does not say."""
    content = read_json(summary)
    mean = content.get("foreground_mean") if isinstance(content, dict) else None
    value = mean.get("Dice") if isinstance(mean, dict) else None
    return float(value) if isinstance(value, int | float) else math.nan


def _dice(model: ModelFolder) -> dict[str, float]:
    paths = {fold: model.fold(fold).validation / SUMMARY for fold in model.begun_folds()}
    return {fold: foreground_dice(path) for fold, path in paths.items() if path.is_file()}
