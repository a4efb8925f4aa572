"""Trains one fold: epochs of steps, checkpoints, and going on where it stopped."""

import math
import time

import torch
from torch import Tensor, nn

from segforge.compute.device import autocast
from segforge.compute.interruption import StopRequest, deferred_stop
from segforge.compute.progress import progress_bar
from segforge.errors import SegForgeError
from segforge.networks.batch_norm import with_norm
from segforge.networks.build import build
from segforge.planning.architecture import ArchitectureSpec
from segforge.training import group
from segforge.training.augmentation import BatchTransform, NoAugmentation, build_augmentation
from segforge.training.batches import open_reader, shown_batches
from segforge.training.checkpoints import Checkpoints, Progress
from segforge.training.course import Course
from segforge.training.ending import heed
from segforge.training.epoch_scores import score_epoch
from segforge.training.extension import open_course
from segforge.training.history import EpochRecord, History
from segforge.training.job import TrainingJob
from segforge.training.losses import build_loss
from segforge.training.optimizers import build_optimizer
from segforge.training.precision import gradient_scaler, training_precision
from segforge.training.pretrained import adopt
from segforge.training.prior import expect_background
from segforge.training.pseudo_dice import overlap_counts
from segforge.training.reader import Batch, Reader
from segforge.training.report import open_report
from segforge.training.running import compiled, grouped, wants_compiling


class Trainer:
    """The method's training; subclasses change a decision by overriding the short method that makes it."""

    def __init__(self, job: TrainingJob) -> None:
        self.job = job
        self.spec = self.architecture(job.configuration.architecture)
        self.network = build(self.spec, seed=job.settings.seed)
        if job.start:
            adopt(self.network, self.spec, job.start)
        else:
            expect_background(self.network, job.labels)
        self.network.to(job.device)
        self.precision = training_precision(job.settings.precision, job.device)
        self.scaler = gradient_scaler(self.precision, job.device)
        self.optimizer = self.build_optimizer()
        self.running: nn.Module = self.network
        self.loss = self.build_loss()
        self.augmentation = self.build_augmentation()
        self.validation_transform = self.build_validation_transform()
        self.history = History(job.folder)
        self.progress = Progress(open_course(job.settings))

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
                f"--mirror-axes has {', '.join(map(str, beyond))}; {self.job.name} has the axes {', '.join(map(str, axes))}. "
                "Name axes from these."
            )
        return tuple(sorted(set(chosen)))

    def learning_rate(self, epoch: int) -> float:
        """The learning rate of the coming step, which is one of that epoch."""
        return self.course.learning_rate(epoch)

    def train_step(self, images: Tensor, target: Tensor) -> Tensor:
        """One step on a batch; returns the loss, which stays on the device.

        Where several processes train, the batch is this one's share, the loss its part of a mean over all of them, and it is
        `running` (the network, which averages the gradients over the processes) that must be called.
        """
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.job.device, self.precision):
            outputs = self.running(images)
        loss: Tensor = self.loss(outputs, target)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.job.settings.gradient_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.detach()

    def validation_step(self, images: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Loss, and overlap counts `(3, structures)`, of a batch."""
        with torch.no_grad(), autocast(self.job.device, self.precision):
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

    @property
    def course(self) -> Course:
        """How the training goes on."""
        return self.progress.course

    def run(self) -> None:
        """Train to the last epoch, from the newest checkpoint if there is one, and leave the final checkpoint.

        Raises:
            Interrupted: After SIGINT or SIGTERM; everything done is saved.
            SegForgeError: If the loss is no longer finite, or a checkpoint belongs to another network.
        """
        self.checkpoints = Checkpoints(self.job, self.spec, self.network, self.optimizer, self.scaler, self.mirror_axes())
        self.progress = self.checkpoints.restore()
        self._refuse_another_state()
        self.running = grouped(self._compiled(), self.job.device)
        training, validation = self.readers()
        with open_report(self.job, self.history, self.epoch) as self.report:
            self.report.begin(self.spec, self.network, self.progress)
            with deferred_stop() as stop:
                while self.losses or group.of_first(self.course.goes_on(self.epoch)):
                    self._run_epoch(training, validation, stop)
            self.checkpoints.finish(self.progress)
            self.report.draw()

    def _refuse_another_state(self) -> None:
        """All processes must go on from the same step."""
        steps = self.epoch * self.job.settings.iterations + len(self.losses)
        if group.any_of(steps != group.of_first(steps)):
            raise SegForgeError(
                f"The processes do not see the same checkpoint in {self.job.folder}. Its file system is slow to tell of it to "
                "all machines: type the command again."
            )

    def _compiled(self) -> nn.Module:
        """The network, compiled where that is asked for or repays."""
        job, settings = self.job, self.job.settings
        if not wants_compiling(job.compilation, job.device, settings):
            return self.network
        mine = group.share(settings.batch_size)
        shape = (mine.stop - mine.start, self.spec.input_channels, *job.configuration.patch_size)
        with autocast(job.device, self.precision):
            return compiled(self.network, torch.zeros(shape, device=job.device))

    def _run_epoch(self, training: Reader, validation: Reader, stop: StopRequest) -> None:
        begin = time.monotonic()
        self.course.begin_epoch(self.epoch, len(self.losses))
        self._train(training, stop)
        self.network.eval()
        scores = self._validate(validation, stop)
        self.checkpoints.refuse_divergence(self.progress)
        whole = self._validate_whole_cases(stop)
        self._finish_epoch(scores, whole, time.monotonic() - begin)
        self.checkpoints.save_when_due(self.progress, stop)

    def _train(self, reader: Reader, stop: StopRequest) -> None:
        """The training steps of the epoch that are not done yet."""
        self._set_learning_rate()
        self.network.train()
        first = self.epoch * self.job.settings.iterations
        numbers = range(first + len(self.losses), first + self.course.iterations)
        for batch in shown_batches(reader, numbers, f"epoch {self.epoch}"):
            heed(self.job, self.checkpoints, self.progress, self.learning_rate(self.epoch))
            if group.of_first(self.course.ends_epoch(len(self.losses))) and self.losses:
                break
            self._set_learning_rate()
            torch.manual_seed(group.own_seed(self.job.settings.seed + first + len(self.losses)))  # of dropout
            self.losses.append(group.averaged(self.train_step(*self.on_device(batch, self.augmentation))))
            self.report.step()
            self.checkpoints.save_when_due(self.progress, stop)

    def _set_learning_rate(self) -> None:
        learning_rate = group.of_first(self.learning_rate(self.epoch))
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = learning_rate

    def _validate(self, reader: Reader, stop: StopRequest) -> list[tuple[Tensor, Tensor]]:
        self.course.begin_validation()
        first = self.epoch * self.job.settings.validation_iterations
        count = int(group.of_first(self.course.validation_steps(len(self.losses))))
        scores = []
        for batch in shown_batches(reader, range(first, first + count), "validation patches"):
            loss, counts = self.validation_step(*self.on_device(batch, self.validation_transform))
            scores.append((group.averaged(loss), group.summed(counts)))
            self.checkpoints.save_when_due(self.progress, stop)
        return scores

    def _validate_whole_cases(self, stop: StopRequest) -> list[dict[str, float]]:
        """Dice of each of a few whole cases, in the epochs that the settings ask for and in the last one."""
        every, validator = self.job.settings.validate_every, self.job.full_volume
        if not every or validator is None or ((self.epoch + 1) % every and not group.of_first(self.course.is_last(self.epoch))):
            return []
        dice = []
        with progress_bar(len(validator.cases), "whole cases") as advance:
            for case in validator.cases:
                dice.append(validator.dice(case, self.network))
                self.checkpoints.save_when_due(self.progress, stop)
                advance()
        return dice

    def _finish_epoch(self, scores: list[tuple[Tensor, Tensor]], whole: list[dict[str, float]], seconds: float) -> None:
        progress = self.progress
        record = score_epoch(
            progress,
            [target.name for target in self.job.labels.targets],
            scores,
            whole,
            learning_rate=self.optimizer.param_groups[0]["lr"],
            seconds=seconds,
            usual_steps=self.job.settings.iterations,
        )
        self.on_epoch_end(record)
        progress.epoch, progress.losses = self.epoch + 1, []
        self._settle_best(record)
        progress.record = record
        self.checkpoints.save_latest(progress)
        self.course.end_epoch()
        self.report.epoch(record)  # after the checkpoint, which holds the record too: whoever reads of an epoch can rely on it

    def _settle_best(self, record: EpochRecord) -> None:
        """Save the best checkpoint if this epoch is it."""
        score = record.mean_full_volume_dice if self.job.settings.best_by == "full-volume" else self.progress.ema
        if score is not None and (math.isnan(self.progress.best) or score > self.progress.best):
            self.progress.best = score
            self.checkpoints.save_best(self.progress)

    def readers(self) -> tuple[Reader, Reader]:
        """What reads the batches of training and validation; every case is opened."""
        return (
            open_reader(self.job, self.job.training, self.augmentation, 0),
            open_reader(self.job, self.job.validation, self.validation_transform, 1),
        )

    def on_device(self, batch: Batch, transform: BatchTransform) -> tuple[Tensor, Tensor]:
        """Images and target of a batch, transformed."""
        images, labels = (
            [tensor.to(self.job.device, non_blocking=True) for tensor in tensors] for tensors in (batch.images, batch.labels)
        )
        return transform(images, labels, batch.parameters)
