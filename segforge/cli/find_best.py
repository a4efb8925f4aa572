"""`segforge find-best`."""

import argparse
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from segforge.cli.parser import add_dataset, add_device, add_workers, byte_size, fold_name, path_or_none
from segforge.cli.scores import WHERE_NOTHING_IS_FOUND, finds_nothing
from segforge.cli.table import aligned

if TYPE_CHECKING:
    from segforge.evaluation.paired_test import PairedTest
    from segforge.experiment.selection import Selection

_COLUMNS = 6
_CLEAR = 0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("dataset_name", nargs="?", metavar="DATASET", help="as -d (default: -d)")
    add_dataset(parser, required=False, default=" (default: DATASET)")
    _add_candidates(parser.add_argument_group("what to compare"))
    parser.add_argument(
        "--keep-logits",
        type=byte_size,
        metavar="SIZE",
        help="disk that the kept logits of the data set may take; 0: keep none (default: 20G)",
    )
    parser.add_argument("--json", action="store_true", help="print selection.json instead of tables (default: tables)")
    add_workers(parser)
    add_device(parser)
    parser.add_argument(
        "--no_overwrite", action="store_true", help="accepted from nnU-Net's users (default: what is done is never done again)"
    )


def _add_candidates(group: argparse._ArgumentGroup) -> None:
    for words, metavar, help_text in (
        (("-c", "--configurations"), "CONFIGURATION", "configurations (default: all that are trained)"),
        (("-p", "--plans"), "PLANS", "names of plans, ours or nnU-Net's (default: all)"),
        (("--names",), "NAME", "names of trainings (default: all)"),
        (("-tr",), "TRAINER", "trainers, as --names (default: all)"),
    ):
        group.add_argument(*words, nargs="+", metavar=metavar, help=help_text)
    group.add_argument(
        "-f",
        "--folds",
        nargs="+",
        type=fold_name,
        metavar="FOLD",
        help="folds to compare on (default: those that all have trained)",
    )
    group.add_argument(
        "--no-ensembles",
        "--disable_ensembling",
        action="store_true",
        help="leave out averages of two models (default: compared too)",
    )


def run(options: argparse.Namespace) -> None:
    """Rank, select, and show both."""
    from segforge.api.selection import find_best
    from segforge.experiment.kept_logits import DEFAULT_LIMIT
    from segforge.training.nnunet_names import PLANS, training_name

    dataset = _dataset(options)
    names = [*(options.names or ()), *map(training_name, options.tr or ())]
    selection = find_best(
        dataset,
        configurations=options.configurations,
        plans=None if options.plans is None else [PLANS.get(name, name) for name in options.plans],
        names=names or None,
        folds=options.folds,
        ensembles=not options.no_ensembles,
        keep_logits=DEFAULT_LIMIT if options.keep_logits is None else options.keep_logits,
        workers=options.np,
        device=options.device,
        workspace=path_or_none(options.workspace),
    )
    print(selection.to_json() if options.json else _report(selection, dataset))


def _dataset(options: argparse.Namespace) -> str:
    from segforge.errors import SegForgeError

    named = [name for name in (options.dataset_name, options.dataset) if name is not None]
    if len(named) != 1:
        raise SegForgeError("Name one data set: segforge find-best -d DATASET.")
    return str(named[0])


def _report(selection: "Selection", dataset: str) -> str:
    doubt = f"Hardly anything is found. {WHERE_NOTHING_IS_FOUND}" if finds_nothing(selection.ranking[0].dice) else ""
    parts = [
        f"Mean foreground Dice of whole held-out cases, folds {', '.join(selection.folds)}:",
        aligned(_ranking(selection)),
        *([_compared(selection.comparison)] if selection.comparison else []),
        *([aligned(_trials(selection))] if selection.postprocessing.trials else []),
        f"Selected {selection.ranking[0].name}{_with_postprocessing(selection)}. "
        f"Predict with: segforge predict -i IMAGES -o OUTPUT -d {dataset}",
        *([doubt] if doubt else []),
    ]
    return "\n\n".join(parts)


def _ranking(selection: "Selection") -> list[Sequence[str]]:
    structures = list(selection.ranking[0].dice_per_structure)
    shown = structures if 1 < len(structures) <= _COLUMNS else []
    rows: list[Sequence[str]] = [("", "Dice", "95 % interval", *shown)]
    for place, one in enumerate(selection.ranking, start=1):
        cells = [_number(one.dice_per_structure[structure]) for structure in shown]
        rows.append((f"{place:>2}. {one.name}", _number(one.dice), _limits(one.interval), *cells))
    return rows


def _compared(test: "PairedTest") -> str:
    """What the paired test of the first against the second says, in a sentence."""
    from segforge.evaluation.paired_test import FEWEST

    if test.differing < FEWEST:
        return (
            f"The first and the second differ in {test.differing} of {test.cases} cases: too few to tell whether one is "
            "really better."
        )
    meaning = (
        "such a difference would rarely come about by chance."
        if test.p < _CLEAR
        else "the difference between the first and the second may well be chance."
    )
    return f"Wilcoxon's signed-rank test of the first against the second, {test.cases} cases: p = {test.p:.2g}; {meaning}"


def _trials(selection: "Selection") -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [("postprocessing: largest component of", "Dice before", "after", "")]
    for trial in selection.postprocessing.trials:
        rows.append((trial.structure, _number(trial.before), _number(trial.after), "kept" if trial.helped else "left out"))
    return rows


def _with_postprocessing(selection: "Selection") -> str:
    steps = selection.postprocessing.steps
    if not steps:
        return ", without postprocessing"
    before, after = selection.ranking[0].dice, selection.postprocessed_dice
    return f", with {len(steps)} step{'s' * (len(steps) > 1)} of postprocessing: Dice {_number(before)} -> {_number(after)}"


def _limits(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None or math.isnan(interval[0]) else f"{interval[0]:.4f} - {interval[1]:.4f}"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else format(value, ".4f")
