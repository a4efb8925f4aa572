"""The tutorials' commands, run as they stand on the pages; what is printed is what the pages show, figures aside."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from documentation import PROJECT, code_blocks

from segforge.cli.main import main

TUTORIALS = sorted((PROJECT / "docs" / "tutorial").glob("*.md"))


def steps(page: str) -> Iterator[tuple[str, list[str]]]:
    """Each command behind a `$`, and the lines below it."""
    for block in code_blocks(page):
        if block.startswith("$ "):
            for step in re.split(r"(?m)^\$ ", block)[1:]:
                command, _, output = step.partition("\n")
                yield command, output.splitlines()


def run(command: str) -> int:
    """Do what a shell would do."""
    words = [found for word in shlex.split(command, comments=True) for found in expanded(word)]
    if words[0] == "mkdir":
        Path(words[1]).mkdir()
        return 0
    assert words[0] == "segforge"
    return main(words[1:])


def expanded(word: str) -> list[str]:
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]


def pattern(shown: list[str]) -> str:
    """What output must look like: three dots stand for anything, a number for any number."""
    lines = [".*" if line == "..." else re.escape(without_figures(line)).replace(r"\.\.\.", "[^\n]*") for line in shown]
    return "\n".join(lines).replace(".*\n", "(?:.*\n)*?").replace("\n.*", "(?:\n.*)*")


def without_figures(text: str) -> str:
    """Numbers, and what follows from them alone: whether postprocessing helped."""
    text = re.sub(r"-?\d+(?:[.,]\d+)*|\b(?:kept|left out)$", "#", text)
    return re.sub(" +", " ", text).strip()


def printed(said: str, folder: Path) -> str:
    return "\n".join(without_figures(line) for line in said.replace(f"{folder}/", "").strip().splitlines())


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_the_commands_do_what_the_page_shows(page: Path, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEGFORGE_WORKSPACE", raising=False)
    for command, shown in steps(page.read_text()):
        assert run(command) == 0, command
        said = printed(capsys.readouterr().out, tmp_path)
        assert re.fullmatch(pattern(shown), said), f"{command}\n\npage:\n{pattern(shown)}\n\nprinted:\n{said}"
    for path in re.findall(r"(?m)^\| `([\w./-]+)` \|", page.read_text()):
        assert list(tmp_path.glob(path)), f"{page.name} speaks of {path}"


@pytest.mark.parametrize(
    ("shown", "said", "fits"),
    [
        (["Dice 0.5"], "Dice 0.731", True),
        (["Dice 0.5"], "IoU 0.731", False),
        (["a", "...", "b"], "a\nx\ny\nb", True),
        (["a", "..."], "a", True),
        (["a", "b"], "a\nx\nb", False),
        (["on ... (2 threads)"], "on cpu (16 threads)", True),
        ([], "", True),
        ([], "a", False),
    ],
)
def test_what_is_shown_is_compared_without_figures(shown: list[str], said: str, fits: bool) -> None:
    assert bool(re.fullmatch(pattern(shown), printed(said, Path("/nowhere")))) is fits
