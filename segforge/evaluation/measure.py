"""All scores of a case: for each structure the counts of voxels and what follows from them, and what else was asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from segforge.dataset.labels import LabelScheme, Target
from segforge.errors import SegForgeError
from segforge.evaluation.extent import voxel_size
from segforge.evaluation.lesions import lesion_scores
from segforge.evaluation.overlap import Array, Overlap, member, overlap_of_case
from segforge.evaluation.own_metrics import find_metric, own_scores, short_name
from segforge.evaluation.rates import rates
from segforge.evaluation.surface import surface_scores

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Measures:
    """What is measured besides overlap and volumes, which cost next to nothing.

    Attributes:
        tolerances: Distances in mm within which surfaces agree; none leaves out all surface metrics.
        lesions: Whether lesions are counted.
        own: Names of further metrics, as they are typed.
    """

    tolerances: tuple[float, ...] = ()
    lesions: bool = False
    own: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if wrong := [tolerance for tolerance in self.tolerances if not 0 <= tolerance < np.inf]:
            raise SegForgeError(f"A tolerance is a distance in mm, 0 or more; found {wrong[0]:g}.")

    def check(self) -> None:
        """Look for the metrics of one's own, before anything is read.

        Raises:
            SegForgeError: If there is none of a name, or two results would have one name.
        """
        nothing, one_label = np.zeros((1, 1, 1), np.int8), LabelScheme((0, 1), (Target("", "", (1,)),))
        scored = scores_of_case(nothing, nothing, one_label, (1.0, 1.0, 1.0), replace(self, own=()))
        taken = {name for overlap in scored.values() for name in overlap.scores}
        for name in self.own:
            find_metric(name)
            if short_name(name) in taken:
                raise SegForgeError(f"There are two metrics {short_name(name)}. Give {name} another name.")
            taken.add(short_name(name))


OVERLAP_ONLY = Measures()


def scores_of_case(
    reference: Array, prediction: Array, labels: LabelScheme, spacing: tuple[float, float, float], measures: Measures
) -> dict[str, Overlap]:
    """Scores of each structure, by its key.

    Args:
        reference: Class map `(Z, Y, X)`; ignored voxels do not count.
        prediction: Class map of the same shape.
        labels: The structures.
        spacing: Voxel size along (z, y, x) in mm.
        measures: What else to measure.
    """
    voxel = voxel_size(reference.shape, spacing)
    scored = {}
    for key, overlap in overlap_of_case(reference, prediction, labels).items():
        scored[key] = overlap.with_scores(rates(overlap, voxel))
    if measures == OVERLAP_ONLY:
        return scored
    annotated = None if labels.ignore_class is None else reference != labels.ignore_class
    for target in labels.targets:
        masks = [member(classes, target) for classes in (reference, prediction)]
        if annotated is not None:
            masks = [mask & annotated for mask in masks]
        scored[target.key] = scored[target.key].with_scores(_scores_of_masks(masks, spacing, measures))
    return scored


def _scores_of_masks(masks: Sequence[Mask], spacing: tuple[float, float, float], measures: Measures) -> dict[str, float]:
    reference, prediction = masks
    scores: dict[str, float] = {}
    if measures.tolerances:
        scores |= surface_scores(reference, prediction, spacing, measures.tolerances)
    if measures.lesions:
        scores |= lesion_scores(reference, prediction)
    return scores | own_scores(measures.own, reference, prediction, spacing)
