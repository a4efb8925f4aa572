"""The settings' optimizer for a network."""

import torch
from torch import nn

from segforge.training.adan import Adan
from segforge.training.settings import TrainingSettings


def build_optimizer(settings: TrainingSettings, network: nn.Module) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, Adam, AdamW or Adan over all parameters, by the settings' numbers."""
    lr, weight_decay, parameters = settings.learning_rate, settings.weight_decay, network.parameters()
    if settings.optimizer == "adam":
        return torch.optim.Adam(parameters, lr, weight_decay=weight_decay, amsgrad=settings.amsgrad)
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr, weight_decay=weight_decay, amsgrad=settings.amsgrad)
    if settings.optimizer == "adan":
        return Adan(parameters, lr, weight_decay=weight_decay)
    nesterov = settings.momentum > 0
    return torch.optim.SGD(parameters, lr, momentum=settings.momentum, weight_decay=weight_decay, nesterov=nesterov)
