"""Runs the command line as a user does: a process of its own, in a folder."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_environment import environment

from segforge.dataset.phantom import write_phantom

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def segforge() -> Run:
    """`segforge("plan -d 4", folder, status=0)`: runs the command and checks its exit status."""

    def run(command: str, folder: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "segforge", *command.split()]
        done = subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True, timeout=600)
        assert done.returncode == status, f"{command}: exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory, segforge: Run) -> Path:
    """A workspace with a phantom data set, planned and preprocessed for a very small network. Copy it before training."""
    workspace = tmp_path_factory.mktemp("planned")
    write_phantom(workspace / "raw" / "Dataset900_Phantom", training=6, testing=2)
    segforge("plan -d 900 --features 2", workspace)
    return workspace
