import pickle
from pathlib import Path

import pytest

from segforge.dataset import decoded
from segforge.dataset.cases import open_dataset
from segforge.dataset.decoded import CaseReader
from segforge.dataset.phantom import write_phantom


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cases that were read from files, in order."""
    names: list[str] = []
    original = decoded.read_case_image

    def noted(case, description):
        names.append(case.id)
        return original(case, description)

    monkeypatch.setattr(decoded, "read_case_image", noted)
    return names


def test_what_fits_is_read_once_and_the_rest_again(tmp_path: Path, read: list[str]) -> None:
    write_phantom(tmp_path, training=3, testing=0)
    dataset = open_dataset(tmp_path)
    sizes = [CaseReader(dataset.description).read(case).nbytes for case in dataset.cases]
    read.clear()
    reader = CaseReader(dataset.description, room=sum(sizes[:2]))
    first = [reader.read(case) for case in dataset.cases]
    assert reader.kept == sum(sizes[:2])
    again = [reader.take(case) for case in dataset.cases]
    assert read == ["phantom_000", "phantom_001", "phantom_002", "phantom_002"]
    assert [one is other for one, other in zip(first, again, strict=True)] == [True, True, False]
    assert reader.kept == 0
    reader.read(dataset.cases[2])
    assert reader.kept == sizes[2]  # there is room again


def test_in_another_process_nothing_is_kept(tmp_path: Path) -> None:
    write_phantom(tmp_path, training=1, testing=0)
    dataset = open_dataset(tmp_path)
    reader = CaseReader(dataset.description, room=10**9)
    reader.read(dataset.cases[0])
    copy = pickle.loads(pickle.dumps(reader))
    copy.read(dataset.cases[0])
    assert copy.kept == 0
