"""`segforge describe`."""

import argparse
from pathlib import Path

from segforge.cli.parser import add_dataset, add_names, add_workers, path_or_none


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="folder with imagesTr and labelsTr")
    add_dataset(parser, required=False, default=" (default: FOLDER)")
    add_names(parser)
    parser.add_argument("--force", action="store_true", help="replace dataset.json, the old one is kept (default: refuse)")
    add_workers(parser)


def run(options: argparse.Namespace) -> None:
    """Describe, and show the file."""
    from segforge.api.conversion import describe
    from segforge.errors import SegForgeError

    if (options.folder is None) == (options.dataset is None):
        raise SegForgeError("Give a folder, or a data set with -d. Try: segforge describe --help")
    description = describe(
        options.folder or options.dataset,
        channel_names=options.channel_names,
        label_names=options.label_names,
        force=options.force,
        workers=options.np,
        workspace=path_or_none(options.workspace),
    )
    print(description.to_json(), end="")
