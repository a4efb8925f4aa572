"""A tiny training that needs no files: two cases in memory, a network of two stages, steps that take milliseconds."""

from pathlib import Path

import numpy as np
import torch
from samples import plans_for

from segforge.dataset.labels import LabelScheme
from segforge.planning.plans import Configuration
from segforge.preprocessing.preprocessor import PreprocessedCase
from segforge.training.job import TrainingJob
from segforge.training.settings import TrainingSettings

LABELS = LabelScheme.from_description({"background": 0, "a": 1, "b": 2})
SHORT = {"batch_size": 2, "epochs": 2, "iterations": 2, "validation_iterations": 1}


def case(seed: int) -> PreprocessedCase:
    random = np.random.default_rng(seed)
    classes = random.integers(0, 3, (1, 6, 12, 12)).astype(np.int8)
    image = (classes + random.normal(size=classes.shape)).astype(np.float32)
    return PreprocessedCase(image, classes, {str(k): np.argwhere(classes[0] == k) for k in (1, 2)}, None)


def configuration(dimensions: int = 2) -> Configuration:
    plain = next(iter(plans_for((1.0,) * dimensions).configurations.values()))
    one, two = (1,) * dimensions, (2,) * dimensions
    architecture = plain.architecture.model_copy(
        update={
            "features": (4, 8, 8), "strides": (one, two, two), "kernel_sizes": ((3,) * dimensions,) * 3,
            "encoder_blocks": (1, 1, 1), "decoder_convolutions": (1, 1),
        }
    )  # fmt: skip
    return plain.model_copy(update={"architecture": architecture})


def job(folder: Path, *, dimensions: int = 2, **settings) -> TrainingJob:
    return TrainingJob(
        name="2d" if dimensions == 2 else "3d_fullres",
        configuration=configuration(dimensions),
        labels=LABELS,
        fold="0",
        folder=folder,
        cases={"a": case(1), "b": case(2)},
        training=("a",),
        validation=("b",),
        settings=TrainingSettings.parse(SHORT | settings, "test"),
        device=torch.device("cpu"),
    )
