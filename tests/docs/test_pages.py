"""No page speaks of a command, an option, a file or a name that does not exist."""

import contextlib
import importlib
import io
import re
from functools import cache
from pathlib import Path

import pytest
from documentation import PAGES, PROJECT, code_blocks, spans, table_rows, typed_lines, words_of
from typed_commands import options_in, options_of, own_options, wrong

from segforge.cli.main import COMMANDS, _parser
from segforge.cli.nnunet_words import OPTIONS, in_our_words

OF_OTHER_PROGRAMS = {"-c", "-e", "--logdir", "-n", "-m", "--nthreads"}
"""Options of pip, tensorboard, pytest and dask that pages mention."""
ENTRY_POINTS = {"augmentations", "formats", "loggers", "losses", "metrics", "networks", "normalizations", "planners"}
ENTRY_POINTS |= {"resamplings", "trainers", "zip"}

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))


@cache
def all_options() -> frozenset[str]:
    theirs = {option for known in OPTIONS.values() for option in known}
    return own_options() | theirs | OF_OTHER_PROGRAMS


def is_pattern(command: str) -> bool:
    """Whether it shows what can be typed, not what one types."""
    return bool(re.search(r"\[.*\]|\.\.\.|\bCOMMAND\b", command))


def refusal(words: list[str]) -> str:
    """What the program says to words that it does not take, or nothing."""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            _parser(words).parse_args(words)
        except SystemExit:
            return said.getvalue()
    return ""


@every_page
def test_every_command_line_of_a_block_can_be_typed(page: Path) -> None:
    for block in code_blocks(page.read_text()):
        for command in typed_lines(block):
            if not is_pattern(command):
                assert refusal(in_our_words(words_of(command))) == "", command


@every_page
def test_every_command_and_option_that_is_spoken_of_exists(page: Path) -> None:
    text = page.read_text()
    for code in [*code_blocks(text), *spans(text)]:
        for command in typed_lines(code):
            assert not wrong(words_of(re.sub(r"[\[\]]", "", command).replace("|", " "))), command
    for code in spans(text):
        if not re.match(r"make |git |python |\.venv", code):
            unknown = options_in(code) - all_options()
            assert not unknown, code


@every_page
def test_every_file_of_the_project_that_is_spoken_of_is_there(page: Path) -> None:
    text = page.read_text()
    for code in [*code_blocks(text), *spans(text)]:
        for path in re.findall(r"(?<![\w/.-])((?:examples|benchmarks|tests|docs|segforge)/[\w./-]+\.(?:py|md|json|png))", code):
            assert (PROJECT / path).exists(), path


@every_page
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        assert re.match(r"https?:", target) or (page.parent / target).exists(), target


@every_page
def test_every_name_of_the_package_that_is_spoken_of_exists(page: Path) -> None:
    text = page.read_text()
    for code in [*code_blocks(text), *spans(text)]:
        for name in re.findall(r"(?<![\w./\-\"'])segforge((?:\.\w+)+)", code):
            assert name[1:] in ENTRY_POINTS or exists(f"segforge{name}"), name


@every_page
def test_every_variable_of_the_environment_is_read_somewhere(page: Path) -> None:
    assert set(re.findall(r"SEGFORGE_\w+", page.read_text())) <= variables()


@cache
def variables() -> frozenset[str]:
    sources = [path.read_text() for folder in ("segforge", "tests") for path in (PROJECT / folder).rglob("*.py")]
    return frozenset(re.findall(r"\"(SEGFORGE_\w+)\"", "\n".join(sources)))


def exists(name: str) -> bool:
    """Whether a dotted name leads to a module or something in one."""
    module, _, attribute = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        try:
            return hasattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError:
            return False
    return True


@pytest.mark.parametrize("example", sorted((PROJECT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_every_example_is_linked_from_a_page(example: Path) -> None:
    assert any(f"examples/{example.name})" in page.read_text() for page in PAGES)


def test_the_command_reference_has_every_command_and_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PROJECT / "docs" / "extensions")
    page = importlib.import_module("command_reference").command_reference()
    assert set(re.findall(r"(?m)^## segforge (\S+)$", page)) == set(COMMANDS)
    told = {word.strip(",") for code in spans(page) for word in code.split()}
    assert frozenset().union(*map(options_of, COMMANDS)) - {"-h", "--help"} <= told


def test_what_is_invented_is_found() -> None:
    text = (
        "Type\n\n    $ X=1 segforge trian 4    # so\n    segforge train 4 2d\n\nor `segforge train 4 --epoch 5`."
        "\n\n```\nsegforge x\n```\n"
    )
    fenced, indented = code_blocks(text)
    assert list(typed_lines(fenced)) == ["segforge x"]
    assert [words_of(line) for line in typed_lines(indented)] == [["trian", "4"], ["train", "4", "2d"]]
    assert "Did you mean train?" in refusal(["trian", "4"])
    assert "FOLD" in refusal(["train", "4", "2d"])
    assert list(spans(text)) == ["segforge train 4 --epoch 5"]
    assert wrong(["train", "4", "--epoch", "5"]) == "train 4 --epoch 5: --epoch"
    assert exists("segforge.training.trainer.Trainer")
    assert not exists("segforge.training.trainer.Nothing")


def test_every_figure_of_the_readme_is_measured() -> None:
    measured = (PROJECT / "benchmarks" / "README.md").read_text()
    rows = [cells for cells in table_rows((PROJECT / "README.md").read_text()) if cells[1:] != ["nnU-Net", "SegForge"]]
    figures = {figure for cells in rows for figure in re.findall(r"\d[\d.]*(?: s| GB| %)", " ".join(cells[1:]))}
    assert len(figures) > 10
    assert figures <= set(re.findall(r"\d[\d.]*(?: s| GB| %)", measured))
