"""What was measured of a training -> its time, its memory, what bounds it, and what to change where it is hopeless."""

import torch

from segforge.compute.documents import Document
from segforge.compute.memory import available_memory
from segforge.compute.wording import duration, size
from segforge.training.extension import open_course
from segforge.training.job import TrainingJob
from segforge.training.measurement import Measured

_HOPELESS = 4 * 86_400.0
"""Seconds: longer trainings get advice."""
_WAITS = 0.5
"""Of the time of a step: where reading takes more than that beside the network, reading is what bounds it."""
_HEADROOM = 0.95


class Estimate(Document):
    """What a training would take here. All times are in seconds, memory in bytes.

    Attributes:
        device: Where it was measured.
        opening_seconds: Opening and checking all cases, once.
        reading_seconds: Reading a batch alone.
        augmentation_seconds: Augmenting a batch alone.
        network_seconds: A training step of the network alone.
        step_seconds: A training step as a training does it.
        validation_step_seconds: A validation step.
        saving_seconds: The checkpoints of an epoch.
        epoch_seconds: An epoch.
        epochs: How many there would be; within a budget about.
        training_seconds: The whole training, without the final validation of whole cases.
        host_memory: Of the process, with the cases that it maps.
        case_memory: Those cases; the system takes them back where memory is short, and reads them again.
        device_memory: On a CUDA device.
        bound_by: `network`, `augmentation`, `processor` (of reading) or `disk`.
        advice: What to change, if anything.
    """

    device: str
    opening_seconds: float
    reading_seconds: float
    augmentation_seconds: float
    network_seconds: float
    step_seconds: float
    validation_step_seconds: float
    saving_seconds: float
    epoch_seconds: float
    epochs: int
    training_seconds: float
    host_memory: int
    case_memory: int
    device_memory: int | None
    bound_by: str
    advice: tuple[str, ...]


def estimate_of(measured: Measured, job: TrainingJob, device_name: str) -> Estimate:
    """The estimate that follows from what was measured.

    Args:
        measured: What was measured.
        job: The training.
        device_name: The device in words.
    """
    settings = job.settings
    whole_cases = measured.whole_case * len(job.full_volume.cases) if job.full_volume and settings.validate_every else 0.0
    epoch_seconds = (
        settings.iterations * measured.step
        + settings.validation_iterations * measured.validation_step
        + measured.saving
        + whole_cases / max(1, settings.validate_every)
    )
    outlook = open_course(settings).outlook(0, epoch_seconds)
    bound_by = _bound_by(measured)
    return Estimate(
        device=device_name,
        opening_seconds=measured.opening,
        reading_seconds=measured.reading,
        augmentation_seconds=measured.augmenting,
        network_seconds=measured.network,
        step_seconds=measured.step,
        validation_step_seconds=measured.validation_step,
        saving_seconds=measured.saving,
        epoch_seconds=outlook.epoch_seconds,
        epochs=outlook.epochs,
        training_seconds=measured.opening + outlook.seconds,
        host_memory=measured.host_bytes + measured.case_bytes,
        case_memory=measured.case_bytes,
        device_memory=measured.device_bytes,
        bound_by=bound_by,
        advice=tuple(_advice(measured, job, outlook.seconds, bound_by)),
    )


def _bound_by(measured: Measured) -> str:
    """What a step waits for most of all."""
    if measured.step - measured.network - measured.augmenting > _WAITS * measured.step:
        return "processor" if measured.reading_processor > _WAITS * measured.reading else "disk"
    return "network" if measured.network >= measured.augmenting else "augmentation"


def _advice(measured: Measured, job: TrainingJob, seconds: float, bound_by: str) -> list[str]:
    advice, device = [], job.device
    if seconds > _HOPELESS:
        gpu = "" if device.type == "cuda" else ", or use a GPU"
        advice.append(
            f"{duration(seconds)} on {device}: give a time with --budget 12h, plan a smaller network (segforge plan -d DATASET "
            f"--features 8 --name small){gpu}."
        )
    if bound_by == "disk":
        advice.append("The disk is slower than the network: put the workspace, or preprocessed/ alone, on a local SSD.")
    if bound_by == "processor":
        advice.append("Reading is slower than the network: give the training more processor cores.")
    if bound_by == "augmentation":
        advice.append("Augmentation takes longer than the network: --augmentation default is the quickest that augments.")
    if measured.host_bytes > (free := available_memory() + measured.host_bytes) * _HEADROOM:
        advice.append(f"The process takes {size(measured.host_bytes)} of {size(free)}: use a smaller --batch-size.")
    if measured.device_bytes and measured.device_bytes > _HEADROOM * torch.cuda.mem_get_info(device)[1]:
        advice.append("The device is nearly full: a smaller --batch-size is safer.")
    return advice
