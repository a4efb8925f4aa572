import math
import re
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from masks import blob

from segforge.dataset.labels import LabelScheme
from segforge.errors import SegForgeError
from segforge.evaluation.chosen_labels import ChosenLabels
from segforge.evaluation.measure import OVERLAP_ONLY, Measures, scores_of_case

LABELS = LabelScheme.from_description({"background": 0, "a": 1, "b": 2})
SPACING = (2.0, 1.0, 0.5)
EVERYTHING = Measures(tolerances=(1.0, 2.0), lesions=True)


def scores(reference, prediction, labels=LABELS, measures=OVERLAP_ONLY, spacing=SPACING) -> dict[str, dict[str, float]]:
    found = scores_of_case(np.asarray(reference), np.asarray(prediction), labels, spacing, measures)
    return {key: overlap.scores for key, overlap in found.items()}


def volume(*values: int) -> np.ndarray:
    """A row of voxels that is long enough to be a volume."""
    return np.array([values, [0] * len(values)])[:, None].repeat(2, 1)[:, :, :] * np.array([1, 0])[:, None, None]


def test_rates_and_volumes_by_hand() -> None:
    found = scores(volume(1, 1, 1, 0, 0), volume(1, 0, 0, 1, 0))["1"]
    assert (found["TP"], found["FP"], found["FN"]) == (2, 2, 4)
    assert found["Sensitivity"] == pytest.approx(1 / 3)
    assert found["Precision"] == pytest.approx(1 / 2)
    assert found["Volume of reference"] == 6  # mm³, of voxels of 1 mm³
    assert found["Volume of prediction"] == 4
    assert found["Volume error"] == -2
    assert found["Relative volume error"] == pytest.approx(-1 / 3)


def test_rates_equal_simple_itk() -> None:
    reference, prediction = np.random.default_rng(0).integers(0, 3, (2, 6, 7, 8))
    measures = sitk.LabelOverlapMeasuresImageFilter()
    measures.Execute(*(sitk.GetImageFromArray(array.astype(np.uint8)) for array in (prediction, reference)))
    for label, found in ((int(key), found) for key, found in scores(reference, prediction).items()):
        assert found["Sensitivity"] == pytest.approx(1 - measures.GetFalseNegativeError(label))
        assert found["Precision"] == pytest.approx(1 - measures.GetFalseDiscoveryRate(label))


def test_a_rate_without_voxels_to_divide_by_is_not_a_number() -> None:
    found = scores(volume(1, 0, 0), volume(2, 0, 0))
    assert math.isnan(found["1"]["Precision"])
    assert found["1"]["Sensitivity"] == 0
    assert math.isnan(found["2"]["Sensitivity"])
    assert math.isnan(found["2"]["Relative volume error"])
    assert found["2"]["Precision"] == 0


def test_the_volume_of_a_plane_is_its_area() -> None:
    plane = np.array([[[1, 1, 0]]])
    assert scores(plane, plane, spacing=(999.0, 2.0, 3.0))["1"]["Volume of reference"] == 12


def test_nnunets_keys_stand_first_and_nothing_costly_is_measured_unasked() -> None:
    names = list(scores(volume(1, 0), volume(1, 0))["1"])
    assert names[:8] == ["Dice", "IoU", "TP", "FP", "FN", "TN", "n_pred", "n_ref"]
    assert not [name for name in names if "NSD" in name or "HD95" in name or "Lesion" in name]


def test_each_tolerance_and_definition_has_a_name_of_its_own() -> None:
    found = scores(blob((6, 6, 6), 0).astype(int), blob((6, 6, 6), 1).astype(int), measures=EVERYTHING)["1"]
    names = [name for name in found if name.startswith("NSD")]
    assert sorted(names) == sorted(f"NSD at {mm} mm ({what})" for mm in (1, 2) for what in ("voxels", "area"))
    assert {"HD95 (voxels)", "HD95 (area)", "Lesion F1"} <= set(found)


def test_ignored_voxels_change_no_score_whatever_is_predicted_there() -> None:
    labels = LabelScheme.from_description({"background": 0, "a": 1, "ignore": 3})
    random = np.random.default_rng(0)
    reference = blob((8, 9, 10), 0).astype(int)
    prediction = blob((8, 9, 10), 1).astype(int)
    ignored = blob((8, 9, 10), 2)
    reference[ignored] = labels.ignore_class
    other = np.where(ignored, random.integers(0, 2, reference.shape), prediction)
    assert (other != prediction).any()
    first, second = (scores(reference, array, labels, EVERYTHING)["1"] for array in (prediction, other))
    assert first == second
    # As if both masks were empty there.
    plain = LabelScheme.from_description({"background": 0, "a": 1})
    emptied = scores(*(np.where(ignored, 0, array) for array in (reference, prediction)), plain, EVERYTHING)["1"]
    assert {name: value for name, value in emptied.items() if name != "TN"} == {
        name: value for name, value in first.items() if name != "TN"
    }


def test_regions_are_measured_as_one_mask() -> None:
    labels = LabelScheme.from_description({"background": 0, "whole": (1, 2), "core": (2,)}, (1, 2))
    reference, prediction = (np.random.default_rng(seed).integers(0, 3, (6, 6, 6)) for seed in (0, 1))
    found = scores(reference, prediction, labels, EVERYTHING)
    alone = LabelScheme.from_description({"background": 0, "x": 1})
    for key, values in (("(1, 2)", (1, 2)), ("(2,)", (2,))):
        masks = [np.isin(array, values).astype(int) for array in (reference, prediction)]
        assert found[key] == scores(*masks, alone, EVERYTHING)["1"]


def test_chosen_values_leave_all_others_to_the_background() -> None:
    labels = ChosenLabels.of([200, 7], ignore=3)
    stored = np.array([0, 7, 200, 3, 5, -1])
    np.testing.assert_array_equal(labels.to_classes(stored), [0, 2, 1, labels.ignore_class, 0, 0])
    assert [target.key for target in labels.targets] == ["200", "7"]


@pytest.mark.parametrize(("values", "ignore"), [([0, 1], None), ([1, 1], None), ([1], 1), ([1], 0), ([], None)])
def test_values_that_cannot_be_scored_are_refused(values: list[int], ignore: int | None) -> None:
    with pytest.raises(SegForgeError, match="none of them 0"):
        ChosenLabels.of(values, ignore)


def share_of_slices(reference: np.ndarray, prediction: np.ndarray, spacing: tuple[float, float, float]) -> float:
    """A metric of one's own: it sees masks and the spacing."""
    assert reference.dtype == prediction.dtype == bool
    return float((reference.any((1, 2)) == prediction.any((1, 2))).mean()) + spacing[2]


def broken(reference: np.ndarray, prediction: np.ndarray, spacing: tuple[float, float, float]) -> float:
    raise ValueError("no luck")


no_function = 3


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The metrics above as those of an installed package."""
    points = {
        name: metadata.EntryPoint(name, f"{__name__}:{name}", "segforge.metrics")
        for name in ("share_of_slices", "broken", "no_function")
    }
    functions = {"share_of_slices": share_of_slices, "broken": broken, "no_function": no_function}
    monkeypatch.setattr(metadata.EntryPoint, "load", lambda point: functions[point.name])
    monkeypatch.setattr("segforge.plugins.entry_points", lambda group: points.values() if group == "segforge.metrics" else [])


def test_a_metric_of_a_plug_in_stands_beside_ours(own: None) -> None:
    found = scores(volume(1, 0, 2), volume(1, 0, 0), measures=Measures(own=("share_of_slices",)))
    assert found["1"]["share_of_slices"] == 1.5
    assert found["2"]["share_of_slices"] == 1.0


def test_a_metric_is_found_by_package_and_function_too() -> None:
    reference = volume(1, 1, 0)
    found = scores(reference, reference, measures=Measures(own=("numpy:array_equal",)))["1"]
    assert found["array_equal"] == 1.0


def test_a_metric_that_fails_is_named(own: None) -> None:
    with pytest.raises(SegForgeError, match="the metric broken failed: no luck"):
        scores(volume(1), volume(1), measures=Measures(own=("broken",)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("share_of_slice", "Did you mean share_of_slices?"),
        ("no_function", "no_function is no function"),
        ("nowhere:metric", "cannot be loaded"),
        ("segforge.evaluation.rates:Precision", "cannot be loaded"),
    ],
)
def test_a_metric_that_is_none_is_refused_before_anything_is_read(own: None, name: str, message: str) -> None:
    with pytest.raises(SegForgeError, match=message.replace("?", r"\?")):
        Measures(own=(name,)).check()


def test_two_metrics_of_one_name_are_refused(own: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segforge.evaluation.measure.find_metric", lambda name: share_of_slices)
    for names in (("x:Dice",), ("x:Precision",), ("x:mine", "y:mine")):
        with pytest.raises(SegForgeError, match="There are two metrics"):
            Measures(own=names).check()
    Measures(own=("x:mine", "y:other")).check()


@pytest.mark.parametrize("tolerance", [-1.0, math.nan, math.inf])
def test_a_tolerance_that_is_no_distance_is_refused(tolerance: float) -> None:
    with pytest.raises(SegForgeError, match="A tolerance is a distance in mm"):
        Measures(tolerances=(1.0, tolerance))


def test_every_metric_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text()
    for name in scores(volume(1), volume(1), measures=EVERYTHING)["1"]:
        documented = re.sub(r" [0-9.]+ mm", " T mm", name).replace("(area)", "(voxels)")
        assert f"`{documented}`" in text, name


def test_the_documented_example_is_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "examples")
    measures = Measures(own=("custom_metric:centre_distance",))
    measures.check()
    found = scores(volume(1, 0, 0, 2), volume(0, 0, 1, 0), measures=measures)
    assert found["1"]["centre_distance"] == pytest.approx(2 * SPACING[2])
    assert math.isnan(found["2"]["centre_distance"])
