"""What a user sees of a training: what begins, how long it takes, a line for each epoch, a warning where nothing is learned."""

import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from segforge.compute.device import describe_device
from segforge.networks.build import parameter_count
from segforge.planning.architecture import ArchitectureSpec
from segforge.training import group
from segforge.training.checkpoints import Progress
from segforge.training.collapse import advice, not_found
from segforge.training.course import VALIDATION_SHARE
from segforge.training.history import EpochRecord, History
from segforge.training.job import TrainingJob
from segforge.training.loggers.feed import Feeds, open_feeds
from segforge.training.memory import planned_memory
from segforge.training.precision import training_precision

log = logging.getLogger(__name__)

_DRAW_SECONDS = 30
_WARMING_STEPS, _TIMED_STEPS = 3, 10


class Report:
    """Tells how one training goes, while this process runs it."""

    def __init__(self, job: TrainingJob, history: History, feeds: Feeds) -> None:
        self._job = job
        self._history = history
        self._feeds = feeds
        self._records: list[EpochRecord] = []
        self._drawn_at = time.monotonic()
        self._steps = 0
        self._timed_from = 0.0
        self._is_whole = True
        self._has_announced = False

    def begin(self, spec: ArchitectureSpec, network: nn.Module, progress: Progress) -> None:
        """Say what is trained, on what, and where it goes on."""
        job, settings = self._job, self._job.settings
        memory = planned_memory(
            job.configuration.model_copy(update={"architecture": spec}), group.largest_share(settings.batch_size)
        )
        patch = "x".join(map(str, job.configuration.patch_size))
        log.info(
            "%s, fold %s: %d cases to train, %d to validate; %s, batch %d of %s; %s, %s parameters; %s%s, %s%s",
            job.name, job.fold, len(job.training), len(job.validation), progress.course.describe(), settings.batch_size, patch,
            spec.network, f"{parameter_count(network):,}", describe_device(job.device),
            f" and {group.size() - 1} more" if group.size() > 1 else "", training_precision(settings.precision, job.device),
            f", about {memory:.2g} GB of memory{' each' if group.size() > 1 else ''}" if memory else "",
        )  # fmt: skip
        self._history.cut_back(progress.epoch, last=progress.record)
        self._records = self._history.read()
        if progress.epoch or progress.losses:
            log.info("Going on at epoch %d, step %d.", progress.epoch, len(progress.losses))
        self._progress = progress
        self._is_whole = not progress.losses

    def step(self) -> None:
        """A training step is done: after the first ones say how long an epoch will take, and when the last one ends."""
        self._steps += 1
        if self._steps == _WARMING_STEPS:
            self._timed_from = self._now()
        elif self._steps == _WARMING_STEPS + _TIMED_STEPS and not self._has_announced:
            course = self._progress.course
            steps = course.iterations + course.validation_steps(course.iterations) * VALIDATION_SHARE
            self._announce_end((self._now() - self._timed_from) / _TIMED_STEPS * steps)

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is done: it enters the history; a line for it, the picture from time to time, a warning where all is 0."""
        self._history.append(record)
        log.info(
            "epoch %d: loss %.4f, validation %.4f; pseudo-Dice %s; average %.3f%s; lr %.5f; %.1f s",
            record.epoch, record.train_loss, record.validation_loss, _words(record.pseudo_dice),
            math.nan if record.ema is None else record.ema,
            f"; full-volume Dice {_words(record.full_volume_dice)}" if record.full_volume_dice else "",
            record.learning_rate, record.seconds,
        )  # fmt: skip
        self._records.append(record)
        is_last = not self._progress.course.goes_on(record.epoch + 1)
        if not is_last:
            self._announce_once(record)
        epochs = self._progress.course.epochs
        if names := not_found(self._records, epochs):
            log.warning("%s", advice(names, len(record.pseudo_dice), epochs))
        self._feeds.epoch(record)
        if time.monotonic() - self._drawn_at > _DRAW_SECONDS and not is_last:
            self.draw()

    def draw(self) -> None:
        """Draw the progress so far."""
        self._history.draw()
        self._drawn_at = time.monotonic()
        if self._records:
            self._feeds.picture(self._records[-1].epoch, self._history.picture)

    def _announce_once(self, record: EpochRecord) -> None:
        """After the first epoch that this process has run from its beginning say how long the others will take."""
        if self._is_whole and not self._has_announced:
            self._announce_end(record.seconds)
            self._has_announced = True
        self._is_whole = True

    def _announce_end(self, epoch_seconds: float) -> None:
        outlook = self._progress.course.outlook(self._progress.epoch, epoch_seconds)
        end = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + outlook.seconds))
        log.info("An epoch takes about %.1f s; the last of %d ends about %s.", outlook.epoch_seconds, outlook.epochs, end)

    def _now(self) -> float:
        if self._job.device.type == "cuda":
            torch.cuda.synchronize(self._job.device)
        return time.monotonic()


class Silence(Report):
    """What a process tells that trains together with the one that tells everything."""

    def begin(self, spec: ArchitectureSpec, network: nn.Module, progress: Progress) -> None:
        """Say nothing."""

    def step(self) -> None:
        """Say nothing."""

    def epoch(self, record: EpochRecord) -> None:
        """Say nothing."""

    def draw(self) -> None:
        """Draw nothing."""


@contextmanager
def open_report(job: TrainingJob, history: History, first_epoch: int) -> Iterator[Report]:
    """Lend what tells of a training.

    Args:
        job: The training.
        history: Where its epochs are written.
        first_epoch: The epoch that it goes on with.
    """
    if group.rank():
        yield Silence(job, history, Feeds([]))
        return
    with open_feeds(job, first_epoch) as feeds:
        yield Report(job, history, feeds)


def _words(dice: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in dice.items() if value is not None)
