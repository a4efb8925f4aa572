"""Commands in processes of their own: their messages, their reasons, their ends."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from e2e_environment import environment

from segforge.experiment.commands import Children, Command, Place, run_command


def command(folder: Path, script: str, **more) -> Command:
    (folder / "stand_in.py").write_text(script)
    return Command(("train", "4", "2d", "a fold"), folder / "logs" / "x.log", threads=3, **more)


@pytest.fixture(autouse=True)
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segforge.experiment.commands._MODULE", "stand_in")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_messages_are_added_to_the_file_below_what_was_typed(tmp_path: Path) -> None:
    shown = "*(os.environ[name] for name in ('OMP_NUM_THREADS', 'CUDA_VISIBLE_DEVICES'))"
    script = f"import os, sys\nprint(sys.argv[1:], {shown})\nprint('aside', file=sys.stderr)"
    for _ in range(2):
        assert run_command(command(tmp_path, script, place=Place("cuda", "2,3"))).reason is None
    lines = (tmp_path / "logs" / "x.log").read_text().splitlines()
    assert len(lines) == 6
    assert lines[0].endswith("$ segforge train 4 2d 'a fold' --device cuda")
    assert lines[1] == "['train', '4', '2d', 'a fold', '--device', 'cuda'] 3 2,3" and lines[2] == "aside"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import sys\nprint('much')\nsys.exit('segforge: raw/x is missing.')", "raw/x is missing."),
        ("import sys\nsys.exit(3)", "exit status 3"),
        (
            "import sys\nprint('much')\nsys.exit('segforge: 2 cases failed:\\na: torn\\nb: empty')",
            "2 cases failed:; a: torn; b: empty",
        ),
        ("import os\nprint('much', flush=True)\nos.kill(os.getpid(), 15)", "ended by signal SIGTERM"),
        (
            "import os\nprint('much', flush=True)\nos.kill(os.getpid(), 9)",
            "ended by signal SIGKILL; if memory was short, use fewer --at-once",
        ),
    ],
)
def test_the_reason_is_the_error_or_the_last_line_or_the_signal(tmp_path: Path, script: str, reason: str) -> None:
    run_command(command(tmp_path, "print('segforge: of an earlier time')"))
    assert run_command(command(tmp_path, script)).reason == reason


def test_what_another_process_does_is_told_apart(tmp_path: Path) -> None:
    assert run_command(command(tmp_path, "import sys\nsys.exit(75)")).is_busy
    assert not run_command(command(tmp_path, "import sys\nsys.exit(2)")).is_busy


def test_all_that_are_under_way_are_asked_to_end_and_nothing_is_begun_after(tmp_path: Path) -> None:
    script = (
        "import pathlib, signal, sys, time\n"
        "def end(*_):\n    print('saved', flush=True)\n    sys.exit(130)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        f"pathlib.Path({str(tmp_path)!r}, 'begun').touch()\ntime.sleep(60)\n"
    )
    children, endings = Children(), []
    worker = threading.Thread(target=lambda: endings.append(children.run(command(tmp_path, script))))
    worker.start()
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    children.end()
    worker.join(30)
    assert endings[0].reason == "saved" and endings[0].seconds < 50
    assert children.run(command(tmp_path, "import time\ntime.sleep(60)")).reason == "ended by signal SIGTERM"


PARENT = """
import sys
from pathlib import Path
from segforge.experiment import commands
commands._MODULE = "child"
commands.run_command(commands.Command((sys.argv[1],), Path(sys.argv[1]) / "x.log", 1))
"""

CHILD = """
import os, pathlib, signal, sys, threading, time
from segforge.cli import supervised
signal.signal(signal.SIGTERM, signal.default_int_handler)
threading.Thread(target=supervised._end_with_the_input, daemon=True).start()
try:
    pathlib.Path(sys.argv[1], "begun").touch()
    time.sleep(60)
except KeyboardInterrupt:
    print("saved", flush=True)
"""


def test_a_command_ends_when_the_process_that_began_it_is_killed(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], env=environment() | {"PYTHONPATH": str(tmp_path)})
    end = time.monotonic() + 30
    while not (tmp_path / "begun").exists() and time.monotonic() < end:
        time.sleep(0.01)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while "saved" not in (tmp_path / "x.log").read_text() and time.monotonic() < end:
        time.sleep(0.01)
    assert "saved" in (tmp_path / "x.log").read_text()
