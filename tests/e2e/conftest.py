"""Runs the command line as a user does: a process of its own, in a folder."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e_environment import environment

from segforge.dataset.phantom import write_phantom

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def segforge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """`segforge("plan -d 4", folder, status=0)`: runs the command and checks its exit status."""
    out, error = (tmp_path_factory.mktemp("output") / name for name in ("out", "error"))
    server = [sys.executable, str(Path(__file__).with_name("warm_process.py"))]
    with subprocess.Popen(server, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        requests, answers = process.stdin, process.stdout

        def run(command: str, folder: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
            words = command.split()
            for path in (out, error):
                path.unlink(missing_ok=True)
            request = {
                "words": words,
                "folder": str(folder),
                "environment": environment(),
                "out": str(out),
                "error": str(error),
            }
            print(json.dumps(request), file=requests, flush=True)
            code = int(answers.readline())
            done = subprocess.CompletedProcess(words, code, out.read_text(), error.read_text())
            assert code == status, f"{command}: exit status {code}\n{done.stdout}\n{done.stderr}"
            return done

        yield run


@pytest.fixture(scope="session")
def planned(tmp_path_factory: pytest.TempPathFactory, segforge: Run) -> Path:
    """A workspace with a phantom data set, planned and preprocessed for a very small network. Copy it before training."""
    workspace = tmp_path_factory.mktemp("planned")
    write_phantom(workspace / "raw" / "Dataset900_Phantom", training=6, testing=2)
    segforge("plan -d 900 --features 2", workspace)
    return workspace
