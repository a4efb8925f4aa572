"""`segforge stop`."""

import argparse

from segforge.cli.parser import duration, path_or_none
from segforge.cli.training_options import add_training

_WITHIN = 600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_training(parser)
    parser.add_argument(
        "--within",
        type=duration,
        default=_WITHIN,
        metavar="TIME",
        help="time in which the learning rate falls to its end: 90s, 20m, 1h30m, or 0s for at once (default: 10m)",
    )


def run(options: argparse.Namespace) -> None:
    """Ask the training, and show which process was asked."""
    from segforge.api.stopping import stop
    from segforge.compute.wording import duration as in_words

    runner = stop(
        options.dataset,
        options.configuration,
        options.fold,
        within=options.within,
        plans=options.plans,
        name=options.name,
        trainer=options.trainer,
        workspace=path_or_none(options.workspace),
    )
    print(
        f"Asked {runner} to end within {in_words(options.within)}. From its next step on the learning rate falls to its end; "
        "then it writes the final model and validates it."
    )
