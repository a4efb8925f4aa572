"""batchgenerators' transforms as the augmentation: the same batch whichever worker makes it, errors with their reason."""

import random
from functools import partial
from pathlib import Path

import dictionary_transforms
import numpy as np
import pytest
import torch
from training_jobs import job

from segforge.errors import SegForgeError
from segforge.preprocessing.preprocessor import PreprocessedCase
from segforge.training.augmentation import build_augmentation
from segforge.training.augmentation.batchgenerators import DictionaryAugmentation
from segforge.training.reader import Reader
from segforge.training.sampler import CaseLayout, Sampler
from segforge.training.trainer import Trainer

PATCH = (8, 10, 6)


def augmentation(name: str, *, workers: int, patch=PATCH, mirror_axes=(), masked=(False,)) -> DictionaryAugmentation:
    made = build_augmentation(f"dictionary_transforms:{name}", patch, mirror_axes=mirror_axes, masked_channels=masked)
    assert isinstance(made, DictionaryAugmentation)
    return DictionaryAugmentation(made._load, patch, mirror_axes=mirror_axes, masked_channels=masked, workers=workers)


def reader(transform: DictionaryAugmentation) -> Reader:
    cases = {}
    for name in "ab":
        rng = np.random.default_rng(ord(name))
        image, classes = rng.normal(size=(1, 20, 21, 22)), rng.integers(0, 3, (1, 20, 21, 22)).repeat(1, 0)
        cases[name] = PreprocessedCase(image.astype(np.float32), classes.astype(np.int8), {}, None)
    patch = (1,) * (3 - len(transform.patch_size)) + transform.patch_size
    initial = (1,) * (3 - len(transform.patch_size)) + transform.initial_patch_size
    layouts = {name: CaseLayout(case.image.shape[1:], {}) for name, case in cases.items()}
    return Reader(cases, Sampler(layouts, patch, initial, 2, 0.33), transform, batch_size=2, seed=1, purpose=0)


def batches(transform: DictionaryAugmentation, numbers) -> list[tuple[torch.Tensor, torch.Tensor]]:
    with reader(transform).ahead(numbers) as read:
        return [transform(batch.images, batch.labels, batch.parameters) for batch in read]


@pytest.fixture
def in_process(monkeypatch) -> None:
    """Trainings work in this process: workers take seconds to start."""
    monkeypatch.setattr("segforge.training.augmentation.batchgenerators.available_cores", lambda: 0)


@pytest.mark.parametrize(("patch", "workers"), [(PATCH, 2), ((9, 7), 0)])
def test_a_batch_is_the_same_whichever_worker_makes_it(patch, workers: int) -> None:
    alone = batches(augmentation("spatial_and_intensity", workers=0, patch=patch), [0, 1, 2, 3])
    spread = batches(augmentation("spatial_and_intensity", workers=workers, patch=patch), [3, 1, 2])
    for number, (images, labels) in zip([3, 1, 2], spread, strict=True):
        assert images.shape == (2, 1, *patch) and labels.shape == (2, *patch)
        assert torch.equal(images, alone[number][0]) and torch.equal(labels, alone[number][1])
    assert not torch.equal(spread[0][0], spread[1][0])
    assert labels.dtype == torch.int16 and set(labels.unique().tolist()) == {0, 1, 2}


def test_it_is_what_batchgenerators_makes_of_the_patch() -> None:
    transform = augmentation("spatial_and_intensity", workers=0)
    plain = reader(augmentation("brighter", workers=0))
    drawn = reader(transform).read(5)
    positions = plain._sampler.draw(np.random.default_rng((1, 0, 5)))
    boxes = [plain._sample(position, transform.initial_patch_size) for position in positions]
    np.random.seed(drawn.parameters.seed)
    random.seed(drawn.parameters.seed)
    expected = dictionary_transforms.spatial_and_intensity(PATCH, mirror_axes=(), masked_channels=())(
        data=np.stack([image for image, _ in boxes]), seg=np.stack([label for _, label in boxes])[:, None].astype(np.float32)
    )
    batch, labels = transform(drawn.images, drawn.labels, drawn.parameters)
    np.testing.assert_array_equal(batch.numpy(), expected["data"].astype(np.float32))
    np.testing.assert_array_equal(labels.numpy(), np.maximum(expected["seg"][:, 0], 0))


@pytest.mark.parametrize("name", ["brighter", "doubles"])
def test_an_object_is_taken_as_it_is_and_the_patch_is_cut_from_the_centre(name: str) -> None:
    transform = augmentation(name, workers=0, patch=(9, 7), mirror_axes=(0,), masked=(True,))
    image, label = torch.randn(1, *transform.initial_patch_size), torch.ones(transform.initial_patch_size, dtype=torch.int8)
    label[:, ::2] = -1
    parameters = transform.draw(np.random.default_rng(0), 1)
    parameters.mirrored[:] = [[True, False]]
    batch, labels = transform(*transform.prepare([image], [label], parameters), parameters)
    low = [size // 2 - patch // 2 for size, patch in zip(transform.initial_patch_size, (9, 7), strict=True)]
    box = slice(low[0], low[0] + 9), slice(low[1], low[1] + 7)
    inside = (label[box] > 0).flip(0)
    assert torch.equal(batch[0, 0], 2 * image[0][box].flip(0) * inside)
    assert torch.equal(labels[0], inside.to(torch.int16))


def test_mirroring_is_drawn_for_the_axes_that_are_asked_for() -> None:
    drawn = augmentation("doubles", workers=0, mirror_axes=(0, 2)).draw(np.random.default_rng(0), 2000)
    np.testing.assert_allclose(drawn.mirrored.mean(0), [0.5, 0, 0.5], atol=0.05)


def test_the_random_states_of_this_process_stay_as_they_are() -> None:
    states = np.random.get_state()[1].copy(), random.getstate(), torch.get_rng_state()
    batches(augmentation("spatial_and_intensity", workers=0), [0])
    assert (np.random.get_state()[1] == states[0]).all()
    assert random.getstate() == states[1] and torch.equal(torch.get_rng_state(), states[2])


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_in_it_comes_up_with_batch_cases_and_reason(workers: int) -> None:
    with pytest.raises(SegForgeError, match=r"failed on batch 7 \([ab], [ab]\): ValueError: no lesion to paste\.$"):
        batches(augmentation("fails", workers=workers), [7])


def test_a_worker_that_dies_is_reported_with_its_signal() -> None:
    with pytest.raises(SegForgeError, match=r"failed on batch 3 \([ab], [ab]\): its worker process died \(signal SIGKILL"):
        batches(augmentation("dies", workers=2), [3])


def test_a_result_that_is_too_small_is_refused() -> None:
    with pytest.raises(
        SegForgeError, match=r"it returned data of the shape \(2, 1, 4, .* it must be \(2, 1, 8, 10, 6\) or larger"
    ):
        batches(augmentation("too_small", workers=0), [0])


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(SegForgeError, match="dictionary_transforms:number is a int, which cannot be called"):
        build_augmentation("dictionary_transforms:number", PATCH, mirror_axes=(), masked_channels=[False])


def test_it_trains_and_goes_on_to_the_same_bytes(tmp_path: Path, monkeypatch, in_process) -> None:
    name = "dictionary_transforms:spatial_and_intensity"
    Trainer(job(tmp_path / "whole", dimensions=3, augmentation=name)).run()
    step = Trainer.train_step

    def stopping(self, images, target):
        if (self.epoch, len(self.losses)) == (1, 1):
            self.checkpoints.save_latest(self.progress)
            raise KeyboardInterrupt
        return step(self, images, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "train_step", stopping)
        Trainer(job(tmp_path / "parts", dimensions=3, augmentation=name)).run()
    Trainer(job(tmp_path / "parts", dimensions=3, augmentation=name)).run()
    final = "checkpoint_final.safetensors"
    assert (tmp_path / "parts" / final).read_bytes() == (tmp_path / "whole" / final).read_bytes()


def test_the_example_trains(tmp_path: Path, monkeypatch, in_process) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "examples")
    Trainer(job(tmp_path, dimensions=3, epochs=1, augmentation="custom_augmentation:elastic")).run()
    assert (tmp_path / "checkpoint_final.safetensors").is_file()


def test_what_loads_the_transform_can_be_sent_to_a_worker() -> None:
    made = build_augmentation("dictionary_transforms:doubles", PATCH, mirror_axes=(), masked_channels=[False])
    assert isinstance(made._load, partial) and made.workers >= 1
