"""nnU-Net's names of trainers and plans -> our settings, so that commands that people know work as they are."""

import re
from typing import Any

from segforge.errors import SegForgeError, did_you_mean

_PREFIX = "nnUNetTrainer"
_EPOCHS = re.compile(r"_([1-9][0-9]*)ep(?:ochs?)?(?=_|$)")

_NNUNET_ADAMW = {"optimizer": "adamw", "amsgrad": True, "weight_decay": 3e-5}
_NNUNET_ADAM = {"optimizer": "adam", "weight_decay": 3e-5}
_NNUNET_ADAN = {"optimizer": "adan", "weight_decay": 3e-5}

TRAINERS: dict[str, dict[str, Any]] = {
    "nnUNetTrainer": {},
    "nnUNetTrainerDA5": {"augmentation": "strong"},
    "nnUNetTrainerNoDA": {"augmentation": "none"},
    "nnUNetTrainerNoMirroring": {"mirror_axes": ()},
    "nnUNetTrainer_NoMirroring": {"mirror_axes": ()},
    "nnUNetTrainer_onlyMirror01": {"mirror_axes": (0, 1)},
    "nnUNetTrainer_onlyMirror01_DA5": {"mirror_axes": (0, 1), "augmentation": "strong"},
    "nnUNetTrainerAdam": _NNUNET_ADAMW | {"learning_rate": 1e-2},
    "nnUNetTrainerAdam1en3": _NNUNET_ADAMW | {"learning_rate": 1e-3},
    "nnUNetTrainerAdam3en4": _NNUNET_ADAMW | {"learning_rate": 3e-4},
    "nnUNetTrainerVanillaAdam": _NNUNET_ADAM | {"learning_rate": 1e-2},
    "nnUNetTrainerVanillaAdam1en3": _NNUNET_ADAM | {"learning_rate": 1e-3},
    "nnUNetTrainerVanillaAdam3en4": _NNUNET_ADAM | {"learning_rate": 3e-4},
    "nnUNetTrainerAdan": _NNUNET_ADAN | {"learning_rate": 1e-2},
    "nnUNetTrainerAdan1en3": _NNUNET_ADAN | {"learning_rate": 1e-3},
    "nnUNetTrainerAdan3en4": _NNUNET_ADAN | {"learning_rate": 3e-4},
    "nnUNetTrainerAdan1en1": _NNUNET_ADAN | {"learning_rate": 1e-1},
    "nnUNetTrainerAdanCosAnneal": _NNUNET_ADAN | {"learning_rate": 1e-2, "schedule": "cosine"},
    "nnUNetTrainerCosAnneal": {"schedule": "cosine"},
    "nnUNetTrainer_warmup": {"warmup": 50},
    "nnUNetTrainerDiceLoss": {"loss": "dice"},
    "nnUNetTrainerDiceCELoss_noSmooth": {"dice_smoothing": 0.0},
    "nnUNetTrainerCELoss": {"loss": "ce"},
    "nnUNetTrainerTopk10Loss": {"loss": "topk"},
    "nnUNetTrainerTopk10LossLS01": {"loss": "topk", "label_smoothing": 0.1},
    "nnUNetTrainerDiceTopK10Loss": {"loss": "dice_topk"},
    "nnUNetTrainerBN": {"norm": "batch"},
    "nnUNetTrainerNoDeepSupervision": {"deep_supervision": False},
    "nnUNetTrainer_probabilisticOversampling": {"foreground_drawn": True},
    "nnUNetTrainer_probabilisticOversampling_033": {"foreground_drawn": True, "foreground_share": 0.33},
    "nnUNetTrainer_probabilisticOversampling_010": {"foreground_drawn": True, "foreground_share": 0.1},
}
"""The trainers that have a counterpart, with the settings by which they differ; any number of epochs may be added."""

PLANS = {
    "nnUNetPlans": "default",
    "nnUNetResEncUNetMPlans": "resenc-m",
    "nnUNetResEncUNetLPlans": "resenc-l",
    "nnUNetResEncUNetXLPlans": "resenc-xl",
}
"""The names that nnU-Net gives to plans, and ours for the same."""


def is_nnunet_trainer(name: str) -> bool:
    """Whether it looks like a name of nnU-Net's, known or not."""
    return name.lower().startswith("nnunet") and ":" not in name


def settings_of_trainer(name: str, *, dimensions: int, batch_size: int) -> dict[str, Any]:
    """The settings by which a trainer of nnU-Net's differs from its default.

    Args:
        name: Such as `nnUNetTrainerDA5` or `nnUNetTrainer_50epochs`.
        dimensions: Of the configuration; in 2D `onlyMirror01` mirrors the first axis alone.
        batch_size: Of the training; the share of foreground that is really drawn depends on it.

    Raises:
        SegForgeError: If it has no counterpart; gives the nearest that has.
    """
    epochs = _EPOCHS.search(name)
    kind = _EPOCHS.sub("", name)
    if kind not in TRAINERS:
        raise SegForgeError(
            f"The trainer {name} of nnU-Net has no counterpart here.{did_you_mean(kind, TRAINERS)} What it changes may be "
            "an option: segforge train --help."
        )
    settings = TRAINERS[kind] | ({"epochs": int(epochs[1])} if epochs else {})
    if settings.get("mirror_axes") == (0, 1) and dimensions == 2:
        settings["mirror_axes"] = (0,)
    if settings.get("foreground_drawn") and "foreground_share" not in settings:
        settings["foreground_share"] = 1 - round(batch_size * (1 - 0.33)) / batch_size
    return settings


def training_name(trainer: str) -> str:
    """What a training is called where no name is given: as its trainer, if that is not the default."""
    name = trainer.rpartition(":")[2]
    return "default" if name == _PREFIX else name
