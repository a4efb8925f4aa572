"""`segforge demo`: the four commands on made-up data, typed as a user would type them."""

import argparse
import shlex
from pathlib import Path

DATASET = "Dataset900_Phantom"
TRAINING, TESTING = 16, 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--folder", type=Path, default=Path("demo"), metavar="DIR", help="workspace to make (default: demo)")


def run(options: argparse.Namespace) -> int:
    """Make the data set, then run each command and show what was typed."""
    from segforge.dataset.phantom import write_phantom

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


def _type(command: str, workspace: Path) -> int:
    """Run a command line in this process."""
    from segforge.cli.main import main

    words = f"{command} --workspace {shlex.quote(str(workspace))}"
    print(f"\n$ segforge {words}", flush=True)
    return main(shlex.split(words))


def _draw(raw: Path, predictions: Path, picture: Path) -> int:
    from segforge.dataset.phantom import LABELS
    from segforge.figures.overlay import draw_comparison
    from segforge.images.files import read_image, read_labels

    name = sorted(path.name for path in predictions.glob("*.nii.gz"))[0]
    image = read_image(raw / "imagesTs" / name.replace(".nii.gz", "_0000.nii.gz"))
    draw_comparison(
        picture,
        image.array[0],
        read_labels(raw / "labelsTs" / name).array[0],
        read_labels(predictions / name).array[0],
        image.geometry.spacing,
        names={value: label for label, value in LABELS.items() if value},
        title=name.removesuffix(".nii.gz"),
    )
    print(f"\nA predicted case: {picture}")
    return 0
