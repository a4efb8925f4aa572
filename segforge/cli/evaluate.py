"""`segforge evaluate`."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segforge.cli.parser import add_dataset, add_executor, add_workers, executor_of, fold_name, path_or_none

if TYPE_CHECKING:
    from segforge.evaluation.summary import Summary

_EXAMPLES = """Compare predictions with labels, case by case: two folders with files of the same names, or with -d alone the
cross-validation of the trained models of a data set.

  segforge evaluate labelsTs predictions
  segforge evaluate labelsTs predictions -d 4 --surface --tolerance 1 2 --lesions --figures
  segforge evaluate REFERENCES PREDICTIONS -l 1 2 3 -il 4
  segforge evaluate -d 4
  segforge evaluate -d 4 -c 3d_fullres -f 0 1 --figures 5
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = _EXAMPLES
    parser.add_argument("folders", nargs="*", type=Path, metavar="DIR", help="references, then predictions; or -r and -p")
    parser.add_argument("-r", "--references", type=Path, metavar="DIR", help="folder of true label maps (default: first DIR)")
    parser.add_argument(
        "-p",
        "--predictions",
        type=Path,
        metavar="DIR",
        help="folder of predicted label maps; with -d alone the name of the plans (default: second DIR)",
    )
    _add_cross_validation(parser)
    _add_labels(parser)
    _add_measures(parser)
    group = parser.add_argument_group("results")
    group.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="file (default: summary.json in the predictions, or cv_results/summary.json in the model's folder)",
    )
    group.add_argument(
        "--figures",
        nargs="?",
        type=_number,
        const=3,
        default=0,
        metavar="N",
        help="draw the N worst and best cases, 3 if no number is given, and all scores, into figures/ (default: no pictures)",
    )
    group.add_argument(
        "-i", "--images", type=Path, metavar="DIR", help="images for these pictures (default: those beside the references)"
    )
    group.add_argument("--json", action="store_true", help="print all numbers as JSON (default: as a table)")
    group.add_argument(
        "--chill", action="store_true", help="accepted from nnU-Net's users (default: missing predictions are a warning)"
    )
    add_workers(parser)
    add_executor(parser)


def run(options: argparse.Namespace) -> None:
    """Evaluate and show the table."""
    from segforge.cli.scores import table

    if options.json:
        logging.getLogger("segforge").setLevel(logging.WARNING)  # messages would stand between the JSON
    if options.dataset is None or options.folders or options.references:
        summary = _evaluate(options)
        print(summary.to_json() if options.json else table(summary), end="" if options.json else "\n")
    else:
        _show_models(_cross_validate(options), as_json=options.json)


def _evaluate(options: argparse.Namespace) -> "Summary":
    from segforge.api.evaluation import evaluate

    _refuse(options, ("configurations", "plans", "name", "folds"), "is for the cross-validation: segforge evaluate -d DATASET")
    references, predictions = _folders(options)
    return evaluate(
        references,
        predictions,
        dataset=options.dataset,
        description=options.description,
        labels=options.labels,
        ignore_label=options.ignore_label,
        images=options.images,
        **_common(options),
    )


def _cross_validate(options: argparse.Namespace) -> dict[str, "Summary"]:
    from segforge.api.evaluation import cross_validate

    named = ("description", "labels", "ignore_label", "images")
    _refuse(options, named, "is for two folders: segforge evaluate REFERENCES PREDICTIONS")
    return cross_validate(
        options.dataset,
        configurations=options.configurations,
        plans=options.plans or (str(options.predictions) if options.predictions else None),
        name=options.name,
        folds=options.folds,
        **_common(options),
    )


def _common(options: argparse.Namespace) -> dict[str, Any]:
    """What both ways to evaluate take."""
    return {
        "surface": options.surface,
        "tolerances": options.tolerance,
        "lesions": options.lesions,
        "metrics": options.metrics,
        "output": options.output,
        "figures": options.figures,
        "workers": options.np,
        "where": executor_of(options),
        "workspace": path_or_none(options.workspace),
    }


def _show_models(summaries: dict[str, "Summary"], *, as_json: bool) -> None:
    from segforge.cli.scores import table

    if as_json:
        from segforge.compute.documents import to_json

        print(to_json({name: summary.model_dump(mode="json") for name, summary in summaries.items()}), end="")
        return
    print("\n\n".join(f"{name}\n\n{table(summary)}" for name, summary in summaries.items()))


def _refuse(options: argparse.Namespace, names: Sequence[str], why: str) -> None:
    from segforge.errors import SegForgeError

    for name in names:
        if getattr(options, name) is not None:
            raise SegForgeError(f"--{name.replace('_', '-')} {why}.")


def _number(word: str) -> int:
    if word.isascii() and word.isdigit() and int(word) > 0:
        return int(word)
    raise argparse.ArgumentTypeError(f"{word} is no number of cases; give 1 or more")


def _add_cross_validation(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which models, with -d alone")
    group.add_argument(
        "-c", "--configurations", nargs="+", metavar="CONFIGURATION", help="configurations (default: all that are trained)"
    )
    group.add_argument("--plans", metavar="PLANS", help="name of the plans (default: all)")
    group.add_argument("--name", metavar="NAME", help="name of the training (default: all)")
    group.add_argument(
        "-f", "--folds", nargs="+", type=fold_name, metavar="FOLD", help="folds to gather (default: those that are trained)"
    )


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
        raise SegForgeError(
            "Give two folders: segforge evaluate REFERENCES PREDICTIONS, or -r REFERENCES -p PREDICTIONS; "
            "or -d DATASET alone for its cross-validation."
        )
    first, second = options.folders or named
    return first, second
