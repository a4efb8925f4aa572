"""`segforge train`."""

import argparse
from pathlib import Path

from segforge.cli.parser import add_device, byte_size, path_or_none
from segforge.cli.training_options import add_settings, add_training, training_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_training(parser)
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
    parser.add_argument(
        "--gpus",
        "-num_gpus",
        type=_gpus,
        default=1,
        metavar="N",
        help="GPUs that share each batch; a fold on each of them is quicker (default: 1)",
    )
    _add_nnunet(parser)
    add_settings(parser)


def _add_mode(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--restart", action="store_true", help="move an earlier result aside and begin anew (default: go on)")
    parser.add_argument(
        "--extend",
        type=int,
        default=0,
        metavar="N",
        help="train N epochs beyond the end of a finished training (default: leave it as it is)",
    )
    parser.add_argument(
        "--log",
        nargs="+",
        default=(),
        metavar="LOGGER",
        help="tensorboard, wandb, mlflow: tell them of each epoch (default: history.jsonl and progress.png alone)",
    )
    parser.add_argument(
        "--compile",
        choices=("auto", "on", "off"),
        default="auto",
        help="compile the network with torch.compile (default: auto, on CUDA for trainings that are not short)",
    )
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


def _gpus(word: str) -> int:
    if word.isdecimal() and int(word):
        return int(word)
    raise argparse.ArgumentTypeError(f"{word} is no number of GPUs; give 1 or more")


def run(options: argparse.Namespace) -> None:
    """Train and validate, and show the validation."""
    from segforge.api.training import TrainingMode, train
    from segforge.cli.scores import WHERE_NOTHING_IS_FOUND, finds_nothing, table

    summary = train(
        options.dataset,
        options.configuration,
        options.fold,
        plans=options.plans,
        name=options.name,
        trainer=options.trainer,
        options=training_options(options),
        pretrained=options.pretrained,
        adapt_channels=options.adapt_channels,
        mode=TrainingMode(
            validate_only=options.validate_only,
            validate_best=options.validate_best,
            keeps_checkpoints=not options.no_checkpoints,
            save_probabilities=options.save_probabilities,
            extend=options.extend,
            log=tuple(options.log),
            compile=options.compile,
            **({} if options.keep_logits is None else {"keep_logits": options.keep_logits}),
        ),
        device=options.device,
        gpus=options.gpus,
        restart=options.restart,
        workspace=path_or_none(options.workspace),
    )
    print(f"Validation of fold {options.fold}, whole cases:\n{table(summary)}")
    if finds_nothing(summary.dice):
        print(f"Hardly anything is found. {WHERE_NOTHING_IS_FOUND}")
