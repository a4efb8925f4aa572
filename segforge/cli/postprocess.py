"""`segforge postprocess`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from segforge.cli.parser import CommandParser, HelpFormatter, add_common, add_dataset, add_workers, path_or_none
from segforge.cli.table import aligned
from segforge.compute.wording import counted

if TYPE_CHECKING:
    from segforge.inference.postprocessing import Postprocessing

_EXAMPLES = """\
Find the postprocessing that makes predictions of known cases better, and apply it to others.

  segforge postprocess determine -i PREDICTIONS -r REFERENCES -o postprocessing.json
  segforge postprocess apply -i MORE_PREDICTIONS -o RESULTS --steps postprocessing.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a verb for each half of the work."""
    parser.description = _EXAMPLES
    verbs = parser.add_subparsers(title="what to do", metavar="VERB", required=True, parser_class=CommandParser)
    for name, summary, add_options, work in (
        ("determine", "find which steps make predictions of known cases better", _add_determine, _determine),
        ("apply", "apply the steps to a folder of predictions", _add_apply, _apply),
    ):
        verb = verbs.add_parser(name, help=summary, description=f"{summary.capitalize()}.", formatter_class=HelpFormatter)
        verb.add_argument("-i", "--predictions", required=True, type=Path, metavar="DIR", help="folder of predicted label maps")
        add_options(verb)
        add_workers(verb)
        add_common(verb, again=True)
        verb.set_defaults(work=work)


def run(options: argparse.Namespace) -> None:
    """Determine or apply."""
    options.work(options)


def _add_determine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-r", "-ref", "--references", required=True, type=Path, metavar="DIR", help="folder of true label maps")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="file for the steps (default: postprocessing.json in PREDICTIONS)"
    )
    add_dataset(parser, required=False, default=" (default: dataset.json beside the references)")
    parser.add_argument(
        "-djfile",
        "-dataset_json",
        "--description",
        type=Path,
        metavar="FILE",
        help="a dataset.json (default: the one beside the references)",
    )
    parser.add_argument(
        "--remove_postprocessed",
        action="store_true",
        help="accepted from nnU-Net's users (default: no postprocessed label maps are kept)",
    )
    _accept_files(parser, "-plans_json")


def _add_apply(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="another folder, for the results")
    parser.add_argument(
        "--steps", "-pp_pkl_file", required=True, type=Path, metavar="FILE", help="the JSON file that determine wrote"
    )
    _accept_files(parser, "-plans_json", "-dataset_json")


def _accept_files(parser: argparse.ArgumentParser, *words: str) -> None:
    for word in words:
        parser.add_argument(word, metavar="FILE", help="accepted from nnU-Net's users (default: it is not needed)")


def _determine(options: argparse.Namespace) -> None:
    from segforge.api.postprocessing import determine_postprocessing

    output = options.output or options.predictions / "postprocessing.json"
    found = determine_postprocessing(
        options.predictions,
        options.references,
        output,
        dataset=options.dataset,
        description=options.description,
        workers=options.np,
        workspace=path_or_none(options.workspace),
    )
    print(_table(found))
    print(f"{len(found.steps) or 'No'} step{'s' * (len(found.steps) != 1)} in {output}.")


def _apply(options: argparse.Namespace) -> None:
    from segforge.api.postprocessing import apply_postprocessing

    count = apply_postprocessing(options.predictions, options.output, options.steps, workers=options.np)
    print(f"Postprocessed {counted(count, 'case')} into {options.output}.")


def _table(found: "Postprocessing") -> str:
    rows = [("largest component of", "Dice before", "after", "")]
    for trial in found.trials:
        rows.append((trial.structure, f"{trial.before:.4f}", f"{trial.after:.4f}", "kept" if trial.helped else "left out"))
    return aligned(rows)
