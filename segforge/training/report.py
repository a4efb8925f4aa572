"""What a user sees of a training: what begins, how long it takes, a line for each epoch, a warning where nothing is learned."""

import logging
import math
import time

import torch
from torch import nn

from segforge.compute.device import autocast, describe_device
from segforge.networks.build import NETWORKS, parameter_count
from segforge.planning.architecture import ArchitectureSpec
from segforge.planning.cost import training_memory
from segforge.training.checkpoints import Progress
from segforge.training.collapse import advice, not_found
from segforge.training.history import EpochRecord, History
from segforge.training.job import TrainingJob

log = logging.getLogger(__name__)

_DRAW_SECONDS = 30
_WARMING_STEPS, _TIMED_STEPS = 3, 10
_VALIDATION_SHARE = 1 / 3
"""A validation step has a forward pass, a training step a backward pass of twice its cost too."""


class Report:
    """Tells how one training goes, while this process runs it."""

    def __init__(self, job: TrainingJob, history: History) -> None:
        self._job = job
        self._history = history
        self._records: list[EpochRecord] = []
        self._drawn_at = time.monotonic()
        self._steps = 0
        self._timed_from = 0.0
        self._is_whole = True
        self._has_announced = False

    def begin(self, spec: ArchitectureSpec, network: nn.Module, progress: Progress) -> None:
        """Say what is trained, on what, and where it goes on."""
        job, settings = self._job, self._job.settings
        patch = "x".join(map(str, job.configuration.patch_size))
        log.info(
            "%s, fold %s: %d cases to train, %d to validate; %d epochs of %d steps, batch %d of %s; %s, %s parameters; %s, "
            "%s%s",
            job.name, job.fold, len(job.training), len(job.validation), settings.epochs, settings.iterations,
            settings.batch_size, patch, spec.network, f"{parameter_count(network):,}", describe_device(job.device),
            _precision(job.device), self._memory(spec),
        )  # fmt: skip
        self._records = self._history.read()
        if progress.epoch or progress.losses:
            log.info("Going on at epoch %d, step %d.", progress.epoch, len(progress.losses))
        self._is_whole = not progress.losses

    def step(self) -> None:
        """A training step is done: after the first ones say how long an epoch will take, and when the last one ends."""
        self._steps += 1
        if self._steps == _WARMING_STEPS:
            self._timed_from = self._now()
        elif self._steps == _WARMING_STEPS + _TIMED_STEPS:
            settings = self._job.settings
            steps = settings.iterations + settings.validation_iterations * _VALIDATION_SHARE
            self._announce_end((self._now() - self._timed_from) / _TIMED_STEPS * steps, settings.epochs - len(self._records))

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is done: a line for it, the picture from time to time, a warning where nothing is learned."""
        log.info(
            "epoch %d: loss %.4f, validation %.4f; pseudo-Dice %s; average %.3f%s; lr %.5f; %.1f s",
            record.epoch, record.train_loss, record.validation_loss, _words(record.pseudo_dice),
            math.nan if record.ema is None else record.ema,
            f"; full-volume Dice {_words(record.full_volume_dice)}" if record.full_volume_dice else "",
            record.learning_rate, record.seconds,
        )  # fmt: skip
        self._records.append(record)
        self._announce_once(record)
        epochs = self._job.settings.epochs
        if names := not_found(self._records, epochs):
            log.warning("%s", advice(names, len(record.pseudo_dice), epochs))
        if time.monotonic() - self._drawn_at > _DRAW_SECONDS:
            self._history.draw()
            self._drawn_at = time.monotonic()

    def _announce_once(self, record: EpochRecord) -> None:
        """After the first epoch that this process has run from its beginning say how long the others will take."""
        remaining = self._job.settings.epochs - record.epoch - 1
        if remaining and self._is_whole and not self._has_announced:
            self._announce_end(record.seconds, remaining)
            self._has_announced = True
        self._is_whole = True

    def _announce_end(self, seconds: float, epochs: int) -> None:
        end = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + epochs * seconds))
        log.info("An epoch takes about %.1f s; the last of %d ends about %s.", seconds, self._job.settings.epochs, end)

    def _memory(self, spec: ArchitectureSpec) -> str:
        """What a step takes, by the planner's estimate, which knows our own networks."""
        if spec.network not in NETWORKS:
            return ""
        update = {"architecture": spec, "batch_size": self._job.settings.batch_size}
        return f", about {training_memory(self._job.configuration.model_copy(update=update)):.2g} GB of memory"

    def _now(self) -> float:
        if self._job.device.type == "cuda":
            torch.cuda.synchronize(self._job.device)
        return time.monotonic()


def _precision(device: torch.device) -> str:
    context = autocast(device)
    return str(context.fast_dtype if context._enabled else torch.float32).removeprefix("torch.")


def _words(dice: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in dice.items() if value is not None)
