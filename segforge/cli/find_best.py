"""`segforge find-best`."""

import argparse

from segforge.cli.parser import add_dataset, add_device, fold_name, path_or_none


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_dataset(parser, required=True)
    parser.add_argument(
        "-f",
        "--folds",
        nargs="+",
        type=fold_name,
        metavar="FOLD",
        help="folds to compare on (default: those that all have trained)",
    )
    add_device(parser)


def run(options: argparse.Namespace) -> None:
    """Rank, select, and show both."""
    from segforge.api.training import find_best

    selection = find_best(
        options.dataset, folds=options.folds, device=options.device, workspace=path_or_none(options.workspace)
    )
    width = max(len(candidate.model) for candidate in selection.ranking)
    print(f"Mean foreground Dice of whole validation cases, folds {', '.join(selection.folds)}:")
    for place, candidate in enumerate(selection.ranking, start=1):
        structures = "  ".join(f"{key}: {dice:.4f}" for key, dice in candidate.dice_per_structure.items())
        print(f"{place:>3}. {candidate.model:<{width}}  {candidate.dice:.4f}  ({structures})")
    print(f"Selected {selection.model}. Predict with: segforge predict -i IMAGES -o OUTPUT -d {options.dataset}")
