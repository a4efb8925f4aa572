"""Every choice of the settings does what it says to the training and to what the checkpoint tells prediction."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from training_jobs import job

from segforge.errors import SegForgeError
from segforge.networks.build import build, build_for_inference
from segforge.networks.checkpoint import load_checkpoint
from segforge.planning.architecture import ArchitectureSpec
from segforge.training.sampler import CaseLayout, Sampler
from segforge.training.trainer import Trainer


def trained(folder: Path, **settings) -> Trainer:
    trainer = Trainer(job(folder, **settings))
    trainer.run()
    return trainer


def test_batch_norm_stands_in_the_architecture_and_predicts_without_the_trainer(tmp_path: Path) -> None:
    trainer = trained(tmp_path, norm="batch")
    checkpoint = load_checkpoint(tmp_path / "checkpoint_final.safetensors")
    assert checkpoint.facts.architecture.network == "plain_unet_batch_norm"
    assert checkpoint.facts.architecture == trainer.spec
    network = build_for_inference(checkpoint.facts.architecture, checkpoint.weights, "it")
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    one, two = torch.randn(2, 1, 1, 8, 8)
    torch.testing.assert_close(network(torch.cat([one, two]))[:1], network(one))


def test_batch_norms_start_as_the_instance_norms_do() -> None:
    changes = {
        "dimensions": 3, "input_channels": 1, "output_channels": 2, "features": (4, 8), "strides": ((1, 1, 1), (2, 2, 2)),
        "kernel_sizes": ((3, 3, 3),) * 2, "encoder_blocks": (1, 1), "decoder_convolutions": (1,),
    }  # fmt: skip
    instance = build(ArchitectureSpec(network="residual_encoder_unet", **changes), seed=3)
    batch = build(ArchitectureSpec(network="residual_encoder_unet_batch_norm", **changes), seed=3)
    assert not any(isinstance(module, nn.InstanceNorm3d) for module in batch.modules())
    parameters = dict(batch.named_parameters())
    for name, parameter in instance.named_parameters():
        assert torch.equal(parameters[name], parameter)


def test_the_norm_of_other_networks_cannot_be_chosen(tmp_path: Path) -> None:
    it = job(tmp_path, norm="batch")
    own = it.configuration.architecture.model_copy(update={"network": "mine"})
    with pytest.raises(SegForgeError, match="The normalization of mine cannot be chosen"):
        Trainer(it).architecture(own)
    assert Trainer(job(tmp_path, norm="instance")).spec.network == "plain_unet"


def test_without_deep_supervision_the_network_has_one_head(tmp_path: Path) -> None:
    trainer = trained(tmp_path, deep_supervision=False)
    assert len(trainer.network.heads) == 1
    assert not load_checkpoint(tmp_path / "checkpoint_final.safetensors").facts.architecture.deep_supervision
    assert len(Trainer(job(tmp_path / "other")).network.heads) == 2


@pytest.mark.parametrize(("asked", "expected"), [(None, (0, 1)), ((), ()), ((1,), (1,)), ((1, 0, 1), (0, 1))])
def test_mirror_axes_hold_in_training_and_are_told_to_prediction(tmp_path: Path, asked, expected) -> None:
    trainer = trained(tmp_path, mirror_axes=asked)
    drawn = trainer.augmentation.draw(np.random.default_rng(0), 200).mirrored.any(axis=0)
    assert tuple(np.flatnonzero(drawn)) == expected
    assert load_checkpoint(tmp_path / "checkpoint_final.safetensors").facts.mirror_axes == expected


def test_an_axis_that_there_is_not_cannot_be_mirrored(tmp_path: Path) -> None:
    with pytest.raises(SegForgeError, match="--mirror-axes has 2, -1; 2d has the axes 0, 1"):
        Trainer(job(tmp_path, mirror_axes=(0, 2, -1)))


def test_foreground_drawn_for_each_sample_has_the_chance_asked_for() -> None:
    cases = {"a": CaseLayout((40, 40, 40), {"1": np.array([[20, 21, 22]])})}
    sampler = Sampler(cases, (8, 8, 8), (10, 10, 10), 4, 0.25, drawn=True)
    draws = [sampler.draw(np.random.default_rng(number)) for number in range(500)]
    centred = np.array([[position.corner == (15, 16, 17) for position in batch] for batch in draws])
    np.testing.assert_allclose(centred.mean(0), 0.25, atol=0.07)


@pytest.mark.parametrize(
    "settings",
    [{"optimizer": "adan"}, {"loss": "dice_topk"}, {"loss": "dice_focal", "label_smoothing": 0.1}, {"schedule": "constant"}],
)
def test_it_learns(tmp_path: Path, settings) -> None:
    trainer = trained(tmp_path, epochs=6, iterations=8, learning_rate=0.01, seed=1, **settings)
    records = trainer.history.read()
    assert records[-1].train_loss < records[0].train_loss


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_strong_augmentation_trains(tmp_path: Path, dimensions: int) -> None:
    trainer = trained(tmp_path, dimensions=dimensions, augmentation="strong")
    assert type(trainer.augmentation).__name__ == "StrongAugmentation"
    assert trainer.epoch == 2


def test_without_augmentation_nothing_is_mirrored_here_or_in_prediction(tmp_path: Path) -> None:
    trained(tmp_path, augmentation="none")
    assert load_checkpoint(tmp_path / "checkpoint_final.safetensors").facts.mirror_axes == ()
    with pytest.raises(SegForgeError, match="augmentation none mirrors nothing"):
        job(tmp_path, augmentation="none", mirror_axes=(0,))
