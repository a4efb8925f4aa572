"""Trains one fold: epochs of steps, checkpoints, and going on where it stopped."""

import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from segforge.compute.device import autocast, describe_device
from segforge.compute.documents import without_nan
from segforge.compute.interruption import StopRequest, deferred_stop
from segforge.compute.progress import progress_bar
from segforge.dataset.labels import LabelScheme
from segforge.errors import Interrupted, SegForgeError
from segforge.networks.batch_norm import with_norm
from segforge.networks.build import build, parameter_count
from segforge.networks.checkpoint import Checkpoint, CheckpointFacts, load_weights, save_checkpoint
from segforge.networks.model_folder import BEST, FINAL, LATEST
from segforge.planning.architecture import ArchitectureSpec
from segforge.planning.plans import Configuration
from segforge.preprocessing.preprocessor import PreprocessedCase
from segforge.training.augmentation import BatchTransform, NoAugmentation, build_augmentation
from segforge.training.history import EpochRecord, History
from segforge.training.losses import build_loss
from segforge.training.optimizers import build_optimizer
from segforge.training.pretrained import StartingWeights, adopt
from segforge.training.pseudo_dice import dice_from_counts, overlap_counts
from segforge.training.reader import Batch, Reader
from segforge.training.sampler import CaseLayout, Sampler
from segforge.training.schedule import scheduled_learning_rate
from segforge.training.settings import TrainingSettings
from segforge.training.state import keep_previous, load_optimizer, newest_checkpoint, optimizer_tensors, remove_intermediate

log = logging.getLogger(__name__)

_SAVE_SECONDS = 600
_DRAW_SECONDS = 30
_EMA_SHARE = 0.1


@dataclass(frozen=True)
class TrainingJob:
    """What a trainer needs to know.

    Attributes:
        name: Name of the configuration.
        configuration: The configuration.
        labels: The labels.
        fold: Fold number, or `all`.
        folder: The fold's folder.
        cases: The preprocessed cases, by id.
        training: Ids of those to train on.
        validation: Ids of those to validate on.
        settings: The numbers of the training.
        device: Where tensors live.
        start: Weights to begin with instead of random ones.
        keeps_checkpoints: Whether there are checkpoints before the final one.
    """

    name: str
    configuration: Configuration
    labels: LabelScheme
    fold: str
    folder: Path
    cases: Mapping[str, PreprocessedCase]
    training: tuple[str, ...]
    validation: tuple[str, ...]
    settings: TrainingSettings
    device: torch.device
    start: StartingWeights | None = None
    keeps_checkpoints: bool = True


class Trainer:
    """The method's training; subclasses change a decision by overriding the short method that makes it."""

    def __init__(self, job: TrainingJob) -> None:
        self.job = job
        self.spec = self.architecture(job.configuration.architecture)
        self.network = build(self.spec, seed=job.settings.seed)
        if job.start:
            adopt(self.network, job.start)
        self.network.to(job.device)
        self.optimizer = self.build_optimizer()
        self.loss = self.build_loss()
        self.augmentation = self.build_augmentation()
        self.history = History(job.folder)
        self.epoch = 0
        self.losses: list[Tensor] = []
        self.ema = math.nan
        self.best_ema = math.nan
        self._saved_at = self._drawn_at = time.monotonic()
        self._latest_is_whole = False
        self._end_announced = False
        self._begun_within_epoch = False
        self.record: EpochRecord | None = None

    def architecture(self, spec: ArchitectureSpec) -> ArchitectureSpec:
        """The network to train; the plan's by default, with the normalization and the heads that the settings ask for."""
        settings = self.job.settings
        if settings.norm:
            spec = with_norm(spec, settings.norm)
        return spec if settings.deep_supervision else spec.model_copy(update={"deep_supervision": False})

    def build_optimizer(self) -> torch.optim.Optimizer:
        """The settings' optimizer; SGD with Nesterov momentum by default."""
        return build_optimizer(self.job.settings, self.network)

    def build_loss(self) -> nn.Module:
        """The settings' loss; Dice and cross-entropy by default."""
        return build_loss(self.job.settings, self.job.labels, batch_dice=self.job.configuration.batch_dice)

    def build_augmentation(self) -> BatchTransform:
        """The settings' augmentation; the method's by default."""
        configuration = self.job.configuration
        masked = [spec.use_mask for spec in configuration.normalization]
        return build_augmentation(
            self.job.settings.augmentation,
            configuration.patch_size,
            mirror_axes=self.mirror_axes(),
            masked_channels=masked,
        )

    def mirror_axes(self) -> tuple[int, ...]:
        """Spatial axes that are mirrored in training and may be in prediction."""
        axes = tuple(range(self.job.configuration.dimensions))
        chosen = self.job.settings.mirror_axes
        if chosen is None:
            return () if self.job.settings.augmentation == "none" else axes
        if beyond := [axis for axis in chosen if axis not in axes]:
            raise SegForgeError(
                f"mirror_axes has {', '.join(map(str, beyond))}; {self.job.name} has the axes {', '.join(map(str, axes))}. "
                "Name axes from these."
            )
        return tuple(sorted(set(chosen)))

    def learning_rate(self, epoch: int) -> float:
        """The learning rate of an epoch."""
        settings = self.job.settings
        return scheduled_learning_rate(
            settings.schedule, settings.learning_rate, epoch, settings.epochs, warmup=settings.warmup
        )

    def train_step(self, images: Tensor, target: Tensor) -> Tensor:
        """One step on a batch; returns the loss, which stays on the device."""
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.job.device):
            outputs = self.network(images)
        loss: Tensor = self.loss(outputs, target)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.job.settings.gradient_norm)
        self.optimizer.step()
        return loss.detach()

    def validation_step(self, images: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Loss, and overlap counts `(3, structures)`, of a batch."""
        with torch.no_grad(), autocast(self.job.device):
            outputs = self.network(images)
        with torch.no_grad():
            highest = outputs if isinstance(outputs, Tensor) else outputs[0]
            return self.loss(outputs, target), overlap_counts(highest, target, self.job.labels)

    def on_epoch_end(self, record: EpochRecord) -> None:
        """Called after each epoch, before it is saved."""

    def run(self) -> None:
        """Train to the last epoch, from the newest checkpoint if there is one, and leave the final checkpoint.

        Raises:
            Interrupted: After SIGINT or SIGTERM; everything done is saved.
            SegForgeError: If the loss is no longer finite, or a checkpoint belongs to another network.
        """
        self._restore()
        self._announce()
        training, validation = self._reader(self.job.training, self.augmentation, 0), self._validation_reader()
        with deferred_stop() as stop:
            while self.epoch < self.job.settings.epochs:
                self._run_epoch(training, validation, stop)
        self.history.draw()
        self._save(FINAL)
        remove_intermediate(self.job.folder)

    def _run_epoch(self, training: Reader, validation: Reader, stop: StopRequest) -> None:
        begin = time.monotonic()
        settings = self.job.settings
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(self.epoch)
        self.network.train()
        numbers = range(self.epoch * settings.iterations + len(self.losses), (self.epoch + 1) * settings.iterations)
        for batch in _shown(training, numbers, f"epoch {self.epoch}"):
            self.losses.append(self.train_step(*self._on_device(batch, self.augmentation)))
            self._save_when_due(stop)
        self.network.eval()
        scores = self._validate(validation, stop)
        self._finish_epoch(scores, time.monotonic() - begin)
        self._save_when_due(stop)

    def _validate(self, reader: Reader, stop: StopRequest) -> list[tuple[Tensor, Tensor]]:
        count = self.job.settings.validation_iterations
        transform = NoAugmentation(self.job.configuration.patch_size)
        scores = []
        for batch in _shown(reader, range(self.epoch * count, (self.epoch + 1) * count), "validation patches"):
            scores.append(self.validation_step(*self._on_device(batch, transform)))
            self._save_when_due(stop)
        return scores

    def _finish_epoch(self, scores: list[tuple[Tensor, Tensor]], seconds: float) -> None:
        names = [target.name for target in self.job.labels.targets]
        dice = dice_from_counts(torch.stack([counts for _, counts in scores]).sum(0))
        known = [value for value in dice if not math.isnan(value)]
        mean = float(np.mean(known)) if known else math.nan
        self.ema = mean if math.isnan(self.ema) else (1 - _EMA_SHARE) * self.ema + _EMA_SHARE * mean
        record = EpochRecord(
            epoch=self.epoch,
            learning_rate=self.learning_rate(self.epoch),
            train_loss=_mean(self.losses),
            validation_loss=_mean([loss for loss, _ in scores]),
            pseudo_dice=dict(zip(names, dice, strict=True)),
            mean_pseudo_dice=mean,
            ema=self.ema,
            seconds=seconds,
        )
        self.on_epoch_end(record)
        self.epoch += 1
        self.losses = []
        if math.isnan(self.best_ema) or self.ema > self.best_ema:
            self.best_ema = self.ema
            if self.job.keeps_checkpoints:
                self._save(BEST)
        self.record = record
        self._save_latest()
        # After the checkpoint, which holds the record too: whoever reads of an epoch can rely on it.
        self.history.append(record)
        self._report(record)

    def _refuse_divergence(self) -> None:
        """Never save what is no longer a number: the checkpoints that there are stay good."""
        numbers = [*self.losses, *(parameter.detach().sum() for parameter in self.network.parameters())]
        if not all(math.isfinite(float(number)) for number in numbers):
            raise SegForgeError(
                f"The training is no longer finite in epoch {self.epoch}. The last good checkpoint is in {self.job.folder}. "
                "Check the images for extreme values; train anew under another --name with another --seed."
            )

    def _report(self, record: EpochRecord) -> None:
        dice = ", ".join(f"{name} {value:.3f}" for name, value in record.pseudo_dice.items() if value is not None)
        log.info(
            "epoch %d: loss %.4f, validation %.4f; pseudo-Dice %s; average %.3f; lr %.5f; %.1f s",
            record.epoch, record.train_loss, record.validation_loss, dice, self.ema, record.learning_rate, record.seconds,
        )  # fmt: skip
        remaining = self.job.settings.epochs - record.epoch - 1
        if remaining and not self._end_announced and not self._begun_within_epoch:
            end = time.strftime("%Y-%m-%d %H:%M", time.localtime(time.time() + remaining * record.seconds))
            log.info("At this speed the last of %d epochs ends about %s.", self.job.settings.epochs, end)
            self._end_announced = True
        self._begun_within_epoch = False
        if time.monotonic() - self._drawn_at > _DRAW_SECONDS:
            self.history.draw()
            self._drawn_at = time.monotonic()

    def _announce(self) -> None:
        job = self.job
        patch = "x".join(map(str, job.configuration.patch_size))
        log.info(
            "%s, fold %s: %d cases to train, %d to validate; %d epochs of %d steps, batch %d of %s; %s, %s parameters; %s",
            job.name, job.fold, len(job.training), len(job.validation), job.settings.epochs, job.settings.iterations,
            job.settings.batch_size, patch, self.spec.network, f"{parameter_count(self.network):,}",
            describe_device(job.device),
        )  # fmt: skip
        if self.epoch or self.losses:
            log.info("Going on at epoch %d, step %d.", self.epoch, len(self.losses))

    def _reader(self, names: Sequence[str], transform: BatchTransform, purpose: int) -> Reader:
        settings, cases = self.job.settings, self.job.cases
        layouts = {name: CaseLayout(_spatial(cases[name]), cases[name].locations) for name in names}
        patch, initial = _in_3d(transform.patch_size), _in_3d(transform.initial_patch_size)
        sampler = Sampler(
            layouts, patch, initial, settings.batch_size, settings.foreground_share, drawn=settings.foreground_drawn
        )
        return Reader(cases, sampler, transform, batch_size=settings.batch_size, seed=settings.seed, purpose=purpose)

    def _validation_reader(self) -> Reader:
        return self._reader(self.job.validation, NoAugmentation(self.job.configuration.patch_size), 1)

    def _on_device(self, batch: Batch, transform: BatchTransform) -> tuple[Tensor, Tensor]:
        images, labels = (
            [tensor.to(self.job.device, non_blocking=True) for tensor in tensors] for tensors in (batch.images, batch.labels)
        )
        return transform(images, labels, batch.parameters)

    def _restore(self) -> None:
        found = newest_checkpoint(self.job.folder)
        if found is None:
            self.history.cut_back(0)
            return
        name, checkpoint = found
        facts = checkpoint.facts
        self._latest_is_whole = name == LATEST
        self.record = EpochRecord(**facts.record) if facts.record else None
        self.history.cut_back(facts.epoch, last=self.record)
        if facts.architecture != self.spec:
            raise SegForgeError(f"The checkpoint in {self.job.folder} is of another network. Train anew with --restart.")
        if self.job.device.type == "cpu":
            torch.set_num_threads(facts.threads)
        load_weights(self.network, checkpoint.weights, str(self.job.folder))
        load_optimizer(self.optimizer, self.network, checkpoint.optimizer)
        self.epoch, self.ema, self.best_ema = facts.epoch, facts.ema, facts.best_ema
        self.losses = [torch.tensor(loss) for loss in facts.losses]
        self._begun_within_epoch = bool(self.losses)

    def _save_when_due(self, stop: StopRequest) -> None:
        if stop.requested or time.monotonic() - self._saved_at > _SAVE_SECONDS:
            self._save_latest()
        if stop.requested and not self.job.keeps_checkpoints:
            raise Interrupted(f"Stopped in epoch {self.epoch}; with --no-checkpoints nothing is saved.")
        if stop.requested:
            raise Interrupted(
                f"Stopped in epoch {self.epoch} after {len(self.losses)} steps; saved. Type the command again to go on."
            )

    def _save_latest(self) -> None:
        """Save, if checkpoints are kept; the one before it is kept too, unless that was found damaged."""
        if not self.job.keeps_checkpoints:
            self._refuse_divergence()
            self._saved_at = time.monotonic()
            return
        if self._latest_is_whole:
            keep_previous(self.job.folder)
        self._save(LATEST, self.record)
        self._latest_is_whole = True
        self._saved_at = time.monotonic()

    def _save(self, name: str, record: EpochRecord | None = None) -> None:
        self._refuse_divergence()
        facts = CheckpointFacts(
            configuration=self.job.name,
            fold=self.job.fold,
            architecture=self.spec,
            epoch=self.epoch,
            losses=tuple(float(loss) for loss in self.losses),
            record=None if record is None else without_nan(asdict(record)),
            ema=self.ema,
            best_ema=self.best_ema,
            mirror_axes=self.mirror_axes(),
            threads=torch.get_num_threads(),
        )
        optimizer = optimizer_tensors(self.optimizer, self.network)
        save_checkpoint(self.job.folder / name, Checkpoint(self.network.state_dict(), optimizer, facts))


def _shown(reader: Reader, numbers: range, description: str) -> Iterable[Batch]:
    """The batches of those numbers, read ahead, with a progress bar."""
    with progress_bar(len(numbers), description) as advance, reader.ahead(numbers) as batches:
        for batch in batches:
            yield batch
            advance()


def _mean(losses: list[Tensor]) -> float:
    return float(torch.stack([loss.cpu() for loss in losses]).double().mean())


def _spatial(case: PreprocessedCase) -> tuple[int, int, int]:
    z, y, x = case.image.shape[1:]
    return z, y, x


def _in_3d(size: tuple[int, ...]) -> tuple[int, ...]:
    return (1,) * (3 - len(size)) + size
