"""`segforge predict`."""

import argparse
from pathlib import Path

from segforge.cli.parser import add_dataset, add_device, fold_name, path_or_none


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "-i",
        "--images",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder of images, named CASE_0000.nii.gz, or of DICOM series",
    )
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="folder for the label maps")
    parser.add_argument(
        "--format",
        metavar="ENDING",
        help="of the label maps: .nii.gz, .nrrd, ..., or dicom-seg for DICOM series (default: that of the training's labels)",
    )
    add_device(parser)
    group = parser.add_argument_group("which model")
    add_dataset(group, required=False, default=" (default: the only one with a trained model)")
    group.add_argument(
        "-c",
        "--configuration",
        metavar="CONFIGURATION",
        help="configuration (default: find-best's selection, else the only one trained)",
    )
    group.add_argument("-p", "--plans", metavar="PLANS", help="name of the plans (default: whichever is trained)")
    group.add_argument("--name", metavar="NAME", help="name of the training (default: whichever there is)")
    group.add_argument(
        "-m", "--model", type=Path, metavar="DIR", help="a model's folder, instead of the four above (default: none)"
    )
    group.add_argument(
        "-f", "--folds", nargs="+", type=fold_name, metavar="FOLD", help="folds to average (default: all that are trained)"
    )
    group = parser.add_argument_group("how to predict")
    group.add_argument(
        "--no-mirroring", action="store_true", help="predict each tile once, faster, a little worse (default: mirrored too)"
    )


def run(options: argparse.Namespace) -> None:
    """Predict."""
    from segforge.api.prediction import predict

    count = predict(
        options.images,
        options.output,
        dataset=options.dataset,
        configuration=options.configuration,
        plans=options.plans,
        name=options.name,
        model=options.model,
        folds=options.folds,
        mirroring=not options.no_mirroring,
        output_format=options.format,
        device=options.device,
        workspace=path_or_none(options.workspace),
    )
    print(f"Predicted {count} cases into {options.output}.")
