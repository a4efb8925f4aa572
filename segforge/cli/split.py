"""`segforge split`."""

import argparse
from typing import TYPE_CHECKING

from segforge.cli.parser import add_dataset, add_workers, path_or_none
from segforge.cli.table import aligned

if TYPE_CHECKING:
    from segforge.dataset.grouping import Division


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_dataset(parser, required=True)
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="number of folds (default: 5)")
    parser.add_argument(
        "--group-by",
        metavar="REGEX|FILE.csv",
        help="what stays on one side: what the regular expression's first parentheses match in a case's name, "
        "or a table case,group (default: each case for itself)",
    )
    parser.add_argument(
        "--stratify",
        action="store_true",
        help="spread labels and foreground volumes evenly over the folds (default: at random)",
    )
    parser.add_argument("--check", action="store_true", help="only check the folds that are there (default: make folds)")
    parser.add_argument("--restart", action="store_true", help="replace folds that models were trained on (default: refuse)")
    add_workers(parser)


def run(options: argparse.Namespace) -> int:
    """Make the folds, or check them, and show them."""
    from segforge.api.dataset import check_splits, split

    workspace = path_or_none(options.workspace)
    if options.check:
        return _report_leaks(check_splits(options.dataset, group_by=options.group_by, workspace=workspace))
    division = split(
        options.dataset,
        folds=options.folds,
        group_by=options.group_by,
        stratify=options.stratify,
        restart=options.restart,
        workers=options.np,
        workspace=workspace,
    )
    print(table(division))
    return 0


def table(division: "Division") -> str:
    """The folds, a row each: numbers of cases, of groups, and of validation cases that hold each label."""
    groups, labels = division.groups, division.labels or {}
    rows = [("fold", "training", "validation", *(["groups"] if groups else []), *labels)]
    for number, fold in enumerate(division.splits):
        counts = [len(fold.train), len(fold.val)]
        counts += [len({groups[case] for case in fold.val})] if groups else []
        counts += [len(holders.intersection(fold.val)) for holders in labels.values()]
        rows.append((str(number), *map(str, counts)))
    return aligned(rows)


def _report_leaks(division: "Division") -> int:
    print(table(division))
    for leak in division.leaks:
        train, val = ", ".join(leak.train), ", ".join(leak.val)
        print(f"fold {leak.fold} has the group {leak.group} on both sides: {train} in training, {val} in validation")
    return 1 if division.leaks else 0
