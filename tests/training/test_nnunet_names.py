import pytest

from segforge.errors import SegForgeError
from segforge.training.nnunet_names import TRAINERS, is_nnunet_trainer, settings_of_trainer
from segforge.training.settings import TrainingSettings


def settings(name: str, dimensions: int = 3, batch_size: int = 2) -> dict:
    return settings_of_trainer(name, dimensions=dimensions, batch_size=batch_size)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nnUNetTrainer", {}),
        ("nnUNetTrainer_1epoch", {"epochs": 1}),
        ("nnUNetTrainer_50epochs", {"epochs": 50}),
        ("nnUNetTrainer_8000epochs_NoMirroring", {"epochs": 8000, "mirror_axes": ()}),
        ("nnUNetTrainer_onlyMirror01_1500ep", {"epochs": 1500, "mirror_axes": (0, 1)}),
        ("nnUNetTrainerDA5_10epochs", {"epochs": 10, "augmentation": "strong"}),
        ("nnUNetTrainerCELoss_5epochs", {"epochs": 5, "loss": "ce"}),
        ("nnUNetTrainerAdam3en4", {"optimizer": "adamw", "amsgrad": True, "weight_decay": 3e-5, "learning_rate": 3e-4}),
        ("nnUNetTrainer_warmup", {"warmup": 50}),
        ("nnUNetTrainer_probabilisticOversampling_010", {"foreground_drawn": True, "foreground_share": 0.1}),
    ],
)
def test_a_trainer_s_name_stands_for_settings(name: str, expected: dict) -> None:
    assert settings(name) == expected


def test_in_two_dimensions_the_mirror_axes_are_nnunet_s() -> None:
    assert settings("nnUNetTrainer_onlyMirror01_DA5", dimensions=2) == {"mirror_axes": (0,), "augmentation": "strong"}


@pytest.mark.parametrize(("batch_size", "share"), [(2, 0.5), (12, 4 / 12), (7, 2 / 7)])
def test_foreground_is_drawn_as_often_as_it_would_be_put_there(batch_size: int, share: float) -> None:
    found = settings("nnUNetTrainer_probabilisticOversampling", batch_size=batch_size)
    assert found == {"foreground_drawn": True, "foreground_share": pytest.approx(share)}


@pytest.mark.parametrize("name", TRAINERS)
def test_every_name_gives_valid_settings(name: str) -> None:
    TrainingSettings.parse({"batch_size": 2} | settings(name), name)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("nnUNetTrainerDA5ord0", "nnUNetTrainerDA5"),
        ("nnUNetTrainerNoMirorring", "nnUNetTrainerNoMirroring"),
        ("nnUNetTrainer_onlyMirror01_DASegOrd0", "nnUNetTrainer_onlyMirror01_DA5"),
        ("nnunettrainer_5epochs", "nnUNetTrainer"),
    ],
)
def test_a_name_without_a_counterpart_is_refused_with_the_nearest(name: str, nearest: str) -> None:
    assert is_nnunet_trainer(name)
    with pytest.raises(SegForgeError, match=rf"has no counterpart here. Did you mean {nearest}\?"):
        settings(name)


def test_other_trainers_are_not_nnunet_s() -> None:
    assert not is_nnunet_trainer("default")
    assert not is_nnunet_trainer("nnunet_like.trainers:Mine")
