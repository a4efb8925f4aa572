"""`segforge predict`."""

import argparse
import re
from pathlib import Path

from segforge.cli.parser import (
    add_dataset,
    add_device,
    add_executor,
    checkpoint_name,
    executor_of,
    fold_name,
    gigabytes,
    path_or_none,
)
from segforge.compute.wording import counted

_FAST_STEP = 0.75


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "-i",
        "--images",
        required=True,
        nargs="+",
        type=Path,
        metavar="PATH",
        help="folder of images, named CASE_0000.nii.gz, or of DICOM series; or such files; or a JSON list of cases",
    )
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="folder for the label maps")
    add_device(parser)
    _add_model(parser.add_argument_group("which model"))
    _add_manner(parser.add_argument_group("how to predict"))
    _add_output(parser.add_argument_group("what is written"))
    _add_work(parser.add_argument_group("how much at once"))
    _add_nnunet(parser.add_argument_group("accepted from nnU-Net's users"))


def _add_model(group: argparse._ArgumentGroup) -> None:
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
    group.add_argument(
        "-chk",
        "--checkpoint",
        type=checkpoint_name,
        default="final",
        metavar="CHECKPOINT",
        help="final, best or latest (default: final)",
    )


def _add_manner(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--no-mirroring",
        "--disable_tta",
        action="store_true",
        help="predict each tile once, faster, a little worse (default: mirrored too)",
    )
    group.add_argument(
        "--tile-step",
        "-step_size",
        type=float,
        metavar="SHARE",
        help="distance of tiles as a share of the patch (default: 0.5)",
    )
    group.add_argument(
        "--fast",
        action="store_true",
        help=f"for laptops: one fold, no mirroring, --tile-step {_FAST_STEP} (default: the model's best)",
    )
    group.add_argument(
        "--precision",
        choices=["auto", "fp32", "bf16", "fp16"],
        default="auto",
        help="of the networks; fp32 is exact (default: auto, what the device computes in fastest)",
    )
    group.add_argument(
        "--previous-stage",
        "-prev_stage_predictions",
        type=Path,
        metavar="DIR",
        help="for a cascade, label maps of the low resolution (default: they are predicted)",
    )
    group.add_argument(
        "--no-postprocessing", action="store_true", help="leave the selection's postprocessing out (default: applied)"
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--format",
        metavar="ENDING",
        help="of the label maps: .nii.gz, .nrrd, ..., or dicom-seg for DICOM series (default: that of the training's labels)",
    )
    group.add_argument(
        "--save-probabilities", "--save_probabilities", action="store_true", help="write CASE.npz too (default: label maps)"
    )
    group.add_argument(
        "--probabilities",
        choices=["float32", "float16", "uint8"],
        help="write CASE.npz in this type; the smaller ones take less disk (default: float32)",
    )


def _add_work(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "-np",
        type=_threads,
        default=1,
        metavar="N",
        help="threads that read, and that write, beside the networks; 0: none (default: 1)",
    )
    group.add_argument(
        "--max-memory",
        type=gigabytes,
        metavar="GB",
        help="memory for cases on their way (default: four fifths of what is free)",
    )
    group.add_argument(
        "--part",
        type=_part,
        default=(0, 1),
        metavar="I/N",
        help="do part I, from 0, of N: for N machines with one output folder (default: 0/1, all)",
    )
    add_executor(group)


def _add_nnunet(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-tr", dest="trainer", metavar="TRAINER", help="as --name (default: whichever there is)")
    group.add_argument(
        "-device", dest="device", default=argparse.SUPPRESS, metavar="DEVICE", help="as --device (default: auto)"
    )
    group.add_argument("-npp", type=_threads, metavar="N", help="as -np (default: 1)")
    group.add_argument("-nps", type=_threads, metavar="N", help="as -np (default: 1)")
    group.add_argument("-num_parts", type=int, metavar="N", help="N of --part I/N (default: 1)")
    group.add_argument("-part_id", type=int, metavar="I", help="I of --part I/N (default: 0)")
    for words in (("--continue_prediction", "--c"), ("--disable_progress_bar",), ("--not_on_device",), ("--verbose",)):
        group.add_argument(*words, action="store_true", help="is so, or decided, by itself (default: so)")


def _threads(word: str) -> int:
    if word.isascii() and word.isdigit():
        return int(word)
    raise argparse.ArgumentTypeError(f"{word} is no number of threads; give 0 or more")


def _part(word: str) -> tuple[int, int]:
    if found := re.fullmatch(r"(\d+)/(\d+)", word):
        number, count = int(found[1]), int(found[2])
        if number < count:
            return number, count
    raise argparse.ArgumentTypeError(f"{word} is no part; give 0/4 to 3/4 for four machines")


def run(options: argparse.Namespace) -> None:
    """Predict."""
    from segforge.api.prediction import OutputOptions, PredictionOptions, predict

    threads = [number for number in (options.npp, options.nps) if number is not None] or [options.np]
    step = options.tile_step if options.tile_step is not None else _FAST_STEP if options.fast else 0.5
    count = predict(
        options.images,
        options.output,
        dataset=options.dataset,
        configuration=options.configuration,
        plans=options.plans,
        name=options.name,
        trainer=options.trainer,
        model=options.model,
        folds=options.folds,
        options=PredictionOptions(
            mirroring=not (options.no_mirroring or options.fast),
            step=step,
            one_fold=options.fast,
            precision=options.precision,
            checkpoint=options.checkpoint,
            postprocessing=not options.no_postprocessing,
            previous_stage=options.previous_stage,
        ),
        written=OutputOptions(
            format=options.format,
            probabilities=options.probabilities or ("float32" if options.save_probabilities else None),
            part=_chosen_part(options),
            threads=max(threads),
            max_memory=options.max_memory,
        ),
        device=options.device,
        where=executor_of(options),
        workspace=path_or_none(options.workspace),
    )
    print(f"Predicted {counted(count, 'case')} into {options.output}.")


def _chosen_part(options: argparse.Namespace) -> tuple[int, int]:
    number, count = options.part
    return options.part_id if options.part_id is not None else number, options.num_parts or count
