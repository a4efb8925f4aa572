"""A training that another process asks to end soon runs its schedule out in the time that it is given."""

import logging
import math

from segforge.compute.wording import duration
from segforge.training.budget import TimedCourse
from segforge.training.checkpoints import Checkpoints, Progress
from segforge.training.course import Countdown
from segforge.training.job import TrainingJob

log = logging.getLogger(__name__)


def heed(job: TrainingJob, checkpoints: Checkpoints, progress: Progress, learning_rate: float) -> None:
    """If another process has asked for it: from now on the learning rate falls to its end within the time asked for.

    A training that ends sooner by itself goes on as it is. What was asked for is in the checkpoints from here on.

    Args:
        job: The training.
        checkpoints: Where it is saved.
        progress: Where it stands; its course is replaced.
        learning_rate: Of this moment.
    """
    seconds = job.run.asked_to_end() if job.run else None
    if job.run is None or seconds is None:
        return
    if _seconds_left(progress) <= seconds:
        log.info("Asked to end within %s: the training ends sooner by itself.", duration(seconds))
    else:
        countdown = Countdown(seconds=seconds, learning_rate=learning_rate)
        progress.course = TimedCourse(job.settings, countdown, progress.course.extension)
        progress.course.begin_epoch(progress.epoch, len(progress.losses))
        log.info("Asked to end within %s: the learning rate falls from %.2g to its end.", duration(seconds), learning_rate)
        checkpoints.save_latest(progress)
    job.run.heeded()


def _seconds_left(progress: Progress) -> float:
    """Until the training ends by itself, by what its last epoch took."""
    epoch_seconds = progress.record.seconds if progress.record else math.inf
    return progress.course.outlook(progress.epoch, epoch_seconds).seconds
