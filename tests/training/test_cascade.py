"""A cascade trains on image and previous stage together, and goes on where it stopped."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_jobs import job

from segforge.errors import Interrupted
from segforge.training.augmentation import CascadeTransform
from segforge.training.cascade import CascadeTrainer
from segforge.training.job import TrainingJob
from segforge.training.run import CASCADE_TRAINERS, TRAINERS, _trainer_class
from segforge.training.trainer import Trainer


def cascade_job(folder: Path, **settings) -> TrainingJob:
    plain = job(folder, dimensions=3, **settings)
    architecture = plain.configuration.architecture.model_copy(update={"input_channels": 3})
    configuration = plain.configuration.model_copy(update={"architecture": architecture, "previous_stage": "3d_lowres"})
    cases = {name: replace(case, previous=np.roll(case.classes, 1, axis=2)) for name, case in plain.cases.items()}
    return replace(plain, configuration=configuration, cases=cases)


def test_it_trains_on_image_and_previous_stage(tmp_path: Path) -> None:
    trainer = CascadeTrainer(cascade_job(tmp_path))
    assert isinstance(trainer.augmentation, CascadeTransform)
    trainer.run()
    assert trainer.epoch == 2


def test_validation_sees_the_previous_stage_as_it_is_beside_the_image(tmp_path: Path) -> None:
    trainer = CascadeTrainer(cascade_job(tmp_path, batch_size=4))
    seen = []
    trainer.network.register_forward_hook(lambda module, inputs, outputs: seen.append((module.training, inputs[0])))
    trainer.run()
    validation = torch.cat([batch for training, batch in seen if not training])
    assert validation.shape[1] == 3
    stored = trainer.job.cases["b"]
    image, previous = torch.from_numpy(stored.image[0]), torch.from_numpy(stored.previous[0])
    for sample in validation:
        corner = next(
            (z, y, x)
            for z in range(-8, 7) for y in range(-8, 13) for x in range(-8, 13)
            if torch.equal(sample[0], padded(image, (z, y, x), 0))
        )  # fmt: skip
        box = padded(previous, corner, -1)
        assert torch.equal(sample[1], (box == 1).float()) and torch.equal(sample[2], (box == 2).float())


def padded(volume: torch.Tensor, corner: tuple[int, int, int], outside: float) -> torch.Tensor:
    """The 8³ box at a corner that may lie outside."""
    wide = torch.nn.functional.pad(volume, (8, 8) * 3, value=outside)
    return wide[tuple(slice(low + 8, low + 16) for low in corner)] if min(corner) >= -8 else volume[:0]


class Stopped(CascadeTrainer):
    """Is interrupted after some steps."""

    def train_step(self, images: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if self.epoch == 1 and len(self.losses) == 1:
            self.checkpoints.save_latest(self.progress)
            raise Interrupted("now")
        return super().train_step(images, target)


def test_going_on_gives_the_same_bytes(tmp_path: Path) -> None:
    CascadeTrainer(cascade_job(tmp_path / "whole", epochs=3)).run()
    with pytest.raises(Interrupted):
        Stopped(cascade_job(tmp_path / "parts", epochs=3)).run()
    CascadeTrainer(cascade_job(tmp_path / "parts", epochs=3)).run()
    name = "checkpoint_final.safetensors"
    assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()


def test_a_trainer_of_one_s_own_must_know_cascades() -> None:
    assert _trainer_class("default", CASCADE_TRAINERS) is CascadeTrainer
    assert _trainer_class("default", TRAINERS) is Trainer
    with pytest.raises(Exception, match=r"-tr segforge.training.trainer:Trainer must be a subclass of .*CascadeTrainer"):
        _trainer_class("segforge.training.trainer:Trainer", CASCADE_TRAINERS)
