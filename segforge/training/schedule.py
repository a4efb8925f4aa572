"""Learning rates and the weights of deep supervision, as formulas."""

import math

import numpy as np


def scheduled_learning_rate(schedule: str, initial: float, epoch: float, epochs: float, *, warmup: int = 0) -> float:
    """The learning rate of an epoch, or of a moment if both are spans of time.

    Args:
        schedule: `poly`, `cosine` or `constant`.
        initial: The highest learning rate, that of the first epoch after the warm-up.
        epoch: The epoch, from 0.
        epochs: Epochs of the whole training.
        warmup: Epochs in which it rises linearly before the schedule begins; the last of them has `initial`.
    """
    if epoch < warmup:
        return initial * (epoch + 1) / warmup
    if schedule == "constant":
        return initial
    formula = cosine_learning_rate if schedule == "cosine" else poly_learning_rate
    return formula(initial, epoch - warmup, epochs - warmup)


def poly_learning_rate(initial: float, epoch: float, epochs: float) -> float:
    """The learning rate of an epoch: initial * (1 - epoch / epochs) ** 0.9."""
    return float(initial * (1 - epoch / epochs) ** 0.9)


def cosine_learning_rate(initial: float, epoch: float, epochs: float) -> float:
    """The learning rate of an epoch: half a wave of the cosine, from initial to 0."""
    return initial * (1 + math.cos(math.pi * epoch / epochs)) / 2


def deep_supervision_weights(outputs: int) -> list[float]:
    """Weights of the losses from the highest resolution downward: halves, the lowest 0, together 1."""
    weights = 0.5 ** np.arange(outputs)
    if outputs > 1:
        weights[-1] = 0
    return [float(weight) for weight in weights / weights.sum()]
