"""`segforge status`."""

import argparse
from typing import TYPE_CHECKING

from segforge.cli.parser import add_dataset, path_or_none
from segforge.cli.table import aligned

if TYPE_CHECKING:
    from segforge.experiment.status import DataStatus, FoldStatus, Status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_dataset(parser, required=True)
    parser.add_argument("--json", action="store_true", help="print everything as JSON (default: as tables)")


def run(options: argparse.Namespace) -> None:
    """Look, and show."""
    from segforge.api.status import status

    found = status(options.dataset, workspace=path_or_none(options.workspace))
    print(found.to_json() if options.json else _shown(found), end="" if options.json else "\n")


def _shown(found: "Status") -> str:
    parts = [f"{found.dataset}: {found.cases} training cases, plans: {', '.join(found.plans) or 'none'}."]
    if found.data:
        parts.append(
            aligned([("plans", "configuration", "preprocessed", ""), *(_data_row(row, found.cases) for row in found.data)])
        )
    if found.folds:
        parts.append(aligned([("training", "fold", "state", "epochs", "Dice", ""), *map(_fold_row, found.folds)]))
    if found.selected:
        parts.append(f"Selected: {' + '.join(found.selected)}, compared on folds {', '.join(found.selected_folds)}.")
    parts.append(f"Next: {found.next}")
    return "\n\n".join(parts)


def _data_row(row: "DataStatus", cases: int) -> tuple[str, ...]:
    return row.plans, row.configuration, f"{row.done} of {cases}", _short(row.worker)


def _fold_row(row: "FoldStatus") -> tuple[str, ...]:
    epochs = f"{row.epoch} of {row.epochs}" if row.epochs else str(row.epoch or "-")
    dice = "-" if row.dice is None else f"{row.dice:.4f}"
    return row.model, row.fold, row.state, epochs, dice, _short(row.worker)


def _short(worker: str | None) -> str:
    """Who works, without the folder, which the row names."""
    return "" if worker is None else worker[worker.index("being ") :]
