"""Which course a training takes: that of its settings, the one that it stopped on, or an extension of what is finished."""

import logging
from collections.abc import Sequence
from pathlib import Path

from segforge.errors import SegForgeError
from segforge.networks.checkpoint import CheckpointFacts, load_checkpoint
from segforge.networks.model_folder import FINAL
from segforge.training.budget import TimedCourse
from segforge.training.course import Countdown, Course, CourseFacts, EpochCourse, Extension
from segforge.training.history import EpochRecord
from segforge.training.settings import TrainingSettings
from segforge.training.state import newest_checkpoint, remove_intermediate

log = logging.getLogger(__name__)


def open_course(settings: TrainingSettings, known: CourseFacts | None = None) -> Course:
    """The course of the settings, or the one that a checkpoint knows of.

    Args:
        settings: Of the training.
        known: What the checkpoint says.
    """
    known = known or CourseFacts()
    if known.countdown:
        return TimedCourse(settings, known.countdown, known.extension)
    if known.extension or settings.budget_seconds is None:
        return EpochCourse(settings, known.extension)
    budget = Countdown(seconds=settings.budget_seconds, learning_rate=settings.learning_rate, warmup=settings.warmup)
    return TimedCourse(settings, budget)


def going_on(settings: TrainingSettings, facts: CheckpointFacts, records: Sequence[EpochRecord], epochs: int) -> Course:
    """The course from a checkpoint on.

    Args:
        settings: Of the training.
        facts: Of the checkpoint.
        records: The epochs so far.
        epochs: By how many the finished training is to be extended, or 0.
    """
    known = course_facts(facts)
    if epochs and (known.extension is None or known.extension.epochs != epochs):
        base = known.extension.base if known.extension else facts.epoch
        return EpochCourse(settings, Extension(base=base, epochs=epochs, iterations=_mean_iterations(settings, records)))
    return open_course(settings, known)


def course_facts(facts: CheckpointFacts) -> CourseFacts:
    """What a checkpoint says of the course."""
    return CourseFacts.parse(facts.course or {}, "The course in the checkpoint")


def is_finished(folder: Path, epochs: int) -> bool:
    """Whether a trained fold has nothing left to do; says so, and removes what only a training that goes on needs.

    Args:
        folder: Of the fold, with a final checkpoint.
        epochs: By how many the training is to be extended, or 0.

    Raises:
        SegForgeError: If an extension by another number of epochs was begun and not ended.
    """
    if begun := _begun(folder):
        if epochs not in (0, begun.epochs):
            raise SegForgeError(
                f"An extension of {folder} by {begun.epochs} epochs was begun. Go on with it by --extend {begun.epochs}; "
                "segforge stop ends it early."
            )
        if not epochs:
            log.info(
                "%s is trained already; an extension by %d epochs was begun. Go on with it by --extend %d.",
                folder, begun.epochs, begun.epochs,
            )  # fmt: skip
        return not epochs
    remove_intermediate(folder)
    if not epochs:
        log.info("%s is trained already; what its validation lacks comes now. To train it anew: --restart.", folder)
        return True
    facts = load_checkpoint(folder / FINAL).facts
    known = course_facts(facts).extension
    if known is None or (epochs != known.epochs and known.base + epochs > facts.epoch):
        return False
    log.info("%s is extended by %d epochs already. For more give a larger number.", folder, facts.epoch - known.base)
    return True


def _begun(folder: Path) -> Extension | None:
    """The extension that the newest checkpoint is of, where the final one is not."""
    try:
        found = newest_checkpoint(folder)
    except SegForgeError:  # none of them is whole
        return None
    extension = course_facts(found[1].facts).extension if found else None
    return None if extension == course_facts(load_checkpoint(folder / FINAL).facts).extension else extension


def _mean_iterations(settings: TrainingSettings, records: Sequence[EpochRecord]) -> int:
    """Training steps of the epochs so far, in the mean."""
    counts = [record.iterations or settings.iterations for record in records]
    return max(1, round(sum(counts) / len(counts))) if counts else settings.iterations
