"""`segforge train`."""

import argparse

from segforge.cli.parser import add_device, fold_name, path_or_none


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("dataset", metavar="DATASET", help="number or name of the data set")
    parser.add_argument("configuration", metavar="CONFIGURATION", help="2d, 3d_fullres, or another that is planned")
    parser.add_argument("fold", metavar="FOLD", type=fold_name, help="number of the fold, from 0, or all")
    parser.add_argument("-p", "--plans", default="default", metavar="PLANS", help="name of the plans (default: default)")
    parser.add_argument(
        "--name", default="default", metavar="NAME", help="name of the training, to keep several apart (default: default)"
    )
    parser.add_argument("--restart", action="store_true", help="move an earlier result aside and begin anew (default: go on)")
    parser.add_argument(
        "--c",
        "--continue",
        action="store_true",
        dest="go_on",
        help="accepted from nnU-Net's users (default: it goes on by itself)",
    )
    add_device(parser)
    group = parser.add_argument_group("numbers of the training")
    group.add_argument("--epochs", type=int, metavar="N", help="epochs (default: 1000)")
    group.add_argument("--iterations", type=int, metavar="N", help="training steps per epoch (default: 250)")
    group.add_argument("--validation-iterations", type=int, metavar="N", help="validation steps per epoch (default: 50)")
    group.add_argument("--batch-size", type=int, metavar="N", help="patches per step (default: the plan's)")
    group.add_argument("--seed", type=int, metavar="N", help="all randomness follows from it (default: 0)")


def run(options: argparse.Namespace) -> None:
    """Train and validate, and show the validation."""
    from segforge.api.training import TrainingOptions, train
    from segforge.cli.scores import table

    summary = train(
        options.dataset,
        options.configuration,
        options.fold,
        plans=options.plans,
        name=options.name,
        options=TrainingOptions(
            epochs=options.epochs,
            iterations=options.iterations,
            validation_iterations=options.validation_iterations,
            batch_size=options.batch_size,
            seed=options.seed,
        ),
        device=options.device,
        restart=options.restart,
        workspace=path_or_none(options.workspace),
    )
    print(f"Validation of fold {options.fold}, whole cases:\n{table(summary)}")
