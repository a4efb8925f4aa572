from pathlib import Path

import numpy as np
import pytest
from masks import blob
from postprocessing_sets import ONE, SETS, ConstructedSet, LabelMap, drawn
from skimage.measure import label

from segforge.compute.executors import Resources, inline, threads
from segforge.dataset.labels import LabelScheme
from segforge.errors import CasesFailed
from segforge.experiment.postprocessing import FOREGROUND, determine_steps, separate_groups
from segforge.images.files import write_volume
from segforge.images.image import Geometry
from segforge.inference.postprocessing import Postprocessing


def determine(constructed: ConstructedSet, folder: Path) -> Postprocessing:
    return determine_steps(constructed.write(folder), constructed.scheme, inline, Resources())


@pytest.mark.parametrize("name", SETS)
def test_the_rules_that_help_are_kept_and_no_others(name: str, tmp_path: Path) -> None:
    assert tuple(step.structure for step in determine(SETS[name], tmp_path).steps) == SETS[name].expected


def test_one_label_that_falls_stops_the_foreground_though_the_mean_rises(tmp_path: Path) -> None:
    foreground = determine(SETS["the mean rises but one label falls"], tmp_path).trials[0]
    assert foreground.structure == FOREGROUND
    assert foreground.after > foreground.before
    assert not foreground.helped


def test_the_dice_that_decided_is_written_down(tmp_path: Path) -> None:
    found = determine(SETS["with one label only the foreground is tried"], tmp_path)
    (trial,) = found.trials
    voxels, island = 2 * 16, 2 * 4
    assert trial.before == pytest.approx((2 * voxels / (2 * voxels + island) + 1) / 2)
    assert trial.after == 1


def test_steps_name_the_values_in_the_files(tmp_path: Path) -> None:
    pair = drawn((1, 1, 4, 1, 4)), drawn((1, 1, 4, 1, 4), (1, 6, 7, 13, 14))
    constructed = ConstructedSet({"background": 0, "vessel": 200}, [(200 * pair[0], 200 * pair[1])], (FOREGROUND,))
    (step,) = determine(constructed, tmp_path).steps
    assert step.values == (200,)


def test_every_case_that_cannot_be_compared_is_named(tmp_path: Path) -> None:
    pairs = ConstructedSet(ONE, [(drawn(), drawn((7, 1, 2, 1, 2))), (drawn(), drawn()), (drawn(), drawn())], ()).write(tmp_path)
    pairs[2][1].write_bytes(b"no image")
    with pytest.raises(CasesFailed, match=r"(?s)pred/case_0.nii.gz holds the label value 7.*pred/case_2.nii.gz"):
        determine_steps(pairs, LabelScheme.from_description(ONE), threads, Resources(2))


def test_structures_that_share_no_class_are_tried_together() -> None:
    plain = LabelScheme.from_description({"background": 0, "a": 1, "b": 2, "c": 3})
    assert [len(group) for group in separate_groups(plain.targets)] == [3]
    regions = LabelScheme.from_description(
        {"background": 0, "whole": (1, 2, 3), "core": (2, 3), "a": 1, "rest": (3,)}, (1, 2, 1, 3)
    )
    names = [[target.name for target in group] for group in separate_groups(regions.targets)]
    assert names == [["whole"], ["core", "a"], ["rest"]]


NESTED = LabelScheme.from_description(
    {"background": 0, "whole": (1, 2, 3), "core": (2, 3), "rest": (1,), "tip": (3,)}, (1, 2, 1, 3)
)
PLAIN = LabelScheme.from_description({"background": 0, "a": 1, "b": 2, "c": 3})


@pytest.mark.parametrize("labels", [PLAIN, NESTED], ids=["labels", "regions"])
@pytest.mark.parametrize("seed", range(6))
def test_random_predictions_are_judged_as_by_trying_one_rule_after_the_other(
    labels: LabelScheme, seed: int, tmp_path: Path
) -> None:
    cases = [(random_labels(seed, number), random_labels(seed, number, noise=0.04)) for number in range(3)]
    pairs = []
    for number, pair in enumerate(cases):
        pairs.append((tmp_path / f"ref_{number}.nii.gz", tmp_path / f"pred_{number}.nii.gz"))
        for path, array in zip(pairs[-1], pair, strict=True):
            write_volume(path, array, Geometry(array.shape, (1.0, 1.0, 1.0)))
    found = determine_steps(pairs, labels, inline, Resources())
    assert [step.values for step in found.steps] == one_after_the_other(cases, labels)


def random_labels(seed: int, number: int, noise: float = 0) -> LabelMap:
    """Nested blobs of three labels; some voxels of a prediction belong to others."""
    shape = (5, 14, 14)
    inner = [blob(shape, 100 * seed + 10 * number + depth) for depth in range(3)]
    labels = np.where(inner[0], 1 + inner[1] * (1 + inner[2]), 0).astype(np.uint8)
    random = np.random.default_rng(seed + number)
    return np.where(random.random(shape) < noise, random.integers(0, 4, shape), labels).astype(np.uint8)


def one_after_the_other(cases: list[tuple[LabelMap, LabelMap]], labels: LabelScheme) -> list[tuple[int, ...]]:
    """The rules of METHOD, section 7, written down as they stand there."""

    def keep(array: LabelMap, values: tuple[int, ...]) -> LabelMap:
        components = label(np.isin(array, values), connectivity=3)
        sizes = np.bincount(components.ravel())[1:]
        kept = np.isin(components, 1 + np.flatnonzero(sizes == sizes.max(initial=0)))
        return np.where((components > 0) & ~kept, 0, array)

    def dice(predictions: list[LabelMap]) -> dict[tuple[int, ...], float]:
        means = {}
        for values in labels.structures.values():
            masks = [
                (np.isin(truth, values), np.isin(array, values)) for (truth, _), array in zip(cases, predictions, strict=True)
            ]
            means[values] = np.nanmean([2 * (a & b).sum() / (a.sum() + b.sum()) for a, b in masks])
        return means

    steps, current = [], [prediction for _, prediction in cases]
    everything = labels.stored_values[1:]
    before, after = dice(current), dice([keep(array, everything) for array in current])
    if np.mean(list(after.values())) > np.mean(list(before.values())) and all(after[key] >= before[key] for key in before):
        steps.append(everything)
        current = [keep(array, everything) for array in current]
    for values in labels.structures.values():
        changed = [keep(array, values) for array in current]
        if dice(changed)[values] > dice(current)[values]:
            steps.append(values)
            current = changed
    return steps
