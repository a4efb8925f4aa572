"""What a whole run will take and what stands in its way, from a few measured steps of each of its networks."""

import math
from typing import Literal, Self

from segforge.compute.documents import Document
from segforge.compute.wording import size
from segforge.experiment.kept_logits import DEFAULT_LIMIT
from segforge.inference.tiles import tile_corners
from segforge.planning.plans import Plans
from segforge.training.estimate import Estimate

_STEP = 0.5  # distance of a validation's tiles, as a share of the patch
_HALF = 2  # bytes of a kept logit
_FLOAT = 4
_COPIES = 4  # of the weights: the final checkpoint and the best, each with as much for the optimizer


class ConfigurationOutlook(Document):
    """What a configuration will take. Times are in seconds, memory and disk in bytes.

    Attributes:
        configuration: Its name.
        folds: Number of trainings.
        step_seconds: A training step.
        training_seconds: One training.
        validation_seconds: Predicting the held-out cases of one training; rough, from the time of a validation step.
        host_memory: Of the process.
        device_memory: On a CUDA device.
        checkpoints: On disk, of all its trainings.
        logits: On disk, of all its validations, if all are kept.
    """

    configuration: str
    folds: int
    step_seconds: float
    training_seconds: float
    validation_seconds: float
    host_memory: int
    device_memory: int | None
    checkpoints: int
    logits: int

    @classmethod
    def of(cls, plans: Plans, name: str, estimate: Estimate, *, folds: int, cases: int, parameters: int) -> Self:
        """The outlook of a configuration.

        Args:
            plans: The plans.
            name: Name of the configuration.
            estimate: What was measured of its network.
            folds: Number of trainings.
            cases: Number of cases that one training holds out.
            parameters: Of the network.
        """
        configuration = plans.configuration(name)
        shape = [
            max(round(voxels), patch)
            for voxels, patch in zip(configuration.median_shape, configuration.patch_size, strict=True)
        ]
        slices = round(plans.original_median_shape[0]) if configuration.dimensions == 2 else 1
        passes = slices * len(tile_corners(shape, configuration.patch_size, _STEP)) * 2**configuration.dimensions
        logits = cases * slices * math.prod(shape) * configuration.architecture.output_channels * _HALF
        return cls(
            configuration=name,
            folds=folds,
            step_seconds=estimate.step_seconds,
            training_seconds=estimate.training_seconds,
            validation_seconds=cases * passes * estimate.validation_step_seconds / configuration.batch_size,
            host_memory=estimate.host_memory - estimate.case_memory,
            device_memory=estimate.device_memory,
            checkpoints=folds * _COPIES * parameters * _FLOAT,
            logits=folds * logits,
        )


class Outlook(Document):
    """What a whole run will take.

    Attributes:
        version: Version of this schema.
        dataset: Folder name of the data set.
        cases: Number of its training cases.
        tried: The cases that were tried: the largest, the smallest and the one in the middle.
        preprocessing_seconds: Preprocessing all cases.
        preprocessed: Bytes of all preprocessed cases.
        configurations: What each one will take; those that could not be tried are missing.
        at_once: Trainings side by side.
        free_disk: Bytes that are free.
        free_memory: Bytes of memory that are free.
        failures: What failed on the way, in lines.
        advice: What to change, in lines.
    """

    version: Literal[1] = 1
    dataset: str
    cases: int
    tried: tuple[str, ...]
    preprocessing_seconds: float
    preprocessed: int
    configurations: tuple[ConfigurationOutlook, ...]
    at_once: int
    free_disk: int
    free_memory: int
    failures: tuple[str, ...]
    advice: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Everything but the selection of the best."""
        each = (one.folds * (one.training_seconds + one.validation_seconds) for one in self.configurations)
        return self.preprocessing_seconds + sum(each) / self.at_once

    @property
    def disk(self) -> int:
        """Bytes that will be written; of logits no more than are kept where nothing else is said."""
        logits = min(DEFAULT_LIMIT, sum(one.logits for one in self.configurations))
        return self.preprocessed + sum(one.checkpoints for one in self.configurations) + logits

    @property
    def memory(self) -> int:
        """Bytes of memory of the largest trainings that run side by side, without the cases, which the system may take back."""
        return self.at_once * max((one.host_memory for one in self.configurations), default=0)

    @property
    def problems(self) -> list[str]:
        """What keeps the run from getting through, each with what to do."""
        found = list(self.failures)
        if self.disk > self.free_disk:
            found.append(
                f"It writes {size(self.disk)}, {size(self.free_disk)} are free: make room, or train fewer configurations (-c)."
            )
        if self.memory > self.free_memory:
            found.append(
                f"Its trainings take {size(self.memory)} of memory, {size(self.free_memory)} are free: run fewer --at-once, or "
                "use a smaller --batch-size."
            )
        return found
