"""Every command and option of the program as Markdown, from its parsers."""

import argparse
import re
from collections.abc import Iterator

from segforge.cli.main import COMMANDS, _parser


def command_reference() -> str:
    """A section for each command: what it is for, its usage, and tables of its options."""
    return "\n".join(_section(parser) for command in COMMANDS for parser in parsers_of(command))


def parsers_of(command: str) -> Iterator[argparse.ArgumentParser]:
    """A command's parser, and those of the verbs within it."""
    yield from _with_verbs(_verbs(_parser([command]))[command])


def _with_verbs(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for verb in _verbs(parser).values():
        yield from _with_verbs(verb)


def _verbs(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found[0].choices) if found else {}


def _section(parser: argparse.ArgumentParser) -> str:
    level = "#" * len(parser.prog.split())
    usage = parser.format_usage().removeprefix("usage: ").rstrip()
    parts = [f"{level} {parser.prog}", _set_in(parser.description), f"```text\n{usage}\n```"]
    for group in parser._action_groups:
        rows = [_row(action) for action in group._group_actions if _is_told(action)]
        if rows:
            parts.append("\n".join([f"| {group.title} | |", "|---|---|", *rows]))
    return "\n\n".join([*parts, _set_in(parser.epilog), ""])


def _set_in(text: str | None) -> str:
    """Text whose lines that are set in stand as code."""
    return re.sub(r"(?m)^  (?=\S)", "    ", text or "")


def _is_told(action: argparse.Action) -> bool:
    return action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)


def _row(action: argparse.Action) -> str:
    formatter = argparse.HelpFormatter("")
    values = "" if action.nargs == 0 else formatter._format_args(action, formatter._get_default_metavar_for_optional(action))
    names = ", ".join([*action.option_strings]) + " " + values
    return f"| `{_in_cell(names.strip())}` | {_in_cell((action.help or '').replace('%%', '%'))} |"


def _in_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")
