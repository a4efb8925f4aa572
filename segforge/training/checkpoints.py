"""When the state of a training is saved, under which name, and how a training goes on from it."""

import math
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from segforge.compute.documents import without_nan
from segforge.compute.interruption import StopRequest
from segforge.errors import Interrupted, SegForgeError
from segforge.networks.checkpoint import Checkpoint, CheckpointFacts, load_weights, save_checkpoint
from segforge.networks.model_folder import BEST, FINAL, LATEST
from segforge.planning.architecture import ArchitectureSpec
from segforge.training import group
from segforge.training.course import Course
from segforge.training.extension import going_on, open_course
from segforge.training.history import EpochRecord, History
from segforge.training.job import TrainingJob
from segforge.training.precision import load_scaler, scaler_tensors
from segforge.training.state import keep_previous, load_optimizer, newest_checkpoint, optimizer_tensors, remove_intermediate

_SAVE_SECONDS = 600


@dataclass
class Progress:
    """Where a training stands.

    Attributes:
        course: How it goes on.
        epoch: Completed epochs, which is the number of the one under way.
        losses: Losses of the steps done in that one, on the device.
        ema: Moving average of the mean pseudo-Dice; NaN before the first.
        best: The highest so far of what the best checkpoint is chosen by.
        record: What the history says of the last completed epoch.
    """

    course: Course
    epoch: int = 0
    losses: list[Tensor] = field(default_factory=list)
    ema: float = math.nan
    best: float = math.nan
    record: EpochRecord | None = None


class Checkpoints:
    """The checkpoints of one training, which the first of its processes writes. What is no longer finite is never saved."""

    def __init__(
        self,
        job: TrainingJob,
        spec: ArchitectureSpec,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        mirror_axes: tuple[int, ...],
    ) -> None:
        """Name what is saved.

        Args:
            job: The training.
            spec: Its network.
            network: That network, on the device.
            optimizer: Its optimizer.
            scaler: What scales its gradients.
            mirror_axes: Spatial axes that are mirrored in training, and may be in prediction.
        """
        self._job, self._spec = job, spec
        self._network, self._optimizer, self._scaler = network, optimizer, scaler
        self._mirror_axes = mirror_axes
        self._saved_at = time.monotonic()
        self._latest_is_whole = False
        self._writes = job.keeps_checkpoints and group.rank() == 0

    def restore(self) -> Progress:
        """Load the newest checkpoint that is whole into network and optimizer; without one all begins at 0.

        Raises:
            SegForgeError: If it is of another network, or none of those that there are is whole.
        """
        folder, device = self._job.folder, self._job.device
        found = newest_checkpoint(folder, extends=bool(self._job.extend))
        if found is None:
            return Progress(open_course(self._job.settings))
        name, checkpoint = found
        facts = checkpoint.facts
        self._latest_is_whole = name == LATEST
        if facts.architecture != self._spec:
            raise SegForgeError(f"The checkpoint in {folder} is of another network. Train anew with --restart.")
        if device.type == "cpu":
            torch.set_num_threads(max(1, facts.threads // group.local_size()))
        load_weights(self._network, checkpoint.weights, str(folder))
        load_optimizer(self._optimizer, self._network, checkpoint.optimizer)
        load_scaler(self._scaler, checkpoint.optimizer)
        losses = [torch.tensor(loss) for loss in facts.losses]
        record = EpochRecord(**facts.record) if facts.record else None
        course = going_on(self._job.settings, facts, History(folder).read(), self._job.extend)
        return Progress(course, facts.epoch, losses, facts.ema, facts.best_ema, record)

    def save_when_due(self, progress: Progress, stop: StopRequest) -> None:
        """Save the latest state every ten minutes, and where the user or the system asked to stop.

        Raises:
            Interrupted: If they did.
        """
        is_asked = group.any_of(stop.requested)
        if is_asked or time.monotonic() - self._saved_at > _SAVE_SECONDS:
            self.save_latest(progress)
        if not is_asked:
            return
        group.wait()  # where one process ends, a launcher ends the others: not before the checkpoint is there
        if not self._job.keeps_checkpoints:
            raise Interrupted(
                f"Stopped in epoch {progress.epoch}; with --no-checkpoints nothing is saved: the command begins anew."
            )
        raise Interrupted(
            f"Stopped in epoch {progress.epoch} after {len(progress.losses)} steps; saved. Type the command again to go on."
        )

    def save_latest(self, progress: Progress) -> None:
        """Save, if checkpoints are kept; the one before it is kept too, unless that was found damaged."""
        self.refuse_divergence(progress)
        self._saved_at = time.monotonic()
        if not self._writes:
            return
        if self._latest_is_whole:
            keep_previous(self._job.folder)
        self._save(LATEST, progress, progress.record)
        self._latest_is_whole = True

    def save_best(self, progress: Progress) -> None:
        """Save what scores best so far, if checkpoints are kept."""
        if self._writes:
            self.refuse_divergence(progress)
            self._save(BEST, progress)

    def finish(self, progress: Progress) -> None:
        """Save the final checkpoint, and remove those that only a training that goes on needs."""
        self.refuse_divergence(progress)
        if group.rank() == 0:
            self._save(FINAL, progress)
            remove_intermediate(self._job.folder)

    def refuse_divergence(self, progress: Progress) -> None:
        """Never save what is no longer a number: the checkpoints that there are stay good.

        Raises:
            SegForgeError: If a loss or a weight is not finite.
        """
        numbers = [*progress.losses, *(parameter.detach().sum() for parameter in self._network.parameters())]
        if not all(math.isfinite(float(number)) for number in numbers):
            raise SegForgeError(
                f"The training is no longer finite in epoch {progress.epoch}. The last good checkpoint is in "
                f"{self._job.folder}. Check the images for extreme values; train anew under another --name with another "
                "--seed, or a lower --lr."
            )

    def _save(self, name: str, progress: Progress, record: EpochRecord | None = None) -> None:
        course = progress.course.facts()
        facts = CheckpointFacts(
            configuration=self._job.name,
            fold=self._job.fold,
            architecture=self._spec,
            epoch=progress.epoch,
            losses=tuple(float(loss) for loss in progress.losses),
            record=None if record is None else without_nan(record.content()),
            ema=progress.ema,
            best_ema=progress.best,
            mirror_axes=self._mirror_axes,
            threads=torch.get_num_threads() * group.local_size(),
            course=None if course is None else course.model_dump(mode="json"),
        )
        optimizer = optimizer_tensors(self._optimizer, self._network) | scaler_tensors(self._scaler)
        save_checkpoint(self._job.folder / name, Checkpoint(self._network.state_dict(), optimizer, facts))
