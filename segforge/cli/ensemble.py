"""`segforge ensemble`."""

import argparse
from pathlib import Path

from segforge.cli.parser import add_dataset, add_workers, path_or_none
from segforge.compute.wording import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "-i",
        "--predictions",
        required=True,
        nargs="+",
        type=Path,
        metavar="DIR",
        help="folders of predictions with probabilities (CASE.npz), ours or nnU-Net's",
    )
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="another folder, for the label maps")
    _add_meaning(parser.add_argument_group("what the labels mean"))
    parser.add_argument(
        "--save-probabilities", "--save_npz", action="store_true", help="write their mean as CASE.npz too (default: label maps)"
    )
    parser.add_argument(
        "--probabilities",
        choices=["float32", "float16", "uint8"],
        help="write the mean in this type; the smaller ones take less disk (default: float32)",
    )
    add_workers(parser)


def _add_meaning(group: argparse._ArgumentGroup) -> None:
    add_dataset(group, required=False, default=" (default: what the folders say)")
    group.add_argument("-m", "--model", type=Path, metavar="DIR", help="a model's folder (default: what the folders say)")
    group.add_argument(
        "-djfile",
        "-dataset_json",
        "--description",
        type=Path,
        metavar="FILE",
        help="a dataset.json (default: the one in the folders)",
    )


def run(options: argparse.Namespace) -> None:
    """Average."""
    from segforge.api.ensembling import ensemble

    count = ensemble(
        options.predictions,
        options.output,
        dataset=options.dataset,
        model=options.model,
        description=options.description,
        probabilities=options.probabilities or ("float32" if options.save_probabilities else None),
        workers=options.np,
        workspace=path_or_none(options.workspace),
    )
    print(f"Averaged {counted(count, 'case')} into {options.output}.")
