"""`segforge demo`: the four commands on made-up data, typed as a user would type them."""

import argparse
import shlex
from pathlib import Path

DATASET = "Dataset900_Phantom"
TRAINING, TESTING = 16, 4
RAW_TRAINING, RAW_TESTING = 12, 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--folder", type=Path, default=Path("demo"), metavar="DIR", help="workspace to make (default: demo)")
    parser.add_argument(
        "--raw",
        choices=("photographs", "scans"),
        help="only make raw files, as the tutorials use them (default: a data set, and run everything)",
    )


def run(options: argparse.Namespace) -> int:
    """Make the data set, then run each command and show what was typed."""
    from segforge.dataset.phantom import write_phantom

    if options.raw:
        return _make_raw_files(options.raw, options.folder)
    raw = options.folder / "raw" / DATASET
    if not (raw / "dataset.json").is_file():
        print(f"Making a data set of {TRAINING + TESTING} cases with an organ and a lesion in {raw}.")
        write_phantom(raw, training=TRAINING, testing=TESTING)
    output = options.folder / "predictions"
    commands = [
        "plan -d 900 --features 8",
        "train 900 3d_fullres 0 --epochs 6 --iterations 50 --batch-size 2 --validation-iterations 5",
        "find-best -d 900",
        f"predict -d 900 -i {shlex.quote(str(raw / 'imagesTs'))} -o {shlex.quote(str(output))}",
        f"evaluate -r {shlex.quote(str(raw / 'labelsTs'))} -p {shlex.quote(str(output))}",
    ]
    for command in commands:
        if status := _type(command, options.folder):
            return status
    return _draw(raw, output, options.folder / "prediction.png")


def _make_raw_files(kind: str, folder: Path) -> int:
    from segforge.dataset.raw_files import write_photographs, write_volumes

    write = {"photographs": write_photographs, "scans": write_volumes}[kind]
    write(folder, training=RAW_TRAINING, testing=RAW_TESTING)
    print(f"Made {RAW_TRAINING} {kind} with masks in {folder / kind}, and {RAW_TESTING} without in {folder / f'new_{kind}'}.")
    return 0


def _type(command: str, workspace: Path) -> int:
    """Run a command line in this process."""
    from segforge.cli.main import main

    words = f"{command} --workspace {shlex.quote(str(workspace))}"
    print(f"\n$ segforge {words}", flush=True)
    return main(shlex.split(words))


def _draw(raw: Path, predictions: Path, picture: Path) -> int:
    from segforge.dataset.description import FILE_NAME, read_description
    from segforge.dataset.scenes import Look
    from segforge.evaluation.pictures import PredictedCase, draw_prediction

    prediction = sorted(predictions.glob("*.nii.gz"))[0]
    image = raw / "imagesTs" / prediction.name.replace(".nii.gz", "_0000.nii.gz")
    case = PredictedCase(prediction.name.removesuffix(".nii.gz"), prediction, raw / "labelsTs" / prediction.name, (image,))
    draw_prediction(picture, case, read_description(raw / FILE_NAME).label_scheme, Look())
    print(f"\nA predicted case: {picture}")
    return 0
