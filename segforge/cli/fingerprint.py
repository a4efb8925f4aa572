"""`segforge fingerprint`."""

import argparse

from segforge.cli.parser import add_workers, path_or_none
from segforge.cli.verify import add_verification, is_sound
from segforge.compute.wording import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("-d", "--dataset", nargs="+", required=True, metavar="DATASET", help="numbers or names of data sets")
    add_verification(parser)
    add_workers(parser)


def run(options: argparse.Namespace) -> int:
    """Measure, and show the main numbers; 1 if the data were to be verified and are not sound."""
    from segforge.api.planning import fingerprint

    if options.verify_dataset and not all(is_sound(dataset, options) for dataset in options.dataset):
        return 1

    for dataset in options.dataset:
        measured = fingerprint(dataset, workers=options.np, workspace=path_or_none(options.workspace))
        kept = f"{measured.median_relative_size_after_cropping:.0%}"
        print(f"{dataset}: {counted(len(measured.spacings), 'case')}; cropping to the non-zero region keeps {kept} (median).")
        for channel, facts in measured.foreground_intensity_properties_per_channel.items():
            values = f"{facts.min:.4g} to {facts.max:.4g}, mean {facts.mean:.4g}, std {facts.std:.4g}"
            print(f"  channel {channel}: foreground {values}")
    return 0
