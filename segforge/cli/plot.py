"""`segforge plot`."""

import argparse
from pathlib import Path

from segforge.cli.parser import add_dataset, add_workers, fold_name, path_or_none
from segforge.compute.wording import counted

_EXAMPLES = """Draw cases with their labels, a PNG file each: what to look at before and after training.

  segforge plot -d 4                                  images with their label maps
  segforge plot -d 4 --what preprocessed -c 2d        what the network sees
  segforge plot -d 4 --what predictions               held-out cases as trained models predict them
  segforge plot -d 4 --predictions out -i imagesTs    any predictions
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = _EXAMPLES
    add_dataset(parser, required=True)
    parser.add_argument(
        "--what",
        nargs="+",
        choices=("raw", "preprocessed", "predictions"),
        metavar="WHAT",
        help="raw, preprocessed, predictions (default: raw, or predictions with --predictions)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the pictures (default: figures/ in the data set's results, or in the folder of predictions)",
    )
    _add_choice(parser)
    _add_look(parser)
    add_workers(parser)


def run(options: argparse.Namespace) -> None:
    """Draw."""
    from segforge.api.plotting import PictureChoice, plot
    from segforge.dataset.scenes import Look

    choice = PictureChoice(
        cases=options.cases,
        everything=options.all,
        configurations=options.configurations,
        plans=options.plans,
        name=options.name,
        folds=options.folds,
        predictions=options.predictions,
        images=options.images,
    )
    paths = plot(
        options.dataset,
        what=options.what,
        choice=choice,
        look=Look(options.channel, None if options.window is None else tuple(options.window), options.filled),
        output=options.output,
        workers=options.np,
        workspace=path_or_none(options.workspace),
    )
    print(f"Drew {counted(len(paths), 'picture')}.")


def _add_choice(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which cases")
    group.add_argument(
        "--cases", nargs="+", metavar="CASE", help="these cases (default: five, from the smallest to the largest)"
    )
    group.add_argument("--all", action="store_true", help="all cases (default: five)")
    group.add_argument(
        "-c", "--configurations", nargs="+", metavar="CONFIGURATION", help="configurations (default: all that there are)"
    )
    group.add_argument(
        "-p", "--plans", metavar="PLANS", help="name of the plans (default: default; of predictions all that are trained)"
    )
    group.add_argument("--name", metavar="NAME", help="name of the training (default: all)")
    group.add_argument(
        "-f", "--folds", nargs="+", type=fold_name, metavar="FOLD", help="folds (default: those that are trained)"
    )
    group.add_argument(
        "--predictions", type=Path, metavar="DIR", help="a folder of predictions (default: those of trained models)"
    )
    group.add_argument(
        "-i", "--images", type=Path, metavar="DIR", help="the images that these are of (default: those of the data set)"
    )


def _add_look(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how to draw them")
    group.add_argument(
        "--channel",
        "-channel_idx",
        type=int,
        metavar="N",
        help="channel to show, from 0 (default: a photograph's colours, else 0)",
    )
    group.add_argument(
        "--window",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="values that are black and white (default: leave out the darkest and brightest 0.5 %%; CT: around the structures)",
    )
    group.add_argument("--filled", action="store_true", help="fill the structures (default: outlines)")
