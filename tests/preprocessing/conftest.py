from pathlib import Path

import pytest

from segforge.dataset.cases import RawDataset, open_dataset
from segforge.dataset.phantom import write_phantom


@pytest.fixture
def phantom(tmp_path: Path) -> RawDataset:
    folder = tmp_path / "raw" / "Dataset900_Phantom"
    write_phantom(folder, training=3, testing=0)
    return open_dataset(folder)
