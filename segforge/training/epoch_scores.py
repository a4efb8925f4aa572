"""What the steps of an epoch gave -> the numbers of its record."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from segforge.training.checkpoints import Progress
from segforge.training.history import EpochRecord
from segforge.training.pseudo_dice import dice_from_counts

_EMA_SHARE = 0.1


def score_epoch(
    progress: Progress,
    names: Sequence[str],
    scores: Sequence[tuple[Tensor, Tensor]],
    whole: Sequence[Mapping[str, float]],
    *,
    learning_rate: float,
    seconds: float,
    usual_steps: int,
) -> EpochRecord:
    """The record of the epoch under way, of which everything is done.

    Args:
        progress: Where the training stands; its moving average is brought up to date.
        names: Of the structures.
        scores: Loss and overlap counts `(3, structures)` of each validation step.
        whole: Dice of each whole case by name of the structure, in epochs that measure it.
        learning_rate: Of the last step.
        seconds: Wall time.
        usual_steps: Training steps of an epoch by the settings.
    """
    dice = dice_from_counts(torch.stack([counts for _, counts in scores]).sum(0))
    mean, steps = _known_mean(dice), len(progress.losses)
    progress.ema = mean if math.isnan(progress.ema) else (1 - _EMA_SHARE) * progress.ema + _EMA_SHARE * mean
    volumes = {name: _known_mean([case[name] for case in whole]) for name in names} if whole else {}
    return EpochRecord(
        epoch=progress.epoch,
        learning_rate=learning_rate,
        train_loss=_mean(progress.losses),
        validation_loss=_mean([loss for loss, _ in scores]),
        pseudo_dice=_known(dict(zip(names, dice, strict=True))),
        mean_pseudo_dice=mean,
        ema=progress.ema,
        seconds=seconds,
        full_volume_dice=_known(volumes) if volumes else None,
        mean_full_volume_dice=_known_mean([*volumes.values()]) if volumes else None,
        iterations=None if steps == usual_steps else steps,
    )


def _mean(losses: Sequence[Tensor]) -> float:
    return float(torch.stack([loss.cpu() for loss in losses]).double().mean())


def _known_mean(values: Sequence[float]) -> float:
    """Mean without what is not a number; NaN if nothing is one."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def _known(dice: Mapping[str, float]) -> dict[str, float | None]:
    """The same with None for what is not a number."""
    return {name: None if math.isnan(value) else value for name, value in dice.items()}
