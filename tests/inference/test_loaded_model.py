"""What happens to a case between image and logits: devices that run out, several threads, doubts about an image."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from models import model_folder

from segforge import load
from segforge.errors import SegForgeError
from segforge.images.image import Geometry, Image
from segforge.inference.forecast import Forecast, forecast_cases
from segforge.inference.plausibility import doubts
from segforge.inference.predictor import Predictor
from segforge.inference.sliding_window import SlidingWindow


@pytest.fixture
def predictor(tmp_path: Path) -> Predictor:
    return load(model_folder(tmp_path / "default__test__3d_fullres", folds=("0", "1")).path, device="cpu")


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 30, (1, 10, 12, 14)).astype(np.float32)


def test_several_threads_may_predict_at_once(predictor: Predictor) -> None:
    alone = [predictor.predict_array(image(seed), (2, 2, 2)) for seed in range(6)]
    with ThreadPoolExecutor(3) as threads:
        together = list(threads.map(lambda seed: predictor.predict_array(image(seed), (2, 2, 2)), range(6)))
    for first, second in zip(alone, together, strict=True):
        np.testing.assert_array_equal(first, second)
    assert predictor.predict_arrays([(image(0), (2, 2, 2))])[0].tolist() == alone[0].tolist()


@pytest.mark.parametrize(
    ("array", "spacing", "message"),
    [
        (np.zeros((2, 4, 4, 4)), (1, 1, 1), "needs 1 channels"),
        (np.zeros((4, 4)), (1, 1, 1), "needs 1 channels"),
        (np.zeros((4, 4, 4)), (1, 1), "three spacings above 0"),
        (np.zeros((4, 4, 4)), (1, 0, 1), "three spacings above 0"),
        (np.full((4, 4, 4), np.nan), (1, 1, 1), "NaN or infinity"),
    ],
)
def test_a_wrong_array_is_refused(predictor: Predictor, array: np.ndarray, spacing, message: str) -> None:
    with pytest.raises(SegForgeError, match=message):
        predictor.predict_array(array, spacing)


def test_a_volume_of_one_value_is_predicted(predictor: Predictor) -> None:
    assert predictor.predict_array(np.zeros((5, 5, 5)), (1, 1, 1)).shape == (5, 5, 5)


def test_a_device_that_runs_out_of_memory_takes_fewer_tiles_at_once(predictor: Predictor, monkeypatch) -> None:
    expected = predictor.predict_array(image(), (1, 1, 1))
    sizes = []
    real = SlidingWindow._output

    def output(self: SlidingWindow, network, batch):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError
        return real(self, network, batch)

    monkeypatch.setattr(SlidingWindow, "_output", output)
    np.testing.assert_array_equal(predictor.predict_array(image(), (1, 1, 1)), expected)
    assert sizes[0] > 2
    assert sizes[-1] == 2


def test_a_device_without_room_for_a_patch_leaves_the_case_to_the_processor(predictor: Predictor, monkeypatch, caplog) -> None:
    expected = predictor.predict_array(image(), (1, 1, 1))
    first = predictor.members[0].window
    real = SlidingWindow._output

    def output(self: SlidingWindow, network, batch):
        if self is first:
            raise torch.OutOfMemoryError
        return real(self, network, batch)

    monkeypatch.setattr(SlidingWindow, "_output", output)
    np.testing.assert_array_equal(predictor.predict_array(image(), (1, 1, 1)), expected)
    assert "too little memory for a patch of default__test__3d_fullres; this case goes on the processor" in caplog.text


def doubts_of(folder: Path, array: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0), **more) -> list[str]:
    model = load(model_folder(folder / "default__test__3d_fullres", **more).path, device="cpu").members[0]
    z, y, x = array.shape[1:]
    return doubts(Image(array.astype(np.float32), Geometry((z, y, x), spacing)), model)


def test_an_image_like_the_training_raises_no_doubt(tmp_path: Path) -> None:
    assert doubts_of(tmp_path, image()) == []


def test_voxel_size_and_number_of_voxels_are_compared(tmp_path: Path) -> None:
    (found,) = doubts_of(tmp_path, image(), (1.0, 1.0, 9.0))
    assert found == "a voxel size of 9 mm along x; the model was trained on 0.333 to 3, or near it."
    (found,) = doubts_of(tmp_path, np.zeros((1, 100, 10, 10)))
    assert found.startswith("100 voxels along z; the model was trained on")


def test_the_fingerprint_tells_the_ranges_better(tmp_path: Path) -> None:
    folder = tmp_path / "default__test__3d_fullres"
    folder.mkdir()
    properties = '{"max": 1, "mean": 1, "median": 1, "min": 1, "percentile_00_5": 1, "percentile_99_5": 1, "std": 1}'
    (folder / "dataset_fingerprint.json").write_text(
        '{"spacings": [[1, 1, 1], [4, 1, 1]], "shapes_after_crop": [[10, 10, 10], [12, 12, 12]], '
        f'"foreground_intensity_properties_per_channel": {{"0": {properties}}}, "median_relative_size_after_cropping": 1}}'
    )
    assert doubts_of(tmp_path, image(), (5.0, 1.0, 1.0)) == []
    assert "2 mm along x; the model was trained on 0.667 to 1.5" in doubts_of(tmp_path, image(), (5.0, 1.0, 2.0))[0]


def test_intensities_count_where_they_are_taken_for_what_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doubts_of(tmp_path / "zscore", image() + 5000) == []
    monkeypatch.setattr("segforge.inference.plausibility._ABSOLUTE", ("zscore",))
    (found,) = doubts_of(tmp_path / "ct", image() + 5000)
    assert found.startswith("channel MRI goes from 50")
    assert found.endswith("what was labelled in the training from 10 to 200.")


def test_swapped_channels_are_noticed(tmp_path: Path) -> None:
    description = {"channel_names": {"0": "T1", "1": "T2"}}
    folder = model_folder(tmp_path / "default__test__3d_fullres", description=description)
    plans = folder.plans
    dark, bright = (plans.intensities[0].model_copy(update={"percentile_99_5": value}) for value in (100.0, 2000.0))
    plans.model_copy(update={"intensities": (dark, bright)}).write(folder.path / "plans.json")
    model = load(folder.path, device="cpu").members[0]
    given = np.concatenate([image(), image(1) * 20])
    assert doubts(Image(given, Geometry((10, 12, 14), (1.0, 1.0, 1.0))), model) == []
    (found,) = doubts(Image(given[::-1].copy(), Geometry((10, 12, 14), (1.0, 1.0, 1.0))), model)
    assert found == "the channels look as if they were T2, T1, not T1, T2."


def test_the_forecast_counts_tiles_as_they_will_be(tmp_path: Path) -> None:
    from models import write_image

    from segforge.dataset.inputs import find_inputs

    for number in range(2):
        write_image(tmp_path / f"case_{number}_0000.nii.gz", shape=(20, 21, 22), spacing=(1.0, 1.0, 1.0))
    predictor = load(model_folder(tmp_path / "m" / "default__test__3d_fullres", spacing=(1.0, 1.0, 1.0)).path, device="cpu")
    forecast = forecast_cases(predictor, find_inputs([tmp_path], predictor.description).cases)
    assert forecast.tiles == {"case_0": 4 * 5 * 5, "case_1": 4 * 5 * 5}
    assert forecast.passes == 8
    assert forecast.seconds > 0
    text = str(forecast)
    assert text.startswith("2 cases: 200 tiles, 8 passes through networks each; about ")
    assert "on cpu" in text


def test_cases_of_unknown_size_are_not_said_to_take_no_time() -> None:
    forecast = Forecast(tiles={}, memory_of={}, passes=8, seconds=0.0, memory=10**9, cases=2, device="cpu")
    assert str(forecast) == "2 cases of unknown size, 8 passes through networks for each tile."
    some = replace(forecast, tiles={"a": 3}, memory_of={"a": 1})
    assert str(some).startswith("1 case and 1 of unknown size: 3 tiles, 8 passes")
