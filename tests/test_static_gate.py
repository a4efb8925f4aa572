from pathlib import Path

import pytest
from static_gate import violations

PROJECT = Path(__file__).parents[1]


def test_the_package_passes() -> None:
    assert list(violations(PROJECT / "segforge")) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\ntorch.load('x')",
        "from torch import load",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import numpy as np\nnp.load('x')",
        "from os import system",
        "import os\nos.system('x')",
        "eval('1')",
        "import subprocess\nsubprocess.run('x', shell=True)",
        "archive.extractall('x')",
        "open('x', 'w')",
        "open('x', mode='ab')",
        "open('x', mode)",
        "path.open('w')",
        "path.write_text('x')",
        "url = 'see http://example.org'",
        "import logging\nlogging.FileHandler('x')",
        "torch.load(x, weights_only=False)",
    ],
)
def test_each_forbidden_thing_is_found(tmp_path: Path, code: str) -> None:
    (tmp_path / "segforge").mkdir()
    (tmp_path / "segforge" / "x.py").write_text(code)
    assert list(violations(tmp_path / "segforge"))


def test_reading_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "segforge").mkdir()
    (tmp_path / "segforge" / "x.py").write_text("open('x')\nopen('x', 'rb')\npath.open()\nnp.load('x', allow_pickle=False)")
    assert list(violations(tmp_path / "segforge")) == []


@pytest.mark.parametrize(
    ("module", "code", "count"),
    [
        ("pth", "torch.load(x, weights_only=True)", 0),
        ("pth", "torch.save(x, y)", 1),
        ("pth", "torch.load(x)", 1),
        ("pth", "torch.load(x, weights_only=w)", 1),
        ("nnunet_checkpoint", "torch.save(x, y)", 0),
        ("nnunet_checkpoint", "torch.load(x, weights_only=True)", 1),
    ],
)
def test_one_module_may_read_pickled_weights_without_their_code(tmp_path: Path, module: str, code: str, count: int) -> None:
    path = tmp_path / "segforge" / "sharing" / f"{module}.py"
    path.parent.mkdir(parents=True)
    path.write_text(code)
    assert len(list(violations(tmp_path / "segforge"))) == count
    path.rename(path.with_name("other.py"))
    assert list(violations(tmp_path / "segforge"))
