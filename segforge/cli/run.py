"""`segforge run`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segforge.cli.parser import add_dataset, add_device, add_planner, add_work, fold_name, path_or_none, work_of
from segforge.cli.table import aligned
from segforge.cli.training_options import add_settings, training_options
from segforge.errors import SegForgeError

if TYPE_CHECKING:
    from segforge.api.run import PieceReport, RunReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_dataset(parser, required=True)
    parser.add_argument(
        "--pilot",
        action="store_true",
        help="try it in small first, in a few minutes: will it get through, how long, what memory and disk (default: run)",
    )
    parser.add_argument("--json", action="store_true", help="with --pilot: print all numbers as JSON (default: as a table)")
    _add_emission(parser.add_argument_group("job scripts instead"))
    _add_what(parser.add_argument_group("what to run"))
    add_planner(parser.add_argument_group("what to decide instead of the planner"))
    add_work(parser.add_argument_group("preprocessing"))
    _add_workers(parser.add_argument_group("who works"))
    add_settings(parser)


def _add_emission(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--emit",
        nargs=2,
        metavar=("SYSTEM", "DIR"),
        help="write scripts for slurm, pbs or lsf into a folder; submit.sh or cluster.sh begins all of it (default: run here)",
    )
    group.add_argument(
        "--resources",
        type=Path,
        metavar="FILE",
        help="TOML of what jobs ask for: cores, memory, hours, gpus (default: see docs)",
    )


def _add_what(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-c",
        "--configurations",
        nargs="+",
        metavar="CONFIGURATION",
        help="configurations to train (default: all that are planned)",
    )
    group.add_argument("-f", "--folds", nargs="+", type=fold_name, metavar="FOLD", help="folds to train (default: all)")
    group.add_argument("-p", "--plans", metavar="PLANS", help="name of the plans (default: the planner's, default)")
    group.add_argument(
        "--name", metavar="NAME", help="name of the trainings, to keep several apart (default: default, or the trainer's)"
    )
    group.add_argument(
        "-tr",
        "--trainer",
        default="default",
        metavar="TRAINER",
        help="PACKAGE:CLASS, or one of nnU-Net's names, which stands for options (default: default)",
    )


def _add_workers(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--at-once", type=int, metavar="N", help="trainings side by side (default: one for each GPU, without GPUs one)"
    )
    group.add_argument(
        "--threads", type=int, metavar="N", help="processor threads of each (default: the cores divided by those at once)"
    )
    group.add_argument(
        "--gpus", type=int, default=1, metavar="N", help="GPUs that share a training; a fold on each is quicker (default: 1)"
    )
    add_device(group)


def run(options: argparse.Namespace) -> int:
    """Run everything, or try it in small, and show how each piece stands."""
    from segforge.api.run import run as run_experiment

    if options.json and not options.pilot:
        raise SegForgeError("--json goes with --pilot. How far a run is: segforge status --json")
    if options.resources and not options.emit:
        raise SegForgeError("--resources goes with --emit SYSTEM DIR. Add it, or leave --resources out.")
    if options.emit:
        return _emit(options)
    if options.pilot:
        return _pilot(options)
    report = run_experiment(options.dataset, name=options.name, **_asked(options))
    print(_shown(report))
    return 0 if report.is_done else 1


def _pilot(options: argparse.Namespace) -> int:
    from segforge.api.pilot import pilot
    from segforge.cli.outlook import shown

    outlook = pilot(options.dataset, **_asked(options))
    print(outlook.to_json() if options.json else shown(outlook), end="" if options.json else "\n")
    return 1 if outlook.problems else 0


def _emit(options: argparse.Namespace) -> int:
    from segforge.api.emission import emit

    _refuse_beside_emission(options)
    system, folder = options.emit
    scripts = emit(
        options.dataset,
        system,
        Path(folder),
        resources=options.resources,
        configurations=options.configurations,
        folds=options.folds,
        plans=options.plans or "default",
        name=options.name,
        trainer=options.trainer,
        options=training_options(options),
        work=work_of(options),
        device=options.device,
        workspace=path_or_none(options.workspace),
    )
    *jobs, submit, workers, cluster = scripts
    print(f"Wrote {', '.join(path.name for path in [*jobs, workers])}. Submit a job for each stage with: bash {submit}")
    print(f"Where a process may run as long as the experiment, have workers do all of it: bash {cluster}")
    return 0


def _refuse_beside_emission(options: argparse.Namespace) -> None:
    """Refuse what job scripts cannot pass on."""
    decided = options.features or options.gpu_memory or options.planner != "default"
    elsewhere = options.executor != "local" or options.scheduler
    for option, is_given, remedy in (
        ("--pilot", options.pilot, "Try it first, then write the scripts."),
        ("--executor", elsewhere, "One of the scripts, cluster.sh, starts a dask cluster for itself."),
        ("--at-once", options.at_once is not None, "Say workers under [cluster] in the file of --resources."),
        ("--threads", options.threads is not None, "Say cores under [train] in the file of --resources."),
        ("--gpus", options.gpus != 1, "Say gpus under [train] in the file of --resources."),
        ("--features, --gpu-memory, --planner", decided, "Make the plans first: segforge plan --no-preprocess"),
    ):
        if is_given:
            raise SegForgeError(f"--emit takes no {option}. {remedy}")


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    """What a run and its pilot are told."""
    from segforge.api.workers import Workers
    from segforge.planning.settings import PlannerSettings

    work = work_of(options)
    return {
        "configurations": options.configurations,
        "folds": options.folds,
        "plans": options.plans,
        "settings": PlannerSettings(planner=options.planner, gpu_memory=options.gpu_memory, features=options.features),
        "trainer": options.trainer,
        "options": training_options(options),
        "work": work,
        "workers": Workers(options.at_once, options.threads, options.device, work.where, options.gpus),
        "workspace": path_or_none(options.workspace),
    }


def _shown(report: "RunReport") -> str:
    rows = [("piece", "state", "Dice", "time"), *map(_row, report.pieces)]
    parts = [
        aligned(rows),
        *(f"{one.name}: {one.reason}{_place_of(one)}" for one in report.pieces if one.reason),
    ]
    if report.selection:
        chosen = report.selection
        parts.append(
            f"Selected {chosen.ranking[0].name}: Dice {chosen.ranking[0].dice:.4f}, {chosen.postprocessed_dice:.4f} after "
            f"postprocessing. Predict with: segforge predict -i IMAGES -o OUTPUT -d {report.dataset}"
        )
    elif not report.is_done:
        parts.append("What is done is kept: type the command again for the rest.")
    return "\n".join(parts)


def _place_of(piece: "PieceReport") -> str:
    """Where to read on of a piece that was begun."""
    return "" if piece.seconds is None else f". See {piece.log}"


def _row(piece: "PieceReport") -> tuple[str, str, str, str]:
    from segforge.compute.wording import duration

    state = "done" if piece.reason is None else "left out" if piece.seconds is None else "failed"
    dice = "-" if piece.dice is None else f"{piece.dice:.4f}"
    time = duration(piece.seconds) if piece.seconds is not None else "before" if piece.reason is None else "-"
    return piece.name, state, dice, time
