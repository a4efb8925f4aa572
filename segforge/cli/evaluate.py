"""`segforge evaluate`."""

import argparse
from pathlib import Path

from segforge.cli.parser import add_dataset, add_workers, path_or_none


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("-r", "--references", required=True, type=Path, metavar="DIR", help="folder of true label maps")
    parser.add_argument("-p", "--predictions", required=True, type=Path, metavar="DIR", help="folder of predicted label maps")
    add_dataset(parser, required=False, default=" (default: dataset.json beside the references)")
    add_workers(parser)


def run(options: argparse.Namespace) -> None:
    """Evaluate and show the table."""
    from segforge.api.evaluation import evaluate
    from segforge.evaluation.summary import table

    summary = evaluate(
        options.references,
        options.predictions,
        dataset=options.dataset,
        workers=options.np,
        workspace=path_or_none(options.workspace),
    )
    print(table(summary))
    print(f"All numbers: {options.predictions / 'summary.json'}")
