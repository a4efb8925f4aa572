"""Adan, the adaptive Nesterov momentum of Xie et al. (2022), arXiv:2208.06677, algorithm 1 with decoupled weight decay."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

_BETAS = (0.98, 0.92, 0.99)
_SMALLEST_DIVISOR = 1e-8


class Adan(torch.optim.Optimizer):
    """Moments of the gradient, of its difference from the one before, and of the square of the two looked ahead.

    Each keeps the share `betas` of its past; all are corrected for having begun at 0. The first difference is 0.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, *, weight_decay: float, betas: tuple[float, float, float] = _BETAS
    ) -> None:
        """Set up.

        Args:
            parameters: What to optimize.
            lr: Learning rate.
            weight_decay: The weights are divided by 1 + lr * weight_decay after each step.
            betas: Share of the past in the moments of gradient, difference and square.
        """
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "betas": betas})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step along the gradients; returns what the closure returns."""
        result = None
        if closure is not None:
            with torch.enable_grad():
                result = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group["lr"], group["weight_decay"], group["betas"])
        return result

    def _move(
        self, parameter: Tensor, gradient: Tensor, lr: float, weight_decay: float, betas: tuple[float, float, float]
    ) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())  # on the host, where it is read
            state["gradient"] = gradient.clone()
            state |= {name: torch.zeros_like(parameter) for name in ("mean", "mean_difference", "mean_square")}
        difference = gradient - state["gradient"]
        ahead = gradient + betas[1] * difference
        state["step"] += 1
        state["gradient"].copy_(gradient)
        state["mean"].lerp_(gradient, 1 - betas[0])
        state["mean_difference"].lerp_(difference, 1 - betas[1])
        state["mean_square"].lerp_(ahead.square_(), 1 - betas[2])
        begun = [1 - beta ** float(state["step"]) for beta in betas]
        divisor = (state["mean_square"] / begun[2]).sqrt_().add_(_SMALLEST_DIVISOR)
        parameter.addcdiv_(state["mean"], divisor, value=-lr / begun[0])
        parameter.addcdiv_(state["mean_difference"], divisor, value=-lr * betas[1] / begun[1])
        parameter.div_(1 + lr * weight_decay)
