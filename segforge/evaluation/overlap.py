"""Overlap of two label maps: counts of voxels, Dice and IoU."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, Field

from segforge.compute.documents import Document
from segforge.dataset.labels import LabelScheme, Target
from segforge.evaluation.score import Score

Array = npt.NDArray[Any]


class Overlap(Document):
    """Agreement of one structure in one case, with nnU-Net's names; further scores stand beside them under their own.

    Attributes:
        Dice: 2 TP / (2 TP + FP + FN); NaN if the structure is in neither map.
        IoU: TP / (TP + FP + FN), likewise.
        TP: Voxels in both.
        FP: Voxels only in the prediction.
        FN: Voxels only in the reference.
        TN: Voxels in neither.
        n_pred: Voxels in the prediction.
        n_ref: Voxels in the reference.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Score] = Field(init=False)

    Dice: Score
    IoU: Score
    TP: int
    FP: int
    FN: int
    TN: int
    n_pred: int
    n_ref: int

    @property
    def scores(self) -> dict[str, float]:
        """All numbers by name, nnU-Net's first."""
        return self.model_dump()

    def with_scores(self, further: Mapping[str, float]) -> "Overlap":
        """The same with further scores."""
        return Overlap.model_validate(self.scores | dict(further))


def overlap_of_case(reference: Array, prediction: Array, labels: LabelScheme) -> dict[str, Overlap]:
    """Overlap of each structure, by its key.

    Args:
        reference: Class map; ignored voxels do not count.
        prediction: Class map of the same shape.
        labels: The structures.
    """
    if labels.ignore_class is not None:
        annotated = reference != labels.ignore_class
        reference, prediction = reference[annotated], prediction[annotated]
    return {target.key: _overlap(member(reference, target), member(prediction, target)) for target in labels.targets}


def member(classes: Array, target: Target) -> npt.NDArray[np.bool_]:
    """Which voxels of a class map belong to a structure."""
    return np.isin(classes, target.classes)


def _overlap(reference: npt.NDArray[np.bool_], prediction: npt.NDArray[np.bool_]) -> Overlap:
    both = int(np.count_nonzero(reference & prediction))
    n_ref, n_pred = int(np.count_nonzero(reference)), int(np.count_nonzero(prediction))
    union = n_ref + n_pred - both
    return Overlap(
        Dice=2 * both / (n_ref + n_pred) if union else math.nan,
        IoU=both / union if union else math.nan,
        TP=both,
        FP=n_pred - both,
        FN=n_ref - both,
        TN=reference.size - union,
        n_pred=n_pred,
        n_ref=n_ref,
    )
