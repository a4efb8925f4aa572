"""Trains one fold: epochs of steps, checkpoints, and going on where it stopped."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from segforge.compute.device import autocast
from segforge.compute.interruption import StopRequest, deferred_stop
from segforge.compute.progress import progress_bar
from segforge.errors import SegForgeError
from segforge.networks.batch_norm import with_norm
from segforge.networks.build import build
from segforge.planning.architecture import ArchitectureSpec
from segforge.preprocessing.preprocessor import PreprocessedCase
from segforge.training.augmentation import BatchTransform, NoAugmentation, build_augmentation
from segforge.training.checkpoints import Checkpoints, Progress
from segforge.training.history import EpochRecord, History
from segforge.training.job import TrainingJob
from segforge.training.losses import build_loss
from segforge.training.optimizers import build_optimizer
from segforge.training.pretrained import adopt
from segforge.training.pseudo_dice import dice_from_counts, overlap_counts
from segforge.training.reader import Batch, Reader
from segforge.training.report import Report
from segforge.training.sampler import CaseLayout, Sampler
from segforge.training.schedule import scheduled_learning_rate

_EMA_SHARE = 0.1


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
        self.validation_transform = self.build_validation_transform()
        self.history = History(job.folder)
        self.progress = Progress()

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

    def build_validation_transform(self) -> BatchTransform:
        """What happens to validation patches: nothing, by default."""
        return NoAugmentation(self.job.configuration.patch_size)

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

    @property
    def epoch(self) -> int:
        """Completed epochs, which is the number of the one under way."""
        return self.progress.epoch

    @property
    def losses(self) -> list[Tensor]:
        """Losses of the steps done in the epoch under way, on the device."""
        return self.progress.losses

    def run(self) -> None:
        """Train to the last epoch, from the newest checkpoint if there is one, and leave the final checkpoint.

        Raises:
            Interrupted: After SIGINT or SIGTERM; everything done is saved.
            SegForgeError: If the loss is no longer finite, or a checkpoint belongs to another network.
        """
        self.checkpoints = Checkpoints(self.job, self.spec, self.network, self.optimizer, self.mirror_axes())
        self.progress = self.checkpoints.restore()
        self.history.cut_back(self.epoch, last=self.progress.record)
        self.report = Report(self.job, self.history)
        self.report.begin(self.spec, self.network, self.progress)
        training = self._reader(self.job.training, self.augmentation, 0)
        validation = self._reader(self.job.validation, self.validation_transform, 1)
        with deferred_stop() as stop:
            while self.epoch < self.job.settings.epochs:
                self._run_epoch(training, validation, stop)
        self.history.draw()
        self.checkpoints.finish(self.progress)

    def _run_epoch(self, training: Reader, validation: Reader, stop: StopRequest) -> None:
        begin = time.monotonic()
        settings = self.job.settings
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(self.epoch)
        self.network.train()
        numbers = range(self.epoch * settings.iterations + len(self.losses), (self.epoch + 1) * settings.iterations)
        for batch in _shown(training, numbers, f"epoch {self.epoch}"):
            self.losses.append(self.train_step(*self._on_device(batch, self.augmentation)))
            self.report.step()
            self.checkpoints.save_when_due(self.progress, stop)
        self.network.eval()
        scores = self._validate(validation, stop)
        self.checkpoints.refuse_divergence(self.progress)
        whole = self._validate_whole_cases(stop)
        self._finish_epoch(scores, whole, time.monotonic() - begin)
        self.checkpoints.save_when_due(self.progress, stop)

    def _validate(self, reader: Reader, stop: StopRequest) -> list[tuple[Tensor, Tensor]]:
        count = self.job.settings.validation_iterations
        scores = []
        for batch in _shown(reader, range(self.epoch * count, (self.epoch + 1) * count), "validation patches"):
            scores.append(self.validation_step(*self._on_device(batch, self.validation_transform)))
            self.checkpoints.save_when_due(self.progress, stop)
        return scores

    def _validate_whole_cases(self, stop: StopRequest) -> list[dict[str, float]]:
        """Dice of each of a few whole cases, in the epochs that the settings ask for and in the last one."""
        every, epochs, validator = self.job.settings.validate_every, self.job.settings.epochs, self.job.full_volume
        if not every or validator is None or ((self.epoch + 1) % every and self.epoch + 1 < epochs):
            return []
        dice = []
        with progress_bar(len(validator.cases), "whole cases") as advance:
            for case in validator.cases:
                dice.append(validator.dice(case, self.network))
                self.checkpoints.save_when_due(self.progress, stop)
                advance()
        return dice

    def _finish_epoch(self, scores: list[tuple[Tensor, Tensor]], whole: list[dict[str, float]], seconds: float) -> None:
        progress, names = self.progress, [target.name for target in self.job.labels.targets]
        dice = dice_from_counts(torch.stack([counts for _, counts in scores]).sum(0))
        mean = _known_mean(dice)
        progress.ema = mean if math.isnan(progress.ema) else (1 - _EMA_SHARE) * progress.ema + _EMA_SHARE * mean
        volumes = {name: _known_mean([case[name] for case in whole]) for name in names} if whole else {}
        record = EpochRecord(
            epoch=self.epoch,
            learning_rate=self.learning_rate(self.epoch),
            train_loss=_mean(self.losses),
            validation_loss=_mean([loss for loss, _ in scores]),
            pseudo_dice=_known(dict(zip(names, dice, strict=True))),
            mean_pseudo_dice=mean,
            ema=progress.ema,
            seconds=seconds,
            full_volume_dice=_known(volumes) if volumes else None,
            mean_full_volume_dice=_known_mean([*volumes.values()]) if volumes else None,
        )
        self.on_epoch_end(record)
        progress.epoch, progress.losses = self.epoch + 1, []
        self._settle_best(record)
        progress.record = record
        self.checkpoints.save_latest(progress)
        # After the checkpoint, which holds the record too: whoever reads of an epoch can rely on it.
        self.history.append(record)
        self.report.epoch(record)

    def _settle_best(self, record: EpochRecord) -> None:
        """Save the best checkpoint if this epoch is it."""
        score = record.mean_full_volume_dice if self.job.settings.best_by == "full-volume" else self.progress.ema
        if score is not None and (math.isnan(self.progress.best) or score > self.progress.best):
            self.progress.best = score
            self.checkpoints.save_best(self.progress)

    def _reader(self, names: Sequence[str], transform: BatchTransform, purpose: int) -> Reader:
        settings, cases = self.job.settings, self.job.cases
        layouts = {name: CaseLayout(_spatial(cases[name]), cases[name].locations) for name in names}
        patch, initial = _in_3d(transform.patch_size), _in_3d(transform.initial_patch_size)
        sampler = Sampler(
            layouts, patch, initial, settings.batch_size, settings.foreground_share, drawn=settings.foreground_drawn
        )
        return Reader(cases, sampler, transform, batch_size=settings.batch_size, seed=settings.seed, purpose=purpose)

    def _on_device(self, batch: Batch, transform: BatchTransform) -> tuple[Tensor, Tensor]:
        images, labels = (
            [tensor.to(self.job.device, non_blocking=True) for tensor in tensors] for tensors in (batch.images, batch.labels)
        )
        return transform(images, labels, batch.parameters)


def _shown(reader: Reader, numbers: range, description: str) -> Iterable[Batch]:
    """The batches of those numbers, read ahead, with a progress bar."""
    with progress_bar(len(numbers), description) as advance, reader.ahead(numbers) as batches:
        for batch in batches:
            yield batch
            advance()


def _mean(losses: list[Tensor]) -> float:
    return float(torch.stack([loss.cpu() for loss in losses]).double().mean())


def _known_mean(values: Sequence[float]) -> float:
    """Mean without what is not a number; NaN if nothing is one."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan


def _known(dice: Mapping[str, float]) -> dict[str, float | None]:
    """The same with None for what is not a number."""
    return {name: None if math.isnan(value) else value for name, value in dice.items()}


def _spatial(case: PreprocessedCase) -> tuple[int, int, int]:
    z, y, x = case.image.shape[1:]
    return z, y, x


def _in_3d(size: tuple[int, ...]) -> tuple[int, ...]:
    return (1,) * (3 - len(size)) + size
