import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
from batchgeneratorsv2.transforms.intensity.contrast import ContrastTransform
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.nnunet_masking import MaskImageTransform
from batchgeneratorsv2.transforms.utils.pseudo2d import Convert2DTo3DTransform, Convert3DTo2DTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from segforge.errors import SegForgeError
from segforge.training.augmentation import Augmentation, AugmentationParameters, BatchTransform, NoAugmentation
from segforge.training.augmentation.intensity import add_noise

MakePatch = Callable[..., tuple[Tensor, Tensor]]

PATCHES = [(10, 14, 12), (9, 13, 11), (6, 21, 20), (24, 31)]
MASKED = (True, False)


def sample_of(parameters: AugmentationParameters, sample: int) -> AugmentationParameters:
    """The parameters of one sample of a batch."""
    fields = {field.name: getattr(parameters, field.name) for field in dataclasses.fields(parameters)}
    return AugmentationParameters(**{name: values[sample : sample + 1] for name, values in fields.items()})


def busy_parameters(augmentation: Augmentation, batch_size: int) -> AugmentationParameters:
    """Drawn parameters in a batch so chosen that every transform occurs in it, and is left out of it."""
    for seed in range(10_000):
        drawn = augmentation.draw(np.random.default_rng(seed), batch_size)
        factors = (drawn.brightnesses, drawn.contrasts, drawn.zooms, drawn.inverted_gammas, drawn.gammas)
        happened = [*((values != 1).any(axis=1) for values in factors), (drawn.angles != 0).any(axis=1)]
        happened += [drawn.scalings != 1, drawn.noise_sigmas != 0, drawn.blur_sigmas.any(axis=(1, 2))]
        if all(flags.any() and not flags.all() for flags in happened):
            return drawn
    raise AssertionError("no such batch")


def make_samples(
    augmentation: BatchTransform, parameters: AugmentationParameters, make_patch: MakePatch
) -> tuple[list[Tensor], list[Tensor]]:
    """Images and labels of the source sizes."""
    sizes = augmentation.source_sizes(parameters)
    samples = [make_patch(size, seed=seed) for seed, size in enumerate(sizes)]
    return [image for image, _ in samples], [labels for _, labels in samples]


def reference_augmentation(
    image: Tensor, labels: Tensor, drawn: AugmentationParameters, patch: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """The whole of METHOD's augmentation by batchgeneratorsv2, with one sample's numbers put in."""
    data = {"image": image.clone(), "segmentation": labels[None].clone()}
    dummy_2d = len(patch) == 3 and drawn.angles.shape[1] == 1
    if drawn.transformed[0]:
        data = _reference_spatial(data, drawn, patch, dummy_2d)
    image = data["image"]
    if drawn.noise_sigmas[0] != 0:
        image = add_noise(image, float(drawn.noise_sigmas[0]), int(drawn.noise_seeds[0]))
    image = _reference_intensities(image, drawn, dummy_2d)
    flips = np.flatnonzero(drawn.mirrored[0]).tolist()
    data = MirrorTransform((0, 1, 2)).apply({"image": image, "segmentation": data["segmentation"]}, axes=flips)
    data = MaskImageTransform([channel for channel, masked in enumerate(MASKED) if masked]).apply(data)
    data = RemoveLabelTansform(-1, 0).apply(data)
    return data["image"], data["segmentation"][0]


def _reference_spatial(
    data: dict[str, Tensor], drawn: AugmentationParameters, patch: Sequence[int], dummy_2d: bool
) -> dict[str, Tensor]:
    angles = drawn.angles[0] if drawn.angles.shape[1] == 3 else [0, drawn.angles[0, 0]]
    spatial = SpatialTransform(
        tuple(patch[1:] if dummy_2d else patch),
        patch_center_dist_from_border=0,
        random_crop=False,
        p_rotation=1,
        rotation=lambda image, dim: angles[dim],
        p_scaling=1,
        scaling=(drawn.scalings[0], drawn.scalings[0]),
        p_synchronize_scaling_across_axes=1,
        bg_style_seg_sampling=False,
        border_mode_seg="constant",
        padding_value_seg=-1,
    )
    if not dummy_2d:
        return spatial(**data)
    return Convert2DTo3DTransform()(**spatial(**Convert3DTo2DTransform()(**data)))


def _reference_intensities(image: Tensor, drawn: AugmentationParameters, dummy_2d: bool) -> Tensor:
    channels = torch.arange(2)
    blurred = drawn.blur_sigmas[0].any(axis=1)
    sigmas = drawn.blur_sigmas[0][blurred].tolist()
    image = GaussianBlurTransform()._apply_to_image(image, apply_to_channel=torch.from_numpy(blurred), sigmas=sigmas)
    multipliers = torch.from_numpy(drawn.brightnesses[0]).float()
    image = MultiplicativeBrightnessTransform(1.0, False)._apply_to_image(
        image, apply_to_channel=channels, multipliers=multipliers
    )
    multipliers = torch.from_numpy(drawn.contrasts[0]).float()
    image = ContrastTransform(1.0, True, False)._apply_to_image(image, apply_to_channel=channels, multipliers=multipliers)
    scales = torch.from_numpy(drawn.zooms[0]).float()[:, None].repeat(1, image.ndim - 1)
    scales[:, : int(dummy_2d)] = 1
    image = SimulateLowResolutionTransform(1.0, False, True, None)._apply_to_image(
        image, apply_to_channel=channels, scales=scales
    )
    for inverted, exponents in ((True, drawn.inverted_gammas[0]), (False, drawn.gammas[0])):
        if (exponents != 1).any():
            image = GammaTransform(1.0, 0, False, 1, 1)._apply_to_image(
                image,
                apply_to_channel=channels,
                retain_stats=torch.ones(2, dtype=torch.bool),
                invert_image=torch.full((2,), inverted),
                gamma=torch.from_numpy(exponents).float(),
            )
    return image


@pytest.mark.parametrize("patch", PATCHES)
def test_whole_augmentation_equals_batchgenerators_in_order(make_patch: MakePatch, patch: tuple[int, ...]) -> None:
    augmentation = Augmentation(patch, mirror_axes=range(len(patch)), masked_channels=MASKED)
    parameters = busy_parameters(augmentation, 12)
    images, labels = make_samples(augmentation, parameters, make_patch)
    batch, targets = augmentation(images, labels, parameters)
    for sample, (image, label) in enumerate(zip(images, labels, strict=True)):
        expected = reference_augmentation(image, label, sample_of(parameters, sample), patch)
        agreeing = targets[sample] == expected[1]
        assert agreeing.float().mean() >= 0.999
        torch.testing.assert_close(batch[sample] * agreeing, expected[0] * agreeing, atol=1e-4, rtol=0)


@pytest.mark.parametrize("patch", PATCHES)
def test_mixed_batch_equals_its_samples_one_by_one(make_patch: MakePatch, patch: tuple[int, ...]) -> None:
    augmentation = Augmentation(patch, mirror_axes=(1,), masked_channels=MASKED)
    parameters = busy_parameters(augmentation, 8)
    images, labels = make_samples(augmentation, parameters, make_patch)
    batch, targets = augmentation(images, labels, parameters)
    for sample in range(8):
        alone = augmentation(images[sample : sample + 1], labels[sample : sample + 1], sample_of(parameters, sample))
        torch.testing.assert_close(batch[sample], alone[0][0], atol=1e-5, rtol=0)
        assert torch.equal(targets[sample], alone[1][0])


def test_same_seed_gives_the_same_bytes(make_patch: MakePatch) -> None:
    augmentation = Augmentation((10, 14, 12), mirror_axes=(0, 1, 2), masked_channels=MASKED)
    first, second = (augmentation.draw(np.random.default_rng(3), 16) for _ in range(2))
    other = augmentation.draw(np.random.default_rng(4), 16)
    assert first.noise_sigmas.any()
    images, labels = make_samples(augmentation, first, make_patch)
    batches = [augmentation(images, labels, parameters) for parameters in (first, second)]
    assert torch.equal(batches[0][0], batches[1][0]) and torch.equal(batches[0][1], batches[1][1])
    assert not np.array_equal(first.mirrored, other.mirrored)


class DeviceRules(TorchDispatchMode):
    """Fails on what makes the host wait for a GPU, and on what Apple's GPUs lack."""

    READING_BACK = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique", "is_nonzero")

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        assert not name.startswith(self.READING_BACK), name
        results = func(*args, **(kwargs or {}))
        for result in results if isinstance(results, list | tuple) else [results]:
            assert not isinstance(result, Tensor) or result.dtype != torch.float64, name
        return results


@pytest.mark.parametrize("patch", PATCHES)
def test_no_value_is_read_back_and_no_float64_is_used(make_patch: MakePatch, patch: tuple[int, ...]) -> None:
    augmentation = Augmentation(patch, mirror_axes=(0, 1), masked_channels=MASKED)
    parameters = busy_parameters(augmentation, 8)
    images, labels = make_samples(augmentation, parameters, make_patch)
    with DeviceRules():
        batch, _ = augmentation(images, labels, parameters)
    assert batch.shape[0] == 8


def test_only_rotated_or_scaled_samples_read_the_initial_patch() -> None:
    augmentation = Augmentation((40, 56, 40), mirror_axes=(), masked_channels=[False])
    parameters = augmentation.draw(np.random.default_rng(0), 50)
    sizes = augmentation.source_sizes(parameters)
    assert set(sizes) == {(40, 56, 40), (73, 80, 64)}
    assert [size == (73, 80, 64) for size in sizes] == parameters.transformed.tolist()


def test_batch_has_types_and_shapes_of_the_network_and_leaves_the_samples_alone(make_patch: MakePatch) -> None:
    augmentation = Augmentation((24, 31), mirror_axes=(0, 1), masked_channels=MASKED)
    parameters = busy_parameters(augmentation, 12)
    images, labels = make_samples(augmentation, parameters, make_patch)
    copies = [image.clone() for image in images], [label.clone() for label in labels]
    batch, targets = augmentation(images, [label.to(torch.int8) for label in labels], parameters)
    assert (batch.dtype, targets.dtype) == (torch.float32, torch.int16)
    assert (batch.shape, targets.shape) == ((12, 2, 24, 31), (12, 24, 31))
    assert set(targets.unique().tolist()) == {0, 1, 2, 3}
    assert all(torch.equal(image, copy) for image, copy in zip(images, copies[0], strict=True))
    assert all(torch.equal(label, copy) for label, copy in zip(labels, copies[1], strict=True))


def test_masked_channels_are_zero_outside_the_mask_and_others_are_not(make_patch: MakePatch) -> None:
    augmentation = Augmentation((24, 31), mirror_axes=(), masked_channels=MASKED)
    plain = NoAugmentation((24, 31)).draw(np.random.default_rng(0), 1)
    ones, parameters = np.ones((1, 2)), augmentation.draw(np.random.default_rng(0), 1)
    names = ("brightnesses", "contrasts", "zooms", "inverted_gammas", "gammas")
    parameters = dataclasses.replace(plain, blur_sigmas=np.zeros_like(parameters.blur_sigmas), **dict.fromkeys(names, ones))
    image, labels = make_patch((24, 31))
    batch, _ = augmentation([image], [labels], parameters)
    outside = labels < 0
    assert outside.any()
    assert not batch[0, 0][outside].any()
    assert torch.equal(batch[0, 0][~outside], image[0][~outside])
    assert torch.equal(batch[0, 1], image[1])


def test_no_augmentation_stacks_and_turns_minus_one_into_background(make_patch: MakePatch) -> None:
    validation = NoAugmentation((9, 8, 7))
    rng = np.random.default_rng(5)
    parameters = validation.draw(rng, 2)
    assert rng.random() == np.random.default_rng(5).random()
    assert validation.initial_patch_size == validation.patch_size == (9, 8, 7)
    assert validation.source_sizes(parameters) == [(9, 8, 7)] * 2
    images, labels = make_samples(validation, parameters, make_patch)
    batch, targets = validation(images, [label.to(torch.int8) for label in labels], parameters)
    assert torch.equal(batch, torch.stack(images))
    assert torch.equal(targets, torch.stack(labels).clamp(min=0))
    assert targets.dtype == torch.int16


def test_mirror_axis_that_the_patch_lacks_is_refused() -> None:
    with pytest.raises(SegForgeError, match="mirror_axes"):
        Augmentation((24, 31), mirror_axes=(0, 2), masked_channels=[False])
