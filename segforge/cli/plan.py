"""`segforge plan`."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segforge.cli.parser import add_planner, add_preprocessed, add_work, path_or_none, work_of
from segforge.cli.table import aligned
from segforge.cli.verify import add_verification, is_sound

if TYPE_CHECKING:
    from segforge.planning.plans import Plans
    from segforge.planning.settings import PlannerSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("-d", "--dataset", nargs="+", metavar="DATASET", help="numbers or names of data sets (default: none)")
    add_preprocessed(parser)
    parser.add_argument("--no-preprocess", action="store_true", help="only plan (default: preprocess too)")
    add_verification(parser)
    add_work(parser)
    _add_plans(parser.add_argument_group("what to decide instead of the planner"))
    _add_reading(parser.add_argument_group("to read plans"))
    _add_elsewhere(parser.add_argument_group("plans from elsewhere"))


def _add_plans(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--name", metavar="NAME", help="name of the plans (default: the planner's)")
    add_planner(group)
    group.add_argument("--blocks", type=int, nargs="+", metavar="N", help="blocks per encoder stage (default: the planner's)")
    group.add_argument(
        "--network",
        metavar="NETWORK",
        help="one of MONAI's, monai:SegResNet for example, or a file of weights that one has (default: the planner's)",
    )
    group.add_argument(
        "--network-arguments",
        nargs="+",
        type=_argument,
        default=[],
        metavar="NAME=VALUE",
        help="of its constructor: init_filters=16 blocks_down=[1,2,2,4] (default: its own)",
    )
    group.add_argument("--batch-size", type=int, metavar="N", help="patches per training step (default: what fits in memory)")
    group.add_argument("--patch-size", type=int, nargs="+", metavar="N", help="z y x, or y x for 2d (default: what fits)")
    group.add_argument("--spacing", type=float, nargs=3, metavar="MM", help="z y x, target spacing (default: by the method)")
    group.add_argument("--no-transpose", action="store_true", help="keep the order of the axes (default: coarsest first)")
    group.add_argument(
        "--resampling", default="spline", metavar="METHOD", help="spline, linear, none, or a plug-in's name (default: spline)"
    )
    group.add_argument(
        "--dtype", choices=("float32", "float16"), default="float32", help="of preprocessed images (default: float32)"
    )


def _argument(word: str) -> tuple[str, Any]:
    name, equals, value = word.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{word} is no NAME=VALUE; give init_filters=16 for example")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value  # words need no quotes


def _add_reading(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--show", action="store_true", help="show the configurations as a table, write nothing (default: plan, preprocess)"
    )
    group.add_argument(
        "--explain", action="store_true", help="say why each number is what it is, write nothing (default: in NAME.md)"
    )
    group.add_argument("--check", type=Path, metavar="FILE", help="only check plans that were edited by hand (default: none)")


def _add_elsewhere(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--fingerprint", type=Path, metavar="FILE", help="plan from a fingerprint, without the data (default: none)"
    )
    group.add_argument("--description", type=Path, metavar="FILE", help="its dataset.json (default: none)")
    group.add_argument("--output", type=Path, metavar="FILE", help="where to write those plans (default: none)")
    group.add_argument(
        "--layout", choices=("segforge", "nnunet"), default="segforge", help="segforge or nnunet (default: segforge)"
    )
    group.add_argument(
        "--import", dest="imported", type=Path, metavar="FILE", help="use plans from a file, nnU-Net's or ours (default: none)"
    )
    group.add_argument("--move-from", metavar="DATASET", help="use the plans of another data set, under --name (default: none)")
    group.add_argument("-p", "--plans", default="default", metavar="PLANS", help="their name there (default: default)")


def run(options: argparse.Namespace) -> int:
    """Plan in the way that was asked for."""
    if options.check:
        return _check(options)
    if options.fingerprint or options.description:
        return _without_data(options)
    if not options.dataset:
        return _usage("give data sets with -d, or --check, or --fingerprint with --description")
    if options.verify_dataset and not all(is_sound(dataset, options) for dataset in options.dataset):
        return 1
    if options.move_from:
        return _move(options)
    if options.imported:
        return _import(options)
    if options.layout != "segforge" or options.output:
        return _usage("--layout and --output go with --fingerprint and --description")
    if options.show or options.explain:
        return _read(options)
    from segforge.api.planning import plan

    for dataset in options.dataset:
        plan(
            dataset,
            settings=_settings(options),
            configurations=options.c,
            preprocess=not options.no_preprocess,
            work=work_of(options),
            workspace=path_or_none(options.workspace),
        )
    return 0


def _read(options: argparse.Namespace) -> int:
    from segforge.api.planning import read_planned

    for dataset in options.dataset:
        workspace = path_or_none(options.workspace)
        planned = read_planned(dataset, settings=_settings(options), workers=options.np, workspace=workspace)
        if options.explain:
            print(planned.explanation)
        if options.show:
            print(table(planned.plans))
    return 0


def _settings(options: argparse.Namespace) -> "PlannerSettings":
    from segforge.planning.settings import PlannerSettings

    network: str | None = options.network
    arguments: dict[str, Any] = {}
    if network and network.endswith(".safetensors"):
        from segforge.api.networks import network_of

        network, arguments = network_of(Path(network))
    return PlannerSettings(
        planner=options.planner,
        gpu_memory=options.gpu_memory,
        name=options.name,
        features=options.features,
        blocks=tuple(options.blocks) if options.blocks else None,
        batch_size=options.batch_size,
        patch_size=tuple(options.patch_size) if options.patch_size else None,
        spacing=tuple(options.spacing) if options.spacing else None,
        transpose=not options.no_transpose,
        resampling=options.resampling,
        dtype=options.dtype,
        network=network,
        network_arguments=arguments | dict(options.network_arguments),
    )


def _check(options: argparse.Namespace) -> int:
    from segforge.api.planning import check_plans

    plans = check_plans(options.check)
    print(table(plans))
    print(f"{options.check} can be trained with: {', '.join(plans.configurations)}.")
    return 0


def _without_data(options: argparse.Namespace) -> int:
    if not (options.fingerprint and options.description):
        return _usage("--fingerprint and --description go together")
    if options.layout != "segforge" and not options.output:
        return _usage("--layout needs --output")
    from segforge.api.planning import plan_without_data, write_plans

    planned, description = plan_without_data(options.fingerprint, options.description, settings=_settings(options))
    if options.output:
        write_plans(planned.plans, description, options.output, layout=options.layout)
    if options.explain:
        print(planned.explanation)
    if options.show or not (options.output or options.explain):
        print(table(planned.plans))
    return 0


def _move(options: argparse.Namespace) -> int:
    if not options.name:
        return _usage("--move-from needs --name, the name of the plans for the new data set")
    if _settings(options).changes_plans:
        return _usage("--move-from takes plans as they are; leave out what would change them")
    from segforge.api.planning import move_plans

    for dataset in options.dataset:
        moved = move_plans(
            options.move_from,
            dataset,
            name=options.name,
            source_name=options.plans,
            configurations=options.c,
            preprocess=not options.no_preprocess,
            work=work_of(options),
            workspace=path_or_none(options.workspace),
        )
        print(table(moved))
    return 0


def _import(options: argparse.Namespace) -> int:
    if _settings(options).changes_plans:
        return _usage("--import takes plans as they are; leave out what would change them")
    from segforge.api.planning import import_plans

    for dataset in options.dataset:
        imported = import_plans(
            options.imported,
            dataset,
            name=options.name,
            configurations=options.c,
            preprocess=not options.no_preprocess,
            work=work_of(options),
            workspace=path_or_none(options.workspace),
        )
        print(table(imported))
    return 0


def table(plans: "Plans") -> str:
    """The configurations of plans, a row each."""
    from segforge.api.networks import cost_of

    rows = [
        ("configuration", "spacing", "median shape", "patch", "batch", "stages", "features", "parameters", "GB", "TFLOP/step")
    ]
    for name, item in plans.configurations.items():
        spec, cost = item.architecture, cost_of(item)
        rows.append(
            (
                name,
                " ".join(f"{value:.3g}" for value in item.spacing),
                " ".join(f"{value:.0f}" for value in item.median_shape),
                " ".join(map(str, item.patch_size)),
                str(item.batch_size),
                str(len(spec.features)) if spec.has_stages else spec.network,
                f"{spec.features[0]}-{spec.features[-1]}" if spec.has_stages else "-",
                f"{cost.parameters:,}",
                f"{cost.memory:.1f}",
                f"{cost.operations / 1e12:.3g}",
            )
        )
    return f"{plans.name} of {plans.dataset} ({plans.planner}, {plans.gpu_memory:g} GB)\n{aligned(rows)}"


def _usage(message: str) -> int:
    from segforge.errors import SegForgeError

    raise SegForgeError(f"{message[0].upper()}{message[1:]}. Try: segforge plan --help")
