"""`segforge models`."""

import argparse
import json
from typing import TYPE_CHECKING

from segforge.cli.parser import path_or_none
from segforge.cli.table import aligned

if TYPE_CHECKING:
    from segforge.sharing.card import ModelCard


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--json", action="store_true", help="print the models' cards by folder (default: a table)")


def run(options: argparse.Namespace) -> None:
    """List the trained models of the workspace."""
    from segforge.api.sharing import list_models

    cards = list_models(path_or_none(options.workspace))
    if options.json:
        print(json.dumps({str(path): json.loads(card.to_json()) for path, card in cards.items()}, indent=2))
    elif cards:
        rows = [("data set", "model", "folds", "Dice", "from"), *(_row(card) for card in cards.values())]
        print(aligned(rows))
    else:
        print("No trained models yet. Train one with segforge train, or bring one in with segforge import.")


def _row(card: "ModelCard") -> tuple[str, ...]:
    dice = [value for value in card.dice.values() if value == value]
    mean = f"{sum(dice) / len(dice):.4f}" if dice else "-"
    return card.dataset, card.model, " ".join(card.folds), mean, card.provenance.source or "here"
