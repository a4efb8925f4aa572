"""`segforge verify`."""

import argparse

from segforge.cli.parser import add_dataset, add_workers, path_or_none


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_dataset(parser, required=True)
    parser.add_argument("--json", action="store_true", help="print all problems as JSON (default: as a table)")
    add_workers(parser)


def run(options: argparse.Namespace) -> int:
    """Verify, and show the problems; 1 if there is any."""
    from segforge.api.dataset import verify

    found = verify(options.dataset, workers=options.np, workspace=path_or_none(options.workspace))
    print(found.to_json() if options.json else found.table(), end="" if options.json else "\n")
    return 1 if found.problems else 0
