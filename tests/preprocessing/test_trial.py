"""The time that is told before a preprocessing begins, with a clock that only the work moves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from segforge.dataset.cases import Case
from segforge.dataset.decoded import CaseReader, DecodedCase
from segforge.dataset.description import DatasetDescription
from segforge.errors import SegForgeError
from segforge.images.image import Geometry, Image
from segforge.preprocessing import trial
from segforge.preprocessing.trial import seconds_for

SIDE = 1024
TRIED = (1 << 22) // SIDE**2  # slices
READING, WORKING = 3.0, 5.0  # seconds per slice


class Clock:
    now = 0.0

    def perf_counter(self) -> float:
        return self.now


class Reader(CaseReader):
    """Makes empty cases of so many slices."""

    def __init__(self, slices: Sequence[int], clock: Clock, room: int) -> None:
        description = DatasetDescription.model_validate(
            {"channel_names": {"0": "CT"}, "labels": {"background": 0, "a": 1}, "numTraining": 1, "file_ending": ".nii"}
        )
        super().__init__(description, room)
        self.slices, self.clock, self.times = slices, clock, 0

    def _decoded(self, case: Case) -> DecodedCase:
        shape = (1, self.slices[int(case.id)], SIDE, SIDE)
        self.clock.now += READING * shape[1]
        self.times += 1
        image = Image(np.broadcast_to(np.float32(0), shape), Geometry(shape[1:], (1.0, 1.0, 1.0)))
        return DecodedCase(image, np.broadcast_to(np.int8(0), shape))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(trial, "time", clock)
    return clock


@pytest.mark.parametrize(("kept", "unread"), [([], 31), ([0], 21), ([0, 1, 2, 3], 0)])
def test_the_time_is_that_of_reading_what_is_not_kept_yet_and_of_working_on_all(
    clock: Clock, tmp_path: Path, kept: list[int], unread: int
) -> None:
    slices, tried = [10, 4, 20, 1], []
    cases = [Case(str(number), ()) for number in range(len(slices))]
    reader = Reader(slices, clock, room=10**9)
    for number in kept:
        reader.read(cases[number])

    def attempt(case: Case, decoded: DecodedCase, folder: Path) -> None:
        tried.append((case.id, decoded.image.array.shape[1]))
        assert decoded.image.array.shape == decoded.classes.shape == (1, *decoded.image.geometry.shape)
        assert folder.parent.parent == tmp_path and folder.name == case.id
        clock.now += WORKING * decoded.classes.shape[1]

    seconds = seconds_for(attempt, cases, [SIDE**2 * count for count in slices], reader, tmp_path, workers=1)
    assert seconds == pytest.approx(READING * unread + WORKING * 35)
    assert tried == [("1", TRIED)] * 2  # the middle slices of a case of middle size, once to warm up
    assert reader.times == len({*kept, 1})  # none is read twice
    assert not list(tmp_path.iterdir())


def test_several_at_once_share_the_time(tmp_path: Path, clock: Clock) -> None:
    slices = [10, 4, 20, 1]
    cases = [Case(str(number), ()) for number in range(len(slices))]
    reader = Reader(slices, clock, room=10**9)
    for case in cases:
        reader.read(case)
    tried = []
    work = [SIDE**2 * count for count in slices]
    seconds_for(lambda case, *rest: tried.append(case.id), cases, work, reader, tmp_path, workers=2)
    assert sorted(tried[1:]) == ["0", "1"]


def test_where_the_trial_fails_no_time_is_told(tmp_path: Path, clock: Clock) -> None:
    def attempt(*args: object) -> None:
        raise SegForgeError("no")

    reader = Reader([3], clock, room=0)
    assert seconds_for(attempt, [Case("0", ())], [3], reader, tmp_path, workers=1) is None
    assert not list(tmp_path.iterdir())
