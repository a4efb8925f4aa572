"""Whole validation cases through a network in the middle of its training -> Dice, as honest as the final validation's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from segforge.dataset.labels import LabelScheme
from segforge.evaluation.overlap import overlap_of_case
from segforge.inference.sliding_window import SlidingWindow
from segforge.planning.plans import Configuration
from segforge.preprocessing.store import CaseStore

Array = npt.NDArray[Any]

MOST_CASES = 5
_STEP = 0.5


def handful(cases: Sequence[str]) -> tuple[str, ...]:
    """A few cases, the same ones every time: evenly over their sorted ids, the first and the last among them."""
    names = sorted(cases)
    places = np.linspace(0, len(names) - 1, min(MOST_CASES, len(names))).round().astype(int)
    return tuple(names[place] for place in places)


@dataclass(frozen=True)
class FullVolume:
    """Predicts a few whole cases by the sliding window, without mirroring, on the network's grid.

    Attributes:
        cases: The cases.
        store: The preprocessed cases.
        configuration: The configuration.
        labels: The labels.
        device: Where the network is.
    """

    cases: tuple[str, ...]
    store: CaseStore
    configuration: Configuration
    labels: LabelScheme
    device: torch.device

    def dice(self, case: str, network: nn.Module) -> dict[str, float]:
        """Dice of a case by name of the structure, NaN where it does not occur."""
        stored = self.store.open(case, verify=False)
        assert stored.classes is not None
        logits = self._window(network).logits(stored.network_input(self.labels.classes - 1))
        predicted = self.labels.classes_from_logits(iter(logits.cpu().numpy()))
        overlaps = overlap_of_case(np.maximum(stored.classes[0], 0), predicted, self.labels)
        return {target.name: overlaps[target.key].Dice for target in self.labels.targets}

    def _window(self, network: nn.Module) -> SlidingWindow:
        return SlidingWindow(
            [_HighestResolution(network)],
            self.configuration.patch_size,
            self.labels.heads,
            mirror_axes=(),
            step=_STEP,
            device=self.device,
        )


class _HighestResolution(nn.Module):
    """A network that is trained at several resolutions, by its output at the full one."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """From `(B, C, ...)` to logits `(B, heads, ...)`."""
        outputs = self.network(images)
        highest: Tensor = outputs if isinstance(outputs, Tensor) else outputs[0]
        return highest
