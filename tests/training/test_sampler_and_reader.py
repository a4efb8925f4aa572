import numpy as np
import pytest
import torch

from segforge.preprocessing.preprocessor import PreprocessedCase
from segforge.training.augmentation import Augmentation, NoAugmentation
from segforge.training.reader import Reader, cut
from segforge.training.sampler import CaseLayout, Sampler

LOCATIONS = {"1": np.array([[2, 3, 4]]), "2": np.array([[9, 9, 9], [0, 0, 0]])}


def draws(sampler: Sampler, count: int = 400) -> list:
    return [sampler.draw(np.random.default_rng((0, number))) for number in range(count)]


@pytest.mark.parametrize(("batch", "random_samples"), [(2, 1), (3, 2), (7, 5), (12, 8), (1, 1)])
def test_the_last_third_of_a_batch_is_centred_on_foreground(batch: int, random_samples: int) -> None:
    case = CaseLayout((40, 40, 40), {"1": np.array([[20, 21, 22]])})
    sampler = Sampler({"a": case}, (8, 8, 8), (10, 10, 10), batch, 0.33)
    for positions in draws(sampler, 50):
        centred = [position.corner == (15, 16, 17) for position in positions]
        assert centred[random_samples:] == [True] * (batch - random_samples)
        assert not any(centred[:random_samples])


def test_random_corners_cover_exactly_the_range_of_the_method() -> None:
    # pad = initial - patch = 5: corners from -3 to 20 + 3 - 15 = 8; a case of 6: pad = 9, from -5 to 6 + 5 - 15 = -4
    sampler = Sampler({"a": CaseLayout((20, 6, 20), {})}, (10, 10, 10), (15, 15, 15), 1, 0.33)
    corners = np.array([positions[0].corner for positions in draws(sampler, 3000)])
    assert sorted(set(corners[:, 0])) == list(range(-3, 9))
    assert sorted(set(corners[:, 1])) == [-5, -4]


def test_foreground_corners_have_a_lower_but_no_upper_limit() -> None:
    sampler = Sampler({"a": CaseLayout((10, 10, 10), LOCATIONS)}, (4, 4, 4), (7, 7, 7), 1, 1.0)
    corners = {positions[0].corner for positions in draws(sampler)}
    assert corners == {(-1, 0, 1), (6, 6, 6), (-2, -2, -2)}


def test_structures_are_equally_likely_and_so_are_cases() -> None:
    cases = {name: CaseLayout((10, 10, 10), LOCATIONS) for name in ("a", "b", "c", "d")}
    positions = [p[0] for p in draws(Sampler(cases, (4, 4, 4), (7, 7, 7), 1, 1.0), 4000)]
    share = np.mean([p.corner == (-1, 0, 1) for p in positions])
    assert abs(share - 0.5) < 0.04
    counts = np.unique([p.case for p in positions], return_counts=True)[1]
    assert len(counts) == 4
    assert abs(counts / 4000 - 0.25).max() < 0.04


def test_a_case_without_foreground_gives_random_corners() -> None:
    sampler = Sampler({"a": CaseLayout((20, 20, 20), {})}, (4, 4, 4), (7, 7, 7), 1, 1.0)
    assert len({positions[0].corner for positions in draws(sampler)}) > 100


def test_with_an_ignore_label_random_samples_are_centred_on_annotated_voxels() -> None:
    locations = {"1": np.array([[9, 9, 9]]), "annotated": np.array([[2, 3, 4], [9, 9, 9]])}
    sampler = Sampler({"a": CaseLayout((20, 20, 20), locations)}, (4, 4, 4), (7, 7, 7), 2, 0.33)
    batches = draws(sampler, 100)
    assert {positions[0].corner for positions in batches} == {(-1, 0, 1), (6, 6, 6)}
    assert {positions[1].corner for positions in batches} == {(6, 6, 6)}
    only = Sampler({"a": CaseLayout((20, 20, 20), {"annotated": np.array([[2, 3, 4]])})}, (4, 4, 4), (7, 7, 7), 1, 1.0)
    assert {positions[0].corner for positions in draws(only, 20)} == {(-1, 0, 1)}


def test_beyond_the_border_there_is_the_given_value() -> None:
    array = np.arange(1, 25).reshape(1, 2, 3, 4)
    box = cut(array, (-1, 1, 2), (4, 3, 4), -1)
    np.testing.assert_array_equal(box[0, 1:3, :2, :2], array[0, :, 1:, 2:])
    assert (box == -1).sum() == box.size - 8
    assert (cut(array, (5, 0, 0), (2, 2, 2), 0) == 0).all()


def stored(seed: int, shape=(12, 13, 14)) -> PreprocessedCase:
    random = np.random.default_rng(seed)
    classes = random.integers(0, 3, (1, *shape)).astype(np.int8)
    image = random.normal(size=(1, *shape)).astype(np.float32)
    return PreprocessedCase(image, classes, {"1": np.argwhere(classes[0] == 1)}, None)


def reader(patch: tuple[int, ...], *, seed: int = 0, augmented: bool = True) -> tuple[Reader, Augmentation | NoAugmentation]:
    cases = {"a": stored(1), "b": stored(2)}
    layouts = {name: CaseLayout(case.image.shape[1:], case.locations) for name, case in cases.items()}
    if augmented:
        transform = Augmentation(patch, mirror_axes=range(len(patch)), masked_channels=[False])
    else:
        transform = NoAugmentation(patch)
    sizes = [(1,) * (3 - len(patch)) + tuple(size) for size in (patch, transform.initial_patch_size)]
    sampler = Sampler(layouts, *sizes, 4, 0.33)
    return Reader(cases, sampler, transform, batch_size=4, seed=seed, purpose=0), transform


@pytest.mark.parametrize("patch", [(8, 10, 6), (9, 7)])
def test_batches_are_a_function_of_seed_and_number_alone(patch: tuple[int, ...]) -> None:
    first, transform = reader(patch)
    with first.ahead([3, 4, 5]) as batches:
        ahead = [transform(batch.images, batch.labels, batch.parameters) for batch in batches]
    for number, (images, labels) in zip((3, 4, 5), ahead, strict=True):
        batch = reader(patch)[0].read(number)
        again = transform(batch.images, batch.labels, batch.parameters)
        assert torch.equal(again[0], images)
        assert torch.equal(again[1], labels)
        assert images.shape == (4, 1, *patch)
    other = reader(patch, seed=1)[0].read(3)
    assert not all(
        a.shape == b.shape and torch.equal(a, b) for a, b in zip(other.images, reader(patch)[0].read(3).images, strict=True)
    )


def test_an_untransformed_sample_is_the_centre_of_the_initial_patch() -> None:
    plain, transform = reader((8, 10, 6))
    position = plain._sampler.draw(np.random.default_rng(0))[0]
    initial = transform.initial_patch_size
    small, _ = plain._sample(position, (8, 10, 6))
    large, _ = plain._sample(position, initial)
    box = tuple(slice(i // 2 - p // 2, i // 2 - p // 2 + p) for i, p in zip(initial, (8, 10, 6), strict=True))
    assert torch.equal(small, large[(slice(None), *box)])


def test_an_error_while_reading_comes_up_in_its_place() -> None:
    broken, _ = reader((8, 10, 6))
    broken._cases = {}
    with pytest.raises(KeyError), broken.ahead([0]) as batches:
        next(batches)
