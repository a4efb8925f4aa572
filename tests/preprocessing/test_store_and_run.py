import gc
import math
import os
import weakref
from pathlib import Path
from threading import Thread
from time import sleep

import numpy as np
import pytest
from samples import plans_for

from segforge.compute.executors import Resources, inline, processes, threads
from segforge.compute.locks import Owner
from segforge.dataset import phantom as phantoms
from segforge.dataset.cases import RawDataset, open_dataset
from segforge.dataset.description import DatasetDescription
from segforge.errors import CasesFailed, SegForgeError
from segforge.planning.extraction import CaseSize, Measured
from segforge.planning.fingerprint import Fingerprint
from segforge.planning.plans import Plans
from segforge.preprocessing.recipe import recipe
from segforge.preprocessing.run import Preprocessing, lock_of_cases, preprocess_dataset
from segforge.preprocessing.store import CaseStore, MappedCases

DESCRIPTION = DatasetDescription(channel_names={"0": "MRI"}, labels={**phantoms.LABELS}, num_training=3, file_ending=".nii.gz")
PLANS = plans_for((2.0, 1.5, 1.5))


SHAPE = (24, 32, 32)


def measured(cases: int) -> Measured:
    """The measures of as many cases, so that data sets with a broken one have some too."""
    content = {
        "spacings": [(2.0, 1.0, 1.0)] * cases,
        "shapes_after_crop": [SHAPE] * cases,
        "foreground_intensity_properties_per_channel": {},
        "median_relative_size_after_cropping": 1.0,
    }
    sizes = CaseSize(voxels=math.prod(SHAPE), class_voxels=(20000, 1000, 1000))
    return Measured(Fingerprint.parse(content, "test"), (sizes,) * cases)


def preprocess(dataset: RawDataset, folder: Path, plans: Plans = PLANS, factory=inline, *, verify: bool = False) -> int:
    folder.mkdir(exist_ok=True)
    facts, names = measured(len(dataset.cases)), list(plans.configurations)
    return preprocess_dataset(
        Preprocessing(dataset, facts, plans, names, folder, factory, Resources(2), memory=10**9, verify=verify)
    )


def store(folder: Path, plans: Plans = PLANS) -> CaseStore:
    (configuration,) = plans.configurations.values()
    return CaseStore(folder / "data", recipe(plans, configuration, DESCRIPTION))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "data").iterdir())}


def test_a_second_process_waits_for_the_first_and_finds_its_cases_done(phantom: RawDataset, tmp_path: Path, caplog) -> None:
    caplog.set_level("INFO", "segforge")
    preprocess(phantom, tmp_path)
    before, counts = contents(tmp_path), []
    second = Thread(target=lambda: counts.append(preprocess(phantom, tmp_path)))
    with lock_of_cases(tmp_path / "data").held(Owner.here(), ""):
        (tmp_path / "data" / "left.json").touch()  # a second one that did not wait would tidy it up
        second.start()
        while not any("data is being preprocessed by process" in message for message in caplog.messages):
            assert second.is_alive()
            sleep(0.01)
        assert (tmp_path / "data" / "left.json").exists() and not counts
        (tmp_path / "data" / "left.json").unlink()
    second.join(60)
    assert counts == [0] and contents(tmp_path) == before


def test_threads_and_processes_give_the_same_bytes_as_this_thread(phantom: RawDataset, tmp_path: Path) -> None:
    for name, factory in (("a", inline), ("b", threads), ("c", processes)):
        assert preprocess(phantom, tmp_path / name, factory=factory) == 3
    assert contents(tmp_path / "a") == contents(tmp_path / "b") == contents(tmp_path / "c")


def test_a_stored_case_opens_as_it_was_written(phantom: RawDataset, tmp_path: Path) -> None:
    preprocess(phantom, tmp_path)
    opened = store(tmp_path)
    assert opened.cases() == ["phantom_000", "phantom_001", "phantom_002"]
    case = opened.open("phantom_000")
    assert case.image.dtype == np.float32
    assert case.classes.dtype == np.int8
    assert isinstance(case.image, np.memmap)
    assert set(case.locations) == {"1", "2"}
    assert case.properties.geometry.header is not None


def test_finished_cases_are_not_done_again(phantom: RawDataset, tmp_path: Path) -> None:
    preprocess(phantom, tmp_path)
    assert preprocess(phantom, tmp_path) == 0


def test_touched_files_are_compared_by_content(phantom: RawDataset, tmp_path: Path) -> None:
    preprocess(phantom, tmp_path)
    os.utime(phantom.cases[0].images[0], (1, 1))
    assert preprocess(phantom, tmp_path) == 0
    phantom.cases[1].images[0].write_bytes(phantom.cases[0].images[0].read_bytes())
    phantom.cases[1].label.write_bytes(phantom.cases[0].label.read_bytes())
    assert preprocess(phantom, tmp_path) == 1


@pytest.mark.parametrize("part", [".npy", "_seg.npy", "_locations.npz", ".json"])
def test_a_part_that_is_gone_or_cut_makes_its_case_due(phantom: RawDataset, tmp_path: Path, part: str) -> None:
    preprocess(phantom, tmp_path)
    before = contents(tmp_path)
    path = tmp_path / "data" / f"phantom_001{part}"
    path.write_bytes(path.read_bytes()[:-20])
    assert preprocess(phantom, tmp_path) == 1
    path.unlink()
    assert preprocess(phantom, tmp_path) == 1
    assert contents(tmp_path) == before


def test_another_plan_makes_every_case_due(phantom: RawDataset, tmp_path: Path) -> None:
    preprocess(phantom, tmp_path)
    assert preprocess(phantom, tmp_path, plans_for((2.0, 1.5, 1.4))) == 3
    assert preprocess(phantom, tmp_path, plans_for((2.0, 1.5, 1.4), normalization="ct")) == 3


def test_a_case_that_left_the_raw_data_leaves_the_store(phantom: RawDataset, tmp_path: Path) -> None:
    preprocess(phantom, tmp_path)
    phantom.cases[0].images[0].unlink()
    phantom.cases[0].label.unlink()
    preprocess(open_dataset(phantom.folder), tmp_path)
    assert store(tmp_path).cases() == ["phantom_001", "phantom_002"]
    assert not list((tmp_path / "data").glob("phantom_000*"))


def test_a_broken_case_is_named_and_the_others_are_done(phantom: RawDataset, tmp_path: Path) -> None:
    path = phantom.cases[1].images[0]
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CasesFailed, match=r"(?s)1 of 3 cases failed.*phantom_001: .*phantom_001_0000\.nii\.gz is truncated"):
        preprocess(phantom, tmp_path)
    assert store(tmp_path).cases() == ["phantom_000", "phantom_002"]


@pytest.mark.parametrize("part", [".npy", "_seg.npy", "_locations.npz"])
def test_a_flipped_bit_is_found_before_the_case_is_used(phantom: RawDataset, tmp_path: Path, part: str) -> None:
    preprocess(phantom, tmp_path)
    path = tmp_path / "data" / f"phantom_001{part}"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(SegForgeError, match=rf"phantom_001{part} is damaged or missing\. Remove .*phantom_001\.json"):
        store(tmp_path).open("phantom_001")


def test_a_case_that_is_not_there_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(SegForgeError, match="no preprocessed case a.*segforge plan"):
        CaseStore(tmp_path, "recipe").open("a")


def test_cases_made_for_other_plans_are_refused(phantom: RawDataset, tmp_path: Path) -> None:
    preprocess(phantom, tmp_path)
    other = store(tmp_path, plans_for((2.0, 1.5, 1.4)))
    with pytest.raises(SegForgeError, match=r"phantom_000\.json was made for other plans"):
        other.open("phantom_000")


def test_intensities_of_the_data_set_count_only_where_they_are_used() -> None:
    def recipe_with(normalization: str, mean: float) -> str:
        plans = plans_for((2.0, 1.5, 1.5), normalization=normalization)
        plans = plans.model_copy(update={"intensities": (plans.intensities[0].model_copy(update={"mean": mean}),)})
        return recipe(plans, plans.configurations["3d_fullres"], DESCRIPTION)

    assert recipe_with("zscore", 1.0) == recipe_with("zscore", 2.0)
    assert recipe_with("ct", 1.0) != recipe_with("ct", 2.0)


def test_files_that_are_no_cases_are_left_alone(phantom: RawDataset, tmp_path: Path) -> None:
    preprocess(phantom, tmp_path)
    (tmp_path / "data" / "notes.json").write_text("{}")
    preprocess(phantom, tmp_path)
    assert (tmp_path / "data" / "notes.json").is_file()


def test_only_so_many_cases_are_open_at_once(phantom: RawDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preprocess(phantom, tmp_path)
    monkeypatch.setattr("segforge.preprocessing.store._OPEN_AT_ONCE", 2)
    cases = MappedCases(store(tmp_path), store(tmp_path).cases())
    images = [weakref.ref(cases[name].image) for name in cases]
    gc.collect()
    assert [image() is None for image in images] == [True, False, False]
    np.testing.assert_array_equal(cases["phantom_000"].image, store(tmp_path).open("phantom_000").image)
