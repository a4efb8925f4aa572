"""`segforge train`."""

import argparse
from dataclasses import fields
from pathlib import Path

from segforge.cli.parser import add_device, byte_size, fold_name, path_or_none
from segforge.training.choices import OPTIMIZERS, SCHEDULES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("dataset", metavar="DATASET", help="number or name of the data set")
    parser.add_argument("configuration", metavar="CONFIGURATION", help="2d, 3d_fullres, or another that is planned")
    parser.add_argument("fold", metavar="FOLD", type=fold_name, help="number of the fold, from 0, or all")
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
    parser.add_argument(
        "--pretrained",
        "-pretrained_weights",
        type=Path,
        metavar="FILE",
        help="checkpoint, nnU-Net's too, whose weights to begin with (default: random ones)",
    )
    parser.add_argument(
        "--adapt-channels",
        action="store_true",
        help="average or repeat its first layer for another number of channels (default: refuse)",
    )
    _add_mode(parser)
    add_device(parser)
    _add_nnunet(parser)
    _add_length(parser.add_argument_group("length of the training"))
    _add_watching(parser.add_argument_group("scores during the training"))
    _add_optimization(parser.add_argument_group("optimization"))
    _add_network(parser.add_argument_group("network and patches"))


def _add_mode(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--restart", action="store_true", help="move an earlier result aside and begin anew (default: go on)")
    parser.add_argument(
        "--validate-only", "--val", action="store_true", help="validate what is trained (default: train it first)"
    )
    parser.add_argument(
        "--validate-best",
        "--val_best",
        action="store_true",
        help="validate the best checkpoint, in validation_best/ (default: the final one)",
    )
    parser.add_argument(
        "--no-checkpoints",
        "--disable_checkpointing",
        action="store_true",
        help="write the final one alone, so that a stopped training begins anew (default: at least one per epoch)",
    )
    parser.add_argument(
        "--save-probabilities",
        "--npz",
        action="store_true",
        help="write the validation's probabilities too, beside its label maps as CASE.npz (default: label maps alone)",
    )
    parser.add_argument(
        "--keep-logits",
        type=byte_size,
        default=None,
        metavar="SIZE",
        help="disk space for the validations' logits, which ensembles and cascades use: 20G, 500M, 0 (default: 20G)",
    )


def _add_nnunet(parser: argparse.ArgumentParser) -> None:
    """Options of nnU-Net's that have no meaning of their own here."""
    group = parser.add_argument_group("accepted from nnU-Net's users")
    group.add_argument("--c", "--continue", action="store_true", dest="go_on", help="it goes on by itself (default: so)")
    group.add_argument(
        "-device", dest="device", default=argparse.SUPPRESS, metavar="DEVICE", help="as --device (default: auto)"
    )
    group.add_argument("-num_gpus", type=_one_gpu, metavar="1", help="a training uses one (default: 1)")


def _one_gpu(word: str) -> int:
    if word == "1":
        return 1
    raise argparse.ArgumentTypeError(
        f"{word} GPUs for one training are not possible yet; train another fold on the other, with --device cuda:1"
    )


def _add_length(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--epochs", type=int, metavar="N", help="epochs (default: 1000)")
    group.add_argument("--iterations", type=int, metavar="N", help="training steps per epoch (default: 250)")
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
        help="dice_ce, dice, ce, topk, dice_topk, dice_focal, or PACKAGE:CLASS (default: dice_ce)",
    )
    group.add_argument(
        "--label-smoothing", type=float, metavar="SHARE", help="share of the truth spread over all classes (default: 0)"
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


def run(options: argparse.Namespace) -> None:
    """Train and validate, and show the validation."""
    from segforge.api.training import TrainingMode, TrainingOptions, train
    from segforge.cli.scores import table

    summary = train(
        options.dataset,
        options.configuration,
        options.fold,
        plans=options.plans,
        name=options.name,
        trainer=options.trainer,
        options=TrainingOptions(**{field.name: getattr(options, field.name, None) for field in fields(TrainingOptions)}),
        pretrained=options.pretrained,
        adapt_channels=options.adapt_channels,
        mode=TrainingMode(
            validate_only=options.validate_only,
            validate_best=options.validate_best,
            keeps_checkpoints=not options.no_checkpoints,
            save_probabilities=options.save_probabilities,
            **({} if options.keep_logits is None else {"keep_logits": options.keep_logits}),
        ),
        device=options.device,
        restart=options.restart,
        workspace=path_or_none(options.workspace),
    )
    print(f"Validation of fold {options.fold}, whole cases:\n{table(summary)}")
