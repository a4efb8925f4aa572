"""`segforge clean`."""

import argparse

from segforge.cli.parser import add_dataset, path_or_none
from segforge.cli.table import aligned
from segforge.compute.wording import size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_dataset(parser, required=True)
    parser.add_argument("--remove", action="store_true", help="remove it (default: only show it)")


def run(options: argparse.Namespace) -> None:
    """Show what can be made again, and remove it if that was asked for."""
    from segforge.api.cleaning import clean

    found = clean(options.dataset, remove=options.remove, workspace=path_or_none(options.workspace))
    if not found:
        print("There is nothing that could be made again.")
        return
    rows = [(str(item.path), size(item.bytes), item.remedy) for item in found]
    print(aligned([("what", "size", "made again by"), *rows]))
    total = size(sum(item.bytes for item in found))
    print(f"{'Removed' if options.remove else 'Can be removed with --remove'}: {total}.")
