"""`segforge show`."""

import argparse
from pathlib import Path

from segforge.cli.table import aligned
from segforge.compute.wording import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help="a model's folder, of nnU-Net's too, a data set's results, or a package"
    )
    parser.add_argument("--json", action="store_true", help="print model_card.json (default: a table)")


def run(options: argparse.Namespace) -> None:
    """Show the card of a model."""
    from segforge.api.sharing import show_model

    card = show_model(options.model)
    if options.json:
        print(card.to_json(), end="")
        return
    dice = ", ".join(f"fold {fold} {value:.4f}" for fold, value in card.dice.items())
    origin = card.provenance
    rows = [
        ("data set", f"{card.dataset}, {counted(card.training_cases, 'case')}"),
        ("model", card.model),
        ("channels", ", ".join(card.channels)),
        ("structures", ", ".join(card.labels)),
        ("network", f"{card.network}, patch {' '.join(map(str, card.patch_size))}"),
        ("spacing", " ".join(f"{value:.3g}" for value in card.spacing) + " mm"),
        ("folds", ", ".join(card.folds)),
        ("Dice", dice or "not validated"),
        ("licence", card.licence or "not told"),
        ("reference", card.reference or "not told"),
        ("notes", card.notes or "none"),
        ("trained with", origin.program + (f", imported from {origin.source}" if origin.source else "")),
        *((f"  {name}", f"SHA-256 {value}") for name, value in origin.files.items()),
    ]
    print(aligned(rows))
