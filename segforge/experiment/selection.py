"""Ranks trained models, and averages of two, by cross-validated Dice; `selection.json` holds the winner for prediction."""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

from segforge.compute.documents import Document, NanFloat
from segforge.compute.executors import ExecutorFactory, Resources
from segforge.compute.locks import FolderLock
from segforge.dataset.labels import LabelScheme
from segforge.errors import SegForgeError
from segforge.evaluation.made_from import pairs_hash
from segforge.evaluation.paired_test import PairedTest, paired_test
from segforge.evaluation.summary import CaseMetrics, Summary, mean_of, summarize
from segforge.experiment.candidates import SELECTION
from segforge.experiment.cross_validation import Gathered
from segforge.experiment.ensembles import Ensemble, Pair
from segforge.experiment.postprocessing import determine_steps, dice_after
from segforge.experiment.prepared import Prepared
from segforge.inference.postprocessing import Postprocessing

log = logging.getLogger(__name__)

FILE_NAME = SELECTION


def lock_of_selection(results: Path) -> FolderLock:
    """The lock that a selection holds on a data set's results."""
    return FolderLock(results / "selection", "made")


class Candidate(Document):
    """One model, or an average of several, in the ranking.

    Attributes:
        models: Names of the folders.
        dice: Mean foreground Dice over the validation cases of all folds used.
        interval: Its bootstrap 95 % interval.
        dice_per_structure: Mean Dice by name of the structure.
    """

    models: tuple[str, ...]
    dice: NanFloat
    interval: tuple[NanFloat, NanFloat] | None = None
    dice_per_structure: dict[str, NanFloat]

    @property
    def name(self) -> str:
        """The models' names, joined."""
        return " + ".join(self.models)


class Selection(Document):
    """The choice of the best.

    Attributes:
        version: Version of this schema.
        dataset: Folder name of the data set.
        folds: The folds that all candidates were compared on.
        models: Names of the winner's folders: one, or several whose probabilities are averaged.
        postprocessing: What makes the winner's label maps better.
        postprocessed_dice: The winner's mean foreground Dice after it.
        ranking: All candidates, the best first.
        comparison: The first against the second, by each case's mean Dice; None if there is no second.
        label_maps: Hash of the winner's label maps and of their references, which the postprocessing was determined on.
    """

    version: Literal[1] = 1
    dataset: str
    folds: tuple[str, ...]
    models: tuple[str, ...]
    postprocessing: Postprocessing = Postprocessing(steps=())
    postprocessed_dice: NanFloat = math.nan
    ranking: tuple[Candidate, ...]
    comparison: PairedTest | None = None
    label_maps: str = ""


@dataclass(frozen=True)
class Contender:
    """A candidate with the scores of every case.

    Attributes:
        models: Names of its folders.
        summary: The scores.
        pairs: Reference and label map of each case.
    """

    models: tuple[str, ...]
    summary: Summary
    pairs: Sequence[Pair]

    @property
    def candidate(self) -> Candidate:
        """Its place in the ranking, without the cases."""
        names = self.summary.labels
        return Candidate(
            models=self.models,
            dice=self.summary.dice,
            interval=self.summary.foreground_interval.get("Dice"),
            dice_per_structure={names[key]: values["Dice"] for key, values in self.summary.mean.items()},
        )

    @property
    def dice_of_cases(self) -> list[float]:
        """Mean Dice of each case over the structures that it has."""
        return [_mean_dice(case) for case in sorted(self.summary.metric_per_case, key=lambda case: case.case)]


def contenders(
    validations: Sequence[Gathered],
    prepared: Prepared,
    factory: ExecutorFactory,
    resources: Resources,
    *,
    ensembles: bool = True,
) -> Iterator[Contender]:
    """Every model, and then every pair of them, in the method's order.

    Args:
        validations: The models' validations on the folds to compare.
        prepared: The data set.
        factory: Opens an executor.
        resources: What to ask of it.
        ensembles: Whether there are pairs.

    Raises:
        SegForgeError: If the models were validated on different cases; names some.
        CasesFailed: If cases could not be averaged or compared; names each.
    """
    _refuse_different_cases(validations)
    labels = prepared.raw.description.label_scheme
    for one in validations:
        yield Contender((one.model.path.name,), summarize(one.cases, labels), one.pairs)
    for members in combinations(validations, 2) if ensembles else ():
        ensemble = Ensemble(members, prepared)
        summary = ensemble.summarize(prepared.raw, factory, resources)
        yield Contender(tuple(member.model.path.name for member in members), summary, ensemble.pairs)


def ranked(field: Sequence[Contender]) -> list[Contender]:
    """The best mean foreground Dice first; an exact tie stays in order, and what has no score comes last."""
    return sorted(field, key=lambda one: math.inf if math.isnan(one.summary.dice) else -one.summary.dice)


def select(
    dataset: str,
    folds: Sequence[str],
    ranking: Sequence[Contender],
    labels: LabelScheme,
    factory: ExecutorFactory,
    resources: Resources,
    earlier: Selection | None = None,
) -> Selection:
    """Choose the first of a ranking and determine its postprocessing.

    Args:
        dataset: Folder name of the data set.
        folds: The folds that were compared on.
        ranking: The contenders, the best first.
        labels: The structures.
        factory: Opens an executor.
        resources: What to ask of it.
        earlier: An earlier selection; its postprocessing stays if it was determined on the same label maps.

    Raises:
        CasesFailed: If label maps could not be read or compared; names each.
    """
    winner = ranking[0]
    label_maps = pairs_hash(winner.pairs)
    if earlier is not None and (earlier.models, earlier.label_maps) == (winner.models, label_maps):
        steps, after = earlier.postprocessing, earlier.postprocessed_dice
    else:
        steps = determine_steps(winner.pairs, labels, factory, resources)
        after = dice_after(winner.pairs, steps, labels, factory, resources) if steps.steps else winner.summary.dice
    return Selection(
        dataset=dataset,
        folds=tuple(folds),
        models=winner.models,
        postprocessing=steps,
        postprocessed_dice=after,
        ranking=tuple(one.candidate for one in ranking),
        comparison=paired_test(winner.dice_of_cases, ranking[1].dice_of_cases) if len(ranking) > 1 else None,
        label_maps=label_maps,
    )


def read_selection(results: Path) -> Selection | None:
    """The selection of a data set's results; None if there is none, or, said in a line, if it cannot be read."""
    path = results / FILE_NAME
    if not path.is_file():
        return None
    try:
        return Selection.read(path)
    except SegForgeError as error:
        log.warning("%s It is made again.", error)
        return None


def _mean_dice(case: CaseMetrics) -> float:
    return mean_of([overlap.Dice for overlap in case.metrics.values()])


def _refuse_different_cases(validations: Sequence[Gathered]) -> None:
    first, *others = validations
    cases = {case.case for case in first.cases}
    for other in others:
        if differing := sorted(cases ^ {case.case for case in other.cases}):
            more = f" and {len(differing) - 5} more" if len(differing) > 5 else ""
            raise SegForgeError(
                f"{first.model.path.name} and {other.model.path.name} cannot be compared: only one of them held out "
                f"{', '.join(differing[:5])}{more}. Choose folds with -f or models with -c, -p, --names that held out the same."
            )
