"""The words that name a training and the numbers of it, which `train`, `estimate` and `stop` have in common."""

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING

from segforge.cli.parser import duration, fold_name
from segforge.training.choices import OPTIMIZERS, PRECISIONS, SCHEDULES

if TYPE_CHECKING:
    from segforge.api.training import TrainingOptions


def add_training(parser: argparse.ArgumentParser, *, fold: str | None = None) -> None:
    """Add the words that name a training; `fold` is the one that is meant where none is typed."""
    parser.add_argument("dataset", metavar="DATASET", help="number or name of the data set")
    parser.add_argument("configuration", metavar="CONFIGURATION", help="2d, 3d_fullres, or another that is planned")
    parser.add_argument(
        "fold",
        metavar="FOLD",
        type=fold_name,
        nargs="?" if fold else None,
        default=fold,
        help="number of the fold, from 0, or all" + (f" (default: {fold})" if fold else ""),
    )
    parser.add_argument("-p", "--plans", default="default", metavar="PLANS", help="name of the plans (default: default)")
    parser.add_argument(
        "--name",
        metavar="NAME",
        help="name of the training, to keep several apart (default: default, or the trainer's)",
    )
    parser.add_argument(
        "-tr",
        "--trainer",
        default="default",
        metavar="TRAINER",
        help="PACKAGE:CLASS, or one of nnU-Net's names, which stands for options (default: default)",
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add what `training_options` reads."""
    _add_length(parser.add_argument_group("length of the training"))
    _add_watching(parser.add_argument_group("scores during the training"))
    _add_optimization(parser.add_argument_group("optimization"))
    _add_network(parser.add_argument_group("network and patches"))


def training_options(options: argparse.Namespace) -> "TrainingOptions":
    """The numbers of the training that were typed."""
    from segforge.api.training import TrainingOptions

    return TrainingOptions(**{field.name: getattr(options, field.name, None) for field in fields(TrainingOptions)})


def _add_length(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--epochs", type=int, metavar="N", help="epochs (default: 1000)")
    group.add_argument(
        "--budget",
        type=duration,
        dest="budget_seconds",
        metavar="TIME",
        help="time to train instead of --epochs: 90s, 20m, 6h, 1h30m, 2d; the final validation comes after it (default: none)",
    )
    group.add_argument(
        "--iterations", type=int, metavar="N", help="training steps per epoch; with --budget the most (default: 250)"
    )
    group.add_argument("--validation-iterations", type=int, metavar="N", help="validation steps per epoch (default: 50)")
    group.add_argument("--batch-size", type=int, metavar="N", help="patches per step (default: the plan's)")
    group.add_argument("--seed", type=int, metavar="N", help="all randomness follows from it (default: 0)")


def _add_watching(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--validate-every",
        type=int,
        metavar="N",
        help="epochs after which up to five whole validation cases are predicted, for an honest score (default: 0, never)",
    )
    group.add_argument(
        "--best-by",
        choices=["pseudo-dice", "full-volume"],
        help="what chooses the best checkpoint; full-volume needs --validate-every (default: pseudo-dice)",
    )


def _add_optimization(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--optimizer", choices=list(OPTIMIZERS), help="sgd, adam, adamw or adan (default: sgd)")
    rates = ", ".join(f"{name} {numbers['learning_rate']:g}" for name, numbers in OPTIMIZERS.items())
    group.add_argument("--lr", type=float, dest="learning_rate", metavar="LR", help=f"learning rate (default: {rates})")
    group.add_argument(
        "--schedule", choices=SCHEDULES, help="how the learning rate falls: poly, cosine or constant (default: poly)"
    )
    group.add_argument("--warmup", type=int, metavar="EPOCHS", help="epochs in which the learning rate rises (default: 0)")
    group.add_argument(
        "--loss",
        metavar="LOSS",
        help="dice_ce, dice, ce, topk, dice_topk, dice_focal, dice_ce_skeleton, dice_ce_cldice, or PACKAGE:CLASS "
        "(default: dice_ce)",
    )
    group.add_argument(
        "--label-smoothing", type=float, metavar="SHARE", help="share of the truth spread over all classes (default: 0)"
    )
    group.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="in what the network computes; auto is what a CUDA card is fast in, bf16 or fp16, elsewhere fp32 (default: auto)",
    )


def _add_network(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--norm", choices=["instance", "batch"], help="normalization in the network (default: the plan's, instance)"
    )
    group.add_argument(
        "--no-deep-supervision",
        action="store_false",
        dest="deep_supervision",
        default=None,
        help="train the full resolution alone (default: lower ones too)",
    )
    group.add_argument("--augmentation", metavar="NAME", help="default, none, strong, or PACKAGE:OBJECT (default: default)")
    mirroring = group.add_mutually_exclusive_group()
    mirroring.add_argument(
        "--no-mirroring",
        action="store_const",
        const=(),
        dest="mirror_axes",
        help="mirror neither in training nor in prediction (default: along all axes)",
    )
    mirroring.add_argument(
        "--mirror-axes", type=int, nargs="+", metavar="AXIS", help="axes to mirror along, from 0 (default: all)"
    )
    group.add_argument(
        "--foreground-share",
        type=float,
        metavar="SHARE",
        help="share of a batch that is centred on a structure (default: 0.33)",
    )
