"""Whether the words of a command line exist that something speaks of."""

import argparse
import re
from collections.abc import Iterator
from functools import cache

from segforge.cli.main import COMMANDS, _parser
from segforge.cli.nnunet_words import in_our_words


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                yield from parsers(verb)


@cache
def options_of(command: str) -> frozenset[str]:
    (verbs,) = [action for action in _parser([command])._actions if isinstance(action, argparse._SubParsersAction)]
    return frozenset(option for parser in parsers(verbs.choices[command]) for option in parser._option_string_actions)


@cache
def own_options() -> frozenset[str]:
    return frozenset().union(*map(options_of, COMMANDS)) | {"--version"}


def options_in(text: str) -> set[str]:
    """What looks like an option in a text."""
    return set(re.findall(r"(?<![\w./=\]-])--?[A-Za-z][\w-]*", text))


def wrong(words: list[str]) -> str:
    """What is wrong with a command, without `segforge`: it may be incomplete, but each of its words exists."""
    words = in_our_words(words)
    if words[0] not in COMMANDS:
        return "" if words[0] in ("COMMAND", "--help", "--version") else f"{words[0]} is no command"
    unknown = {word for word in words if re.match(r"--?[A-Za-z]", word)} - options_of(words[0]) - {"--help"}
    return f"{' '.join(words)}: {', '.join(sorted(unknown))}" if unknown else ""
