"""What a whole experiment consists of once it is planned: the trainings, in the order in which one needs another."""

from collections.abc import Sequence
from dataclasses import dataclass

from segforge.errors import SegForgeError
from segforge.planning.plans import Plans


@dataclass(frozen=True)
class FoldTraining:
    """The training of one fold of a configuration, with its validation.

    Attributes:
        configuration: Name of the configuration.
        fold: Fold number, or `all`.
        needs: Names of the trainings whose predictions are inputs of this one.
    """

    configuration: str
    fold: str
    needs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.configuration} fold {self.fold}"


def trainings(
    plans: Plans, configurations: Sequence[str] | None, folds: Sequence[str] | None, divisions: int
) -> list[FoldTraining]:
    """All trainings, each after those that it needs.

    A cascade needs every numbered fold of the configuration that it builds on, also of one that was not asked for.

    Args:
        plans: The plans.
        configurations: Those to train; None trains all that are planned.
        folds: Folds to train; None trains all of the division, or `all` where there is none.
        divisions: Number of folds that the cases are divided into.

    Raises:
        SegForgeError: If there is no such configuration, or nothing is divided for a cascade.
    """
    numbered = [str(fold) for fold in range(divisions)]
    chosen = list(dict.fromkeys(folds or numbered or ["all"]))
    found: dict[str, FoldTraining] = {}
    for name in configurations or plans.configurations:
        stages = list(plans.with_previous_stages(name))
        if len(stages) > 1 and not numbered:
            raise SegForgeError(f"{name} is a cascade, which needs folds; this data set has one case. Leave it out with -c.")
        for position, stage in enumerate(reversed(stages)):
            previous = list(reversed(stages))[position - 1] if position else None
            needs = tuple(f"{previous} fold {fold}" for fold in numbered) if previous else ()
            asked = chosen if stage == name else numbered
            for training in (FoldTraining(stage, fold, needs) for fold in asked):
                found.setdefault(training.name, training)
    return list(found.values())
