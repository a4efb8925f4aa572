"""`segforge evaluate`."""

import argparse
import logging
from pathlib import Path

from segforge.cli.parser import add_dataset, add_workers, path_or_none

_EXAMPLES = """Compare predictions with labels, case by case: two folders with files of the same names.

  segforge evaluate labelsTs predictions
  segforge evaluate labelsTs predictions -d 4 --surface --tolerance 1 2 --lesions
  segforge evaluate REFERENCES PREDICTIONS -l 1 2 3 -il 4
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = _EXAMPLES
    parser.add_argument("folders", nargs="*", type=Path, metavar="DIR", help="references, then predictions; or -r and -p")
    parser.add_argument("-r", "--references", type=Path, metavar="DIR", help="folder of true label maps (default: first DIR)")
    parser.add_argument(
        "-p", "--predictions", type=Path, metavar="DIR", help="folder of predicted label maps (default: second DIR)"
    )
    _add_labels(parser)
    _add_measures(parser)
    group = parser.add_argument_group("results")
    group.add_argument("-o", "--output", type=Path, metavar="FILE", help="file (default: summary.json in the predictions)")
    group.add_argument("--json", action="store_true", help="print all numbers as JSON (default: as a table)")
    group.add_argument(
        "--chill", action="store_true", help="accepted from nnU-Net's users (default: missing predictions are a warning)"
    )
    add_workers(parser)


def run(options: argparse.Namespace) -> None:
    """Evaluate and show the table."""
    from segforge.api.evaluation import evaluate
    from segforge.cli.scores import table

    references, predictions = _folders(options)
    if options.json:
        logging.getLogger("segforge").setLevel(logging.WARNING)  # messages would stand between the JSON
    summary = evaluate(
        references,
        predictions,
        dataset=options.dataset,
        description=options.description,
        labels=options.labels,
        ignore_label=options.ignore_label,
        surface=options.surface,
        tolerances=options.tolerance,
        lesions=options.lesions,
        metrics=options.metrics,
        output=options.output,
        workers=options.np,
        workspace=path_or_none(options.workspace),
    )
    print(summary.to_json() if options.json else table(summary), end="" if options.json else "\n")


def _add_labels(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what the values mean")
    add_dataset(group, required=False, default=" (default: dataset.json beside the references)")
    group.add_argument(
        "-djfile", "--description", type=Path, metavar="FILE", help="a dataset.json (default: the one beside the references)"
    )
    group.add_argument(
        "-l",
        "--labels",
        nargs="+",
        type=int,
        metavar="VALUE",
        help="values to score, all others are background (default: those of dataset.json)",
    )
    group.add_argument(
        "-il", "--ignore-label", type=int, metavar="VALUE", help="with -l: value that does not count (default: none)"
    )
    group.add_argument(
        "-pfile", metavar="FILE", help="accepted from nnU-Net's users (default: no plans are needed to evaluate)"
    )


def _add_measures(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to measure besides overlap and volumes")
    group.add_argument("--surface", action="store_true", help="HD95, mean distance and Dice of surfaces (default: no)")
    group.add_argument(
        "--tolerance",
        nargs="+",
        type=float,
        metavar="MM",
        help="distances within which surfaces agree; goes without --surface too (default: the median voxel size)",
    )
    group.add_argument("--lesions", action="store_true", help="count connected components that are found (default: no)")
    group.add_argument(
        "--metrics", nargs="+", metavar="NAME", help="your own, of a plug-in or PACKAGE:FUNCTION (default: none)"
    )


def _folders(options: argparse.Namespace) -> tuple[Path, Path]:
    from segforge.errors import SegForgeError

    named = [folder for folder in (options.references, options.predictions) if folder is not None]
    if len(options.folders) + len(named) != 2 or len(named) == 1:
        raise SegForgeError("Give two folders: segforge evaluate REFERENCES PREDICTIONS, or -r REFERENCES -p PREDICTIONS.")
    first, second = options.folders or named
    return first, second
