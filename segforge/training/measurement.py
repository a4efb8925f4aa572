"""A few steps of a training, timed: reading alone, the network alone, and both together as a training does it."""

import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from segforge.compute.usage import peak_memory
from segforge.training.checkpoints import Checkpoints
from segforge.training.reader import Batch, Reader
from segforge.training.trainer import Trainer

_SECONDS = 8.0  # for each part,
_FEWEST, _MOST = 2, 30  # within these numbers of steps,
_WARMING = 2  # after so many


@dataclass(frozen=True)
class Measured:
    """Seconds of the parts of a training on this machine, and the memory that they took.

    Attributes:
        opening: Opening and checking all cases, once.
        reading: Reading a batch, with nothing else to do.
        reading_processor: Processor time of that, of all threads together.
        augmenting: Augmentation of a batch on the device.
        network: A training step on a batch that is there already.
        step: A training step as a training does it.
        validation_step: A validation step as a training does it.
        saving: The checkpoints of an epoch.
        whole_case: Predicting a whole validation case, where the settings ask for it.
        host_bytes: The most that this process has held.
        case_bytes: The preprocessed cases of the fold.
        device_bytes: The most that was held on a CUDA device.
    """

    opening: float
    reading: float
    reading_processor: float
    augmenting: float
    network: float
    step: float
    validation_step: float
    saving: float
    whole_case: float
    host_bytes: int
    case_bytes: int
    device_bytes: int | None


def measure(trainer: Trainer) -> Measured:
    """Time a few steps of each kind.

    Args:
        trainer: A fresh one, whose folder is a temporary one; its weights are of no use afterwards.
    """
    begin = time.monotonic()
    training, validation = trainer.readers()
    opening = time.monotonic() - begin
    reading, processor = _reading(trainer, training)
    batch = training.read(0)
    images, target = trainer.on_device(batch, trainer.augmentation)
    return Measured(
        opening=opening,
        reading=reading,
        reading_processor=processor,
        augmenting=_timed(trainer, (trainer.on_device(batch, trainer.augmentation) for _ in itertools.count())),
        network=_timed(trainer, (trainer.train_step(images, target) for _ in itertools.count())),
        step=_loop(trainer, training),
        validation_step=_validation_loop(trainer, validation),
        saving=_saving(trainer),
        whole_case=_whole_case(trainer),
        host_bytes=peak_memory(),
        case_bytes=sum(
            case.image.nbytes + case.classes.nbytes for case in trainer.job.cases.values() if case.classes is not None
        ),
        device_bytes=torch.cuda.max_memory_reserved(trainer.job.device) if trainer.job.device.type == "cuda" else None,
    )


def _reading(trainer: Trainer, reader: Reader) -> tuple[float, float]:
    """Seconds for a batch by the clock, and of the processor."""
    begin, count = time.process_time(), 0

    def counted(batches: Iterable[Batch]) -> Iterator[Batch]:
        nonlocal count
        for batch in batches:
            count += 1
            yield batch

    with reader.ahead(range(_MOST + _WARMING)) as batches:
        seconds = _timed(trainer, counted(batches))
    return seconds, (time.process_time() - begin) / count


def _loop(trainer: Trainer, reader: Reader) -> float:
    trainer.network.train()
    with reader.ahead(range(_MOST + _WARMING)) as batches:
        return _timed(trainer, (trainer.train_step(*trainer.on_device(batch, trainer.augmentation)) for batch in batches))


def _validation_loop(trainer: Trainer, reader: Reader) -> float:
    trainer.network.eval()
    transform = trainer.validation_transform
    with reader.ahead(range(_MOST + _WARMING)) as batches:
        return _timed(trainer, (trainer.validation_step(*trainer.on_device(batch, transform)) for batch in batches))


def _saving(trainer: Trainer) -> float:
    """The latest and the best checkpoint, and the picture with what it imports, which counts for the memory alone."""
    job = trainer.job
    job.folder.mkdir(parents=True, exist_ok=True)
    checkpoints = Checkpoints(job, trainer.spec, trainer.network, trainer.optimizer, trainer.scaler, trainer.mirror_axes())
    begin = time.monotonic()
    checkpoints.save_latest(trainer.progress)
    checkpoints.save_best(trainer.progress)
    seconds = time.monotonic() - begin
    trainer.history.draw()
    return seconds


def _whole_case(trainer: Trainer) -> float:
    validator = trainer.job.full_volume
    if validator is None:
        return 0.0
    begin = time.monotonic()
    validator.dice(validator.cases[0], trainer.network)
    return time.monotonic() - begin


def _timed(trainer: Trainer, steps: Iterable[object]) -> float:
    """Mean seconds of the steps after the first ones."""
    device, steps = trainer.job.device, iter(steps)
    for _ in itertools.islice(steps, _WARMING):
        pass
    begin, count = _now(device), 0
    for _ in itertools.islice(steps, _MOST):
        count += 1
        if count >= _FEWEST and time.monotonic() - begin > _SECONDS:
            break
    return (_now(device) - begin) / count


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.monotonic()
