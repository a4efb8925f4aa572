"""`segforge preprocess`."""

import argparse

from segforge.cli.parser import add_dataset, add_preprocessed, add_work, path_or_none


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_dataset(parser, required=True)
    add_preprocessed(parser)
    parser.add_argument("-p", "--plans", default="default", metavar="PLANS", help="name of the plans (default: default)")
    add_work(parser)


def run(options: argparse.Namespace) -> None:
    """Preprocess."""
    from segforge.api.planning import Work, preprocess

    preprocess(
        options.dataset,
        plans=options.plans,
        configurations=options.c,
        work=Work(options.np, options.max_memory, options.verify),
        workspace=path_or_none(options.workspace),
    )
