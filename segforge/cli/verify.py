"""`segforge verify`."""

import argparse

from segforge.cli.parser import add_dataset, add_workers, path_or_none


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_dataset(parser, required=True)
    parser.add_argument("--json", action="store_true", help="print all problems as JSON (default: as a table)")
    add_workers(parser)


def add_verification(parser: argparse._ActionsContainer) -> None:
    """Add `--verify-dataset`, for verbs that read a data set."""
    parser.add_argument(
        "--verify-dataset",
        action="store_true",
        help="look through all cases first, as segforge verify, and stop if anything is wrong (default: the list of files)",
    )


def run(options: argparse.Namespace) -> int:
    """Verify, and show the problems; 1 if there is any."""
    return 0 if is_sound(options.dataset, options, as_json=options.json) else 1


def is_sound(dataset: str, options: argparse.Namespace, *, as_json: bool = False) -> bool:
    """Verify a data set, show the problems, and tell whether there is none."""
    from segforge.api.dataset import verify

    found = verify(dataset, workers=options.np, workspace=path_or_none(options.workspace))
    print(found.to_json() if as_json else found.table(), end="" if as_json else "\n")
    return not found.problems
