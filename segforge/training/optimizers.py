"""The settings' optimizer for a network."""

import torch
from torch import nn

from segforge.training.adan import Adan
from segforge.training.settings import TrainingSettings


def build_optimizer(settings: TrainingSettings, network: nn.Module) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, Adam, AdamW or Adan over all parameters, by the settings' numbers.

    On CUDA a step is one kernel, which also needs no look at scaled float16 gradients from the host.
    """
    lr, weight_decay, parameters = settings.learning_rate, settings.weight_decay, list(network.parameters())
    fused = True if all(parameter.device.type == "cuda" for parameter in parameters) else None
    if settings.optimizer == "adam":
        return torch.optim.Adam(parameters, lr, weight_decay=weight_decay, amsgrad=settings.amsgrad, fused=fused)
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr, weight_decay=weight_decay, amsgrad=settings.amsgrad, fused=fused)
    if settings.optimizer == "adan":
        return Adan(parameters, lr, weight_decay=weight_decay)
    momentum, nesterov = settings.momentum, settings.momentum > 0
    return torch.optim.SGD(parameters, lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov, fused=fused)
