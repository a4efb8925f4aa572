"""`segforge convert`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segforge.cli.parser import CommandParser, HelpFormatter, add_common, add_names, add_workers, path_or_none

if TYPE_CHECKING:
    from segforge.dataset.cases import RawDataset

_IMAGES = """\
Make a data set of images and label maps that lie in one folder, in two, or in a folder for each case.

  segforge convert images PHOTOGRAPHS -d 20 --name Vessels
  segforge convert images --images IMAGES --labels MASKS -d 21 --label-names membrane
  segforge convert images EM -d 22 --stack --spacing 50 4 4
  segforge convert images --pairs LIST.csv -d 23

Files belong together if their names are the same, if the label map's continues the image's (a, a_mask), or if they
differ only in what all images or all label maps share (img_1, mask_1).
"""

_DICOM = """\
Make a data set of DICOM series, which may lie in folders at any depth: each becomes a case, and the segmentations (SEG) that
refer to it its label map. Series without one become test cases.

  segforge convert dicom STUDIES -d 12 --name Lung
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a verb for each kind of source."""
    kinds = parser.add_subparsers(title="what to convert", metavar="KIND", required=True, parser_class=CommandParser)
    images = kinds.add_parser(
        "images", help="folders of images and label maps", description=_IMAGES, formatter_class=HelpFormatter
    )
    _add_images(images)
    images.set_defaults(convert=_images)
    dicom = kinds.add_parser("dicom", help="DICOM series and segmentations", description=_DICOM, formatter_class=HelpFormatter)
    _add_dicom(dicom)
    dicom.set_defaults(convert=_dicom)
    for name, summary, convert in (
        ("msd", "a task of the Medical Segmentation Decathlon", _msd),
        ("nnunet-v1", "a task of nnU-Net v1", _nnunet_v1),
    ):
        task = kinds.add_parser(name, help=summary, description=f"Make a data set of {summary}.", formatter_class=HelpFormatter)
        _add_task(task)
        task.set_defaults(convert=convert)
    for kind in kinds.choices.values():
        add_workers(kind)
        add_common(kind, again=True)


def run(options: argparse.Namespace) -> None:
    """Convert, and name the next commands."""
    dataset: RawDataset | None = options.convert(options)
    if dataset is None:
        print("Next: draw label maps, put both into imagesTr and labelsTr, then segforge describe")
        return
    number = int(dataset.folder.name.removeprefix("Dataset").partition("_")[0])
    print(f"Next: segforge verify -d {number}, then segforge plan -d {number}")


def _add_images(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", type=Path, metavar="SRC", help="folder with images and label maps")
    parser.add_argument("-d", "--dataset", required=True, type=_number, metavar="N", help="number of the new data set")
    parser.add_argument("--name", metavar="NAME", help="its name (default: the folder's)")
    group = parser.add_argument_group("where they are")
    group.add_argument("--images", type=Path, metavar="DIR", help="folder of the images (default: SRC)")
    group.add_argument("--labels", type=Path, metavar="DIR", help="folder of the label maps (default: SRC)")
    group.add_argument("--pairs", type=Path, metavar="FILE.csv", help="table image,label[,case] instead (default: none)")
    group.add_argument("--image-pattern", metavar="TEXT", help='how images are named, "{case}_photo" (default: by all names)')
    group.add_argument("--pattern", metavar="TEXT", help='how label maps are named, "{case}_mask" (default: by all names)')
    group.add_argument(
        "--unlabelled",
        choices=("leave", "test"),
        default="leave",
        help="images without a label map: leave them, or take them as test cases (default: leave)",
    )
    group = parser.add_argument_group("what to make of them")
    group.add_argument("--grey", action="store_true", help="make colours grey (default: a channel for each colour)")
    group.add_argument("--stack", action="store_true", help="slices of a folder become one volume (default: planes)")
    group.add_argument("--spacing", type=float, nargs=3, metavar="MM", help="z y x, voxel size of stacks (default: 1 1 1)")
    group.add_argument("--threshold", type=float, metavar="T", help="label values above T become 1 (default: as they are)")
    add_names(group)


def _add_dicom(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="SRC", help="folder in which the series lie")
    parser.add_argument("-d", "--dataset", required=True, type=_number, metavar="N", help="number of the new data set")
    parser.add_argument("--name", metavar="NAME", help="its name (default: the folder's)")
    parser.add_argument("--modality", metavar="M", help="take series of this modality alone, CT for example (default: all)")
    parser.add_argument("--no-test", action="store_true", help="leave series without a segmentation (default: take them too)")
    add_names(parser, channels="the modality", labels="as the segments are called")


def _add_task(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="SRC", help="the folder TaskXX_Name")
    parser.add_argument("-d", "--dataset", type=_number, metavar="N", help="number of the new data set (default: the task's)")
    parser.add_argument("--name", metavar="NAME", help="its name (default: the task's)")
    parser.add_argument("--no-test", action="store_true", help="leave the test images (default: take them too)")


def _images(options: argparse.Namespace) -> "RawDataset":
    from segforge.api.conversion import convert_images

    return convert_images(
        options.source,
        dataset=options.dataset,
        name=options.name,
        images=options.images,
        labels=options.labels,
        pairs=options.pairs,
        image_pattern=options.image_pattern,
        pattern=options.pattern,
        unlabelled=options.unlabelled,
        grey=options.grey,
        stack=options.stack,
        spacing=tuple(options.spacing) if options.spacing else None,
        threshold=options.threshold,
        channel_names=options.channel_names,
        label_names=options.label_names,
        workers=options.np,
        workspace=path_or_none(options.workspace),
    )


def _dicom(options: argparse.Namespace) -> "RawDataset | None":
    from segforge.api.conversion import convert_dicom

    return convert_dicom(
        options.source,
        modality=options.modality,
        channel_names=options.channel_names,
        label_names=options.label_names,
        **_task_options(options),
    )


def _msd(options: argparse.Namespace) -> "RawDataset":
    from segforge.api.conversion import convert_msd

    return convert_msd(options.source, **_task_options(options))


def _nnunet_v1(options: argparse.Namespace) -> "RawDataset":
    from segforge.api.conversion import convert_nnunet_v1

    return convert_nnunet_v1(options.source, **_task_options(options))


def _task_options(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "dataset": options.dataset,
        "name": options.name,
        "test": not options.no_test,
        "workers": options.np,
        "workspace": path_or_none(options.workspace),
    }


def _number(word: str) -> int:
    if word.isascii() and word.isdigit():
        return int(word)
    raise argparse.ArgumentTypeError(f"{word} is no number for a data set; give 0 or more, and its name with --name")
