"""`segforge plan`."""

import argparse

from segforge.cli.parser import add_dataset, path_or_none


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_dataset(parser, required=True)
    parser.add_argument("-c", nargs="+", metavar="CONFIGURATION", help="configurations to preprocess (default: 2d 3d_fullres)")
    parser.add_argument("--no-preprocess", action="store_true", help="only plan (default: preprocess too)")
    parser.add_argument(
        "-np", type=int, metavar="N", help="worker processes; 0 works in this thread (default: threads, one per core)"
    )
    group = parser.add_argument_group("plans")
    group.add_argument("--name", metavar="NAME", help="name of the plans (default: default)")
    group.add_argument("--features", type=int, metavar="N", help="channels of the network's first stage (default: 32)")
    group.add_argument("--batch-size", type=int, metavar="N", help="patches per training step (default: what fits in memory)")


def run(options: argparse.Namespace) -> None:
    """Plan and preprocess."""
    from segforge import api
    from segforge.planning.settings import PlannerSettings

    api.plan(
        options.dataset,
        settings=PlannerSettings(name=options.name, features=options.features, batch_size=options.batch_size),
        configurations=options.c,
        preprocess=not options.no_preprocess,
        workers=options.np,
        workspace=path_or_none(options.workspace),
    )
