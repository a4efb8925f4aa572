import re
from pathlib import Path

import pytest
from samples import plans_for

from segforge.compute.executors import Resources, inline
from segforge.dataset.cases import RawDataset
from segforge.dataset.decoded import CaseReader
from segforge.errors import SegForgeError
from segforge.planning.extraction import measure
from segforge.preprocessing import run
from segforge.preprocessing.forecast import forecast_cases
from segforge.preprocessing.run import Preprocessing, preprocess_dataset


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_forecast_of_the_disk_is_what_is_written(phantom: RawDataset, tmp_path: Path, dtype: str) -> None:
    plans = plans_for((1.0, 0.7, 0.7))
    (name, configuration), *_ = plans.configurations.items()
    configuration = configuration.model_copy(update={"dtype": dtype})
    plans = plans.model_copy(update={"configurations": {name: configuration}})
    measured = measure(phantom, inline, Resources())
    job = Preprocessing(phantom, measured, plans, [name], tmp_path / "p", inline, Resources(), memory=10**9)
    preprocess_dataset(job)
    written = sum(path.stat().st_size for path in (tmp_path / "p" / "data").iterdir())
    forecast = sum(case.disk for case in forecast_cases(measured, plans, [configuration], phantom.description.label_scheme))
    assert forecast == pytest.approx(written, rel=0.05)


def test_too_little_room_is_said_before_anything_is_made(
    phantom: RawDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = plans_for((1.0, 0.7, 0.7))
    measured = measure(phantom, inline, Resources())
    job = Preprocessing(phantom, measured, plans, list(plans.configurations), tmp_path / "p", inline, Resources(), 10**9)
    monkeypatch.setattr(run.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1000}))
    with pytest.raises(SegForgeError, match=r"p needs .* for the preprocessed cases, 0 MB are free"):
        preprocess_dataset(job, CaseReader(phantom.description))
    assert not list((tmp_path / "p" / "data").iterdir())


def test_fewer_workers_where_memory_allows_no_more(
    phantom: RawDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plans, measured = plans_for((1.0, 0.7, 0.7)), measure(phantom, inline, Resources())
    for memory, workers in ((10**10, 3), (1, 1)):
        caplog.clear()
        folder = tmp_path / str(memory)
        names = list(plans.configurations)
        with caplog.at_level("INFO"):
            preprocess_dataset(Preprocessing(phantom, measured, plans, names, folder, inline, Resources(3), memory))
        assert f"of memory for {workers} at once" in caplog.text


def test_the_time_is_said_beforehand_and_the_trial_leaves_nothing(
    phantom: RawDataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plans, measured = plans_for((1.0, 0.7, 0.7)), measure(phantom, inline, Resources())
    folder = tmp_path / "p"
    with caplog.at_level("INFO"):
        preprocess_dataset(
            Preprocessing(phantom, measured, plans, list(plans.configurations), folder, inline, Resources(), 10**10)
        )
    assert re.search(r"Preprocessing 3 cases: .* on disk, about .* of memory for 1 at once, about [\d.]+ s\.", caplog.text)
    assert sorted(path.name for path in folder.iterdir()) == [".data.lock", "data"]
