"""No error, warning or hint of the program speaks of a command, an option or an extra that does not exist."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from documentation import PROJECT
from typed_commands import options_in, options_of, own_options, wrong

from segforge.cli.nnunet_words import OPTIONS
from segforge.training.settings import TrainingSettings, option_of

OF_OTHER_PROGRAMS = {"nnunet_words.py", "jobs.py", "batch_systems.py", "cluster_jobs.py"}
"""Modules that write options of nnU-Net's, of the shell, of batch systems and of dask's."""
PROSE = {"before", "or", "X"}
"""Words that follow the program's name in sentences; X stands for a value."""

_COMMAND = re.compile(
    r"""(?<![\w./:'\[-])segforge\s+([^\s,;:()"`][^,;:()"`\n]*?)   # no part of a path, a module or an address
        (?=[,;:()"`\n]|\.(?:\s|$)|\s\s|$)""",
    re.VERBOSE,
)


def texts(source: str) -> Iterator[str]:
    """The strings of a module, docstrings left out, with X for each value in them."""
    tree = ast.parse(source)
    formatted = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    inside = {id(part) for node in formatted for part in ast.walk(node) if part is not node}
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in inside | documented:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)


def commands(text: str) -> Iterator[list[str]]:
    """The words after the program's name, up to the end of the sentence, of its part, or of the line."""
    for found in _COMMAND.finditer(text):
        yield found[1].split()


@cache
def texts_of_package() -> dict[str, list[str]]:
    modules = sorted((PROJECT / "segforge").rglob("*.py"))
    return {path.relative_to(PROJECT).as_posix(): list(texts(path.read_text())) for path in modules}


@cache
def extras() -> frozenset[str]:
    return frozenset(tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"])


def test_every_command_that_a_message_names_can_be_typed() -> None:
    found = [(module, words) for module, said in texts_of_package().items() for text in said for words in commands(text)]
    assert len(found) > 50
    assert not {module: fault for module, words in found if words[0] not in PROSE and (fault := wrong(words))}


def test_every_option_that_a_message_names_exists() -> None:
    ours = own_options() | {"--X"}
    unknown = {
        module: options
        for module, said in texts_of_package().items()
        if Path(module).name not in OF_OTHER_PROGRAMS and (options := set().union(*map(options_in, said)) - ours)
    }
    assert not unknown


def test_every_extra_that_a_message_names_can_be_installed() -> None:
    named = {extra for said in texts_of_package().values() for text in said for extra in re.findall(r"segforge\[(\w+)\]", text)}
    assert len(named) > 2
    assert named - {"X"} <= extras()


@pytest.mark.parametrize("verb", OPTIONS)
def test_what_to_do_instead_of_an_option_of_nnunet_can_be_typed_there(verb: str) -> None:
    for option, said in OPTIONS[verb].items():
        own_part = re.sub(r"segforge .*", "", said)  # another command, which is looked at by itself
        unknown = options_in(own_part) - options_of(verb) - OPTIONS[verb].keys()
        assert not (said.startswith("!") and unknown), option


def test_a_setting_is_called_by_its_option_or_by_its_own_name() -> None:
    options = options_of("train")
    assert [name for name in TrainingSettings.model_fields if option_of(name) not in options | {name}] == []
    assert option_of("learning_rate") == "--lr"
    assert option_of("best_by") == "--best-by"


def test_what_is_invented_is_found() -> None:
    source = '''
"""Type segforge nothing."""
def f(name):
    raise SegForgeError(f"{name} is missing. Run segforge trian {name} --epochs 3, or "
                        "choose with --nmae.")
'''
    (text,) = texts(source)
    assert text == "X is missing. Run segforge trian X --epochs 3, or choose with --nmae."
    assert list(commands(text)) == [["trian", "X", "--epochs", "3"]]
    assert wrong(["trian", "X"]) == "trian is no command"
    assert wrong(["train", "X", "--epoch", "3"]) == "train X --epoch 3: --epoch"
    assert options_in(text) - own_options() == {"--nmae"}
