"""What several models say of a case -> the label map of their average. Needs no torch, so that processes start quickly."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.compute.blas import one_blas_thread
from segforge.dataset.labels import LabelScheme
from segforge.errors import SegForgeError
from segforge.images.files import write_volume
from segforge.inference.export import CaseLogits, labels_of
from segforge.planning.plans import Configuration, Plans
from segforge.preprocessing.preprocessor import CaseProperties

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class MemberCase:
    """What one model says of a case; with a file for the logits small enough to be sent to another process.

    Attributes:
        values: Logits `(heads, Z, Y, X)` on the network's grid, or the `.npy` file that holds them.
        properties: The way back to the case's own grid.
        plans: The model's plans.
        configuration: Its configuration.
    """

    values: Array | Path
    properties: CaseProperties
    plans: Plans
    configuration: Configuration

    def open(self) -> CaseLogits:
        """The logits, mapped from the disk if they are there."""
        values = np.load(self.values, mmap_mode="r", allow_pickle=False) if isinstance(self.values, Path) else self.values
        return CaseLogits.of(values, self.properties, self.plans, self.configuration)


def write_average(members: Sequence[MemberCase], labels: LabelScheme, output: Path) -> None:
    """Write the label map of the models' mean probabilities.

    Raises:
        SegForgeError: If the models saw different images of the case, or the file cannot be written.
    """
    logits = [member.open() for member in members]
    if len({(member.shape, member.box) for member in logits}) > 1:
        raise SegForgeError(
            "its image was another one when one of the models was validated. Run segforge plan again, then this command."
        )
    with one_blas_thread():  # others are at it side by side
        averaged = labels_of(logits, labels)
    write_volume(output, averaged, logits[0].properties.geometry)
