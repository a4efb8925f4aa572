"""`segforge estimate`."""

import argparse
from typing import TYPE_CHECKING

from segforge.cli.parser import add_device, path_or_none
from segforge.cli.table import aligned
from segforge.cli.training_options import add_settings, add_training, training_options

if TYPE_CHECKING:
    from segforge.training.estimate import Estimate

_BOUND = {
    "network": "the network",
    "augmentation": "augmentation",
    "processor": "reading, by the processor",
    "disk": "reading, by the disk",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_training(parser, fold="0")
    parser.add_argument("--json", action="store_true", help="print all numbers as JSON (default: as a table)")
    add_device(parser)
    add_settings(parser)


def run(options: argparse.Namespace) -> None:
    """Measure, and show what a training would take."""
    from segforge.api.estimation import estimate

    found = estimate(
        options.dataset,
        options.configuration,
        options.fold,
        plans=options.plans,
        name=options.name,
        trainer=options.trainer,
        options=training_options(options),
        device=options.device,
        workspace=path_or_none(options.workspace),
    )
    print(found.to_json() if options.json else _report(found), end="" if options.json else "\n")


def _report(found: "Estimate") -> str:
    from segforge.compute.wording import duration, size

    rows = [
        ("device", found.device),
        ("a training step", f"{_short(found.step_seconds)}, bound by {_BOUND[found.bound_by]}"),
        ("  network alone", _short(found.network_seconds)),
        ("  augmentation alone", _short(found.augmentation_seconds)),
        ("  reading alone", _short(found.reading_seconds)),
        ("a validation step", _short(found.validation_step_seconds)),
        ("an epoch", duration(found.epoch_seconds)),
        ("the training", f"{duration(found.training_seconds)} in {found.epochs} epochs, and the validation of whole cases"),
        ("memory", f"{size(found.host_memory)}, {size(found.case_memory)} of it the cases"),
        *([("memory of the device", size(found.device_memory))] if found.device_memory else []),
    ]
    return "\n".join([aligned(rows), *found.advice])


def _short(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
