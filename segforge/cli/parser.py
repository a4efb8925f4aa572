"""argparse with hints: an unknown option, command or choice is answered with the nearest right one."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from segforge.errors import did_you_mean

if TYPE_CHECKING:
    from segforge.api.planning import Work
    from segforge.compute.executor_choice import ExecutorChoice

CHECKPOINTS = ("final", "best", "latest")
_NO_NUMBER = {"int": "no whole number", "float": "no number"}
_SECONDS = (86_400, 3600, 60, 1)  # of a day, an hour, a minute, a second


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help with room for long options."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34, width=110)


class CommandParser(argparse.ArgumentParser):
    """A parser that takes no abbreviated options and names the nearest right word for a wrong one."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**{"allow_abbrev": False, **kwargs})  # type: ignore[arg-type]

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse, and refuse unknown words here, where the options that they may mean are known."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Print one line with a hint and exit with status 2."""
        message = re.sub(r"invalid (int|float) value: '(.*)'", lambda found: f"{found[2]} is {_NO_NUMBER[found[1]]}", message)
        self.exit(2, f"{self.prog}: {message}.{self._hint(message)} Try: {self.prog} --help\n")

    def _hint(self, message: str) -> str:
        if choices := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            return did_you_mean(choices[1], re.split(r",\s*", choices[2].replace("'", "")))
        unknown = re.search(r"unrecognized arguments: (-\S+)", message)
        options = [option for action in self._actions for option in action.option_strings]
        return did_you_mean(unknown[1].split("=")[0], options) if unknown else ""


def add_common(parser: argparse._ActionsContainer, *, again: bool = False) -> None:
    """Add the options that every verb has; `again` for one that is typed within another, whose values then stay."""
    group = parser.add_argument_group("general")
    default = argparse.SUPPRESS if again else None
    group.add_argument(
        "--workspace",
        metavar="DIR",
        default=default,
        help="folder with raw/ (default: SEGFORGE_WORKSPACE, else the current folder)",
    )
    group.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS if again else False,
        help="show the traceback of an error (default: one line)",
    )


def add_device(parser: argparse._ActionsContainer) -> None:
    """Add `--device`."""
    parser.add_argument(
        "--device",
        default="auto",
        metavar="DEVICE",
        help="auto, cuda, cuda:N, mps or cpu (default: auto, the fastest there is)",
    )


def add_dataset(parser: argparse._ActionsContainer, *, required: bool, default: str = "") -> None:
    """Add `-d`."""
    parser.add_argument(
        "-d", "--dataset", required=required, metavar="DATASET", help=f"number or name of the data set{default}"
    )


def add_names(
    parser: argparse._ActionsContainer, *, channels: str = "colours, or by number", labels: str = "label_VALUE"
) -> None:
    """Add `--channel-names` and `--label-names`, with what names are by default."""
    parser.add_argument(
        "--channel-names",
        nargs="+",
        metavar="NAME",
        help=f"names of the channels; CT chooses its normalization (default: {channels})",
    )
    parser.add_argument(
        "--label-names",
        nargs="+",
        metavar="NAME",
        help=f"names of the label values above 0 in order, or name=value (default: {labels})",
    )


def path_or_none(value: str | None) -> Path | None:
    """A path, if one was typed."""
    return None if value is None else Path(value)


def add_planner(parser: argparse._ActionsContainer) -> None:
    """Add the options that decide most instead of the planner."""
    parser.add_argument(
        "--planner",
        default="default",
        metavar="PLANNER",
        help="default, resenc-m, resenc-l, resenc-xl, nnU-Net's names, or PACKAGE:CLASS (default: default)",
    )
    parser.add_argument(
        "--gpu-memory", type=float, metavar="GB", help="memory that a training may fill (default: the planner's)"
    )
    parser.add_argument("--features", type=int, metavar="N", help="channels of the network's first stage (default: 32)")


def add_workers(parser: argparse._ActionsContainer) -> None:
    """Add `-np`."""
    parser.add_argument(
        "-np", type=_workers, metavar="N", help="worker processes; 0: this thread (default: threads, one per core)"
    )


def add_preprocessed(parser: argparse._ActionsContainer) -> None:
    """Add `-c`, the configurations to preprocess."""
    parser.add_argument(
        "-c",
        nargs="+",
        metavar="CONFIGURATION",
        help="configurations to preprocess (default: 2d 3d_fullres 3d_lowres, if planned)",
    )


def add_work(parser: argparse._ActionsContainer) -> None:
    """Add what says how preprocessing works: `-np`, `--max-memory`, `--verify`, `--executor`."""
    add_workers(parser)
    parser.add_argument(
        "--max-memory", type=gigabytes, metavar="GB", help="memory to take at most (default: four fifths of what is free)"
    )
    parser.add_argument(
        "--verify", action="store_true", help="compare files by content even where size and time are the same (default: not)"
    )
    add_executor(parser)


def add_executor(parser: argparse._ActionsContainer) -> None:
    """Add `--executor` and `--scheduler`."""
    parser.add_argument(
        "--executor",
        default="local",
        metavar="EXECUTOR",
        help="local; dask, with --scheduler; or PACKAGE:FACTORY (default: local, this machine)",
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="of dask's scheduler: tcp://HOST:8786 for example (default: none)"
    )


def work_of(options: argparse.Namespace) -> "Work":
    """What the options of `add_work` say."""
    from segforge.api.planning import Work

    return Work(options.np, options.max_memory, options.verify, executor_of(options))


def executor_of(options: argparse.Namespace) -> "ExecutorChoice":
    """What the options of `add_executor` say."""
    from segforge.compute.executor_choice import ExecutorChoice

    return ExecutorChoice(options.executor, options.scheduler)


def fold_name(word: str) -> str:
    """A fold as it is typed: a number from 0, or `all`."""
    if word == "all" or (word.isascii() and word.isdigit()):
        return word if word == "all" else str(int(word))
    raise argparse.ArgumentTypeError(f"{word} is no fold; give a number from 0, or all")


def checkpoint_name(word: str) -> str:
    """`final`, `best` or `latest`, or nnU-Net's words for them: `checkpoint_best.pth`, `model_best`."""
    name = re.sub(r"^(checkpoint|model)_", "", re.sub(r"(_checkpoint)?(\.(pth|model|safetensors))?$", "", word, count=1))
    if name not in CHECKPOINTS:
        raise argparse.ArgumentTypeError(
            f"{word} is no checkpoint; there are {', '.join(CHECKPOINTS)}.{did_you_mean(name, CHECKPOINTS)}"
        )
    return name


def byte_size(word: str) -> int:
    """An amount of disk space as it is typed: bytes, or with K, M, G or T behind (thousands)."""
    if found := re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMGT]?)B?", word.upper()):
        return int(float(found[1]) * 1000 ** " KMGT".index(found[2] or " "))
    raise argparse.ArgumentTypeError(f"{word} is no size; give 20G or 500M for example, or 0 for none")


def duration(word: str) -> float:
    """A span of time as it is typed, in seconds: 90s, 20m, 6h, 1h30m, 2d."""
    parts = re.fullmatch(r"(?:([0-9.]+)d)?(?:([0-9.]+)h)?(?:([0-9.]+)m)?(?:([0-9.]+)s)?", word.lower())
    try:
        spans = [float(part) * unit for part, unit in zip(parts.groups(), _SECONDS, strict=True) if part] if parts else []
    except ValueError:  # several points in a number
        spans = []
    if spans:
        return sum(spans)
    raise argparse.ArgumentTypeError(f"{word} is no span of time; give 90s, 20m, 6h, 1h30m or 2d for example")


def gigabytes(word: str) -> float:
    """An amount of memory as it is typed, in GB."""
    try:
        value = float(word)
    except ValueError:
        value = 0.0
    if 0 < value < float("inf"):
        return value
    raise argparse.ArgumentTypeError(f"{word} is no amount of memory; give GB, 8 for example")


def _workers(word: str) -> int:
    if word.isascii() and word.isdigit():
        return int(word)
    raise argparse.ArgumentTypeError(f"{word} is no number of workers; give 0 or more")
