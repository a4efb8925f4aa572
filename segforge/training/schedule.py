"""Learning rates and the weights of deep supervision, as formulas."""

import numpy as np


def poly_learning_rate(initial: float, epoch: int, epochs: int) -> float:
    """The learning rate of an epoch: initial * (1 - epoch / epochs) ** 0.9."""
    return float(initial * (1 - epoch / epochs) ** 0.9)


def deep_supervision_weights(outputs: int) -> list[float]:
    """Weights of the losses from the highest resolution downward: halves, the lowest 0, together 1."""
    weights = 0.5 ** np.arange(outputs)
    if outputs > 1:
        weights[-1] = 0
    return [float(weight) for weight in weights / weights.sum()]
