"""`segforge preprocess`."""

import argparse

from segforge.cli.parser import add_dataset, add_preprocessed, add_work, path_or_none, work_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_dataset(parser, required=True)
    add_preprocessed(parser)
    parser.add_argument("-p", "--plans", default="default", metavar="PLANS", help="name of the plans (default: default)")
    add_work(parser)


def run(options: argparse.Namespace) -> None:
    """Preprocess."""
    from segforge.api.planning import preprocess

    preprocess(
        options.dataset,
        plans=options.plans,
        configurations=options.c,
        work=work_of(options),
        workspace=path_or_none(options.workspace),
    )
