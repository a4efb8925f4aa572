"""`--verify-dataset` of the verbs that read a data set."""

from pathlib import Path

import numpy as np
import pytest

from segforge.cli.main import main
from segforge.dataset.phantom import write_phantom
from segforge.images.files import read_labels, write_volume


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    write_phantom(tmp_path / "raw" / "Dataset900_P", training=3, testing=0)
    return tmp_path


@pytest.mark.parametrize("verb", ["plan --no-preprocess", "fingerprint"])
def test_a_verb_stops_before_it_writes_if_anything_is_wrong(verb: str, workspace: Path, capsys) -> None:
    words = [*verb.split(), "-d", "900", "--verify-dataset", "-np", "0", "--workspace", str(workspace)]
    label = workspace / "raw/Dataset900_P/labelsTr/phantom_001.nii.gz"
    original = read_labels(label)
    write_volume(label, np.full(original.array.shape[1:], 9, np.uint8), original.geometry)
    assert main(words) == 1
    assert "phantom_001.nii.gz" in capsys.readouterr().out
    assert not list(workspace.glob("preprocessed/*/*.json"))
    write_volume(label, original.array[0], original.geometry)
    assert main(words) == 0
    assert "No problems in 3 cases." in capsys.readouterr().out
    assert (workspace / "preprocessed/Dataset900_P/dataset_fingerprint.json").is_file()
