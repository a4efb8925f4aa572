"""`segforge export`."""

import argparse
from pathlib import Path

from segforge.cli.parser import checkpoint_name, fold_name, path_or_none

FORMATS = ("segforge", "nnunet", "onnx")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("model", metavar="MODEL", help="a model's folder, a data set's results, or a data set's number or name")
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="PATH", help="NAME.segforge.zip, or the folder for other formats"
    )
    parser.add_argument(
        "--format", choices=FORMATS, default=FORMATS[0], help="segforge: a package; nnunet, onnx: a folder (default: segforge)"
    )
    _add_model(parser.add_argument_group("which model"))
    _add_contents(parser.add_argument_group("what goes along"))
    parser.add_argument("--force", action="store_true", help="replace what is there (default: refuse)")


def _add_model(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-c", "--configuration", metavar="CONFIGURATION", help="configuration (default: the selection, else the only one)"
    )
    group.add_argument("-p", "--plans", metavar="PLANS", help="name of the plans (default: whichever is trained)")
    group.add_argument("--name", metavar="NAME", help="name of the training (default: whichever there is)")
    group.add_argument("-f", "--folds", nargs="+", type=fold_name, metavar="FOLD", help="folds (default: all that are trained)")
    group.add_argument(
        "-chk",
        "--checkpoints",
        nargs="+",
        type=checkpoint_name,
        default=["final"],
        metavar="CHECKPOINT",
        help="final, best, latest (default: final)",
    )


def _add_contents(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--with-validation", action="store_true", help="the validations' label maps and scores too (default: not)"
    )
    group.add_argument("--licence", default="", metavar="TEXT", help="of the weights (default: what dataset.json says)")
    group.add_argument("--notes", default="", metavar="TEXT", help="for whoever gets it (default: none)")


def run(options: argparse.Namespace) -> None:
    """Export."""
    from segforge.api.sharing import ExportOptions, export_model

    export_model(
        options.model,
        options.output,
        configuration=options.configuration,
        plans=options.plans,
        name=options.name,
        options=ExportOptions(
            format=options.format,
            folds=options.folds,
            checkpoints=options.checkpoints,
            validation=options.with_validation,
            licence=options.licence,
            notes=options.notes,
            force=options.force,
        ),
        workspace=path_or_none(options.workspace),
    )
