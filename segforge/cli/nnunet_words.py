"""Command lines of nnU-Net's, versions 1 and 2 -> ours, before anything else looks at them."""

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from segforge.errors import SegForgeError
from segforge.training.nnunet_names import PLANS

VERBS = {
    "accumulate_crossval_results": "evaluate -d",
    "apply_postprocessing": "postprocess apply",
    "convert_MSD_dataset": "convert msd",
    "convert_decathlon_task": "convert msd",
    "convert_old_nnUNet_dataset": "convert nnunet-v1",
    "determine_postprocessing": "postprocess determine",
    "download_pretrained_model_by_url": "import",
    "ensemble": "ensemble",
    "evaluate_folder": "evaluate",
    "evaluate_simple": "evaluate",
    "export_model_to_zip": "export",
    "extract_fingerprint": "fingerprint",
    "find_best_configuration": "find-best",
    "install_pretrained_model_from_zip": "import",
    "move_plans_between_datasets": "plan",
    "plan_and_preprocess": "plan",
    "plan_experiment": "plan --no-preprocess",
    "plot_overlay_pngs": "plot --what preprocessed --all --filled",
    "plot_task_pngs": "plot --what preprocessed --all --filled",
    "predict": "predict",
    "predict_from_modelfolder": "predict",
    "preprocess": "preprocess",
    "train": "train",
    "train_DDP": "train",
    "train_DP": "train",
    "train_pretrained": "train",
}
"""What stands after `nnUNetv2_` or `nnUNet_`, and our words for it."""

GONE = {
    "change_trainer_class": "A model does not name the class that trained it: nothing has to be changed.",
    "download_pretrained_model": "There is no catalogue of models. Bring one in by its address: segforge import URL.",
    "plan_like_dynamic": "Give the weights with --pretrained: segforge train 4 3d_fullres 0 --pretrained FILE.",
    "preprocess_like_nnssl": "Give the weights with --pretrained: segforge train 4 3d_fullres 0 --pretrained FILE.",
    "print_available_pretrained_models": "There is no catalogue of models. Those that you have: segforge models.",
    "print_pretrained_model_info": "There is no catalogue of models. What a model is: segforge show MODEL.",
}
"""Commands without a counterpart, and what to do."""

_QUIET = {"--verbose": "", "--no_pbar": ""}
_TASK = {"-t": "-d"}
_MEASURED = {"-fpe": "!A fingerprint is always measured in the same way. Leave -fpe out.", "--clean": ""}
_CASCADE_TRAINER = {"-ctr": "!A cascade's training is named as any other: -tr NAME."}

OPTIONS: dict[str, dict[str, str]] = {
    "plan": {
        **_TASK, **_QUIET, **_MEASURED,
        "-pl": "--planner",
        "-gpu_memory_target": "--gpu-memory",
        "-overwrite_target_spacing": "--spacing",
        "-overwrite_plans_name": "--name",
        "-preprocessor_name": "!What preprocessing does is chosen by --resampling and --dtype. Leave -preprocessor_name out.",
        "-npfp": "-np",
        "--no_pp": "--no-preprocess",
        "--verify_dataset_integrity": "--verify-dataset",
        "-s": "--move-from",
        "-sp": "-p",
        "-tp": "--name",
        "-no_pp": "--no-preprocess",
        "-pl3d": "!Name one planner for 2D and 3D: --planner default or resenc-l; -c says what is preprocessed.",
        "-pl2d": "!Name one planner for 2D and 3D: --planner default or resenc-l; -c says what is preprocessed.",
        "-tl": "-np",
        "-tf": "-np",
        "-overwrite_plans": "!Use plans from a file with --import FILE, those of another data set with --move-from DATASET.",
        "-overwrite_plans_identifier": "--name",
    },
    "fingerprint": {**_TASK, **_QUIET, **_MEASURED, "--verify_dataset_integrity": "--verify-dataset"},
    "preprocess": {**_QUIET, "-plans_name": "-p"},
    "train": {
        "-c": "",
        "-val": "--validate-only",
        "--valbest": "--validate-best",
        "--fp32": "--precision fp32",
        "--disable_saving": "--no-checkpoints",
        "--use_compressed_data": "",
        "--disable_postprocessing_on_folds": "",
        "--val_disable_overwrite": "",
        "--disable_next_stage_pred": "",
        "--deterministic": "!All randomness follows from --seed; on a processor the same seed gives the same weights.",
        "--find_lr": "!The learning rate is given with --lr.",
        "--val_folder": "!A validation lies in validation/, with --validate-best in validation_best/.",
        "--disable_validation_inference": "!The final model is written before the validation: Ctrl-C then leaves it out.",
        "-gpus": "--gpus",
        "--dbs": "",
        "--local_rank": "!The processes of several GPUs are started by --gpus N itself.",
        "--from_scratch": "!Without --pretrained a training begins with random weights.",
        "-overwrite_ckpt_path": "--pretrained",
    },
    "find-best": {
        **_TASK, **_CASCADE_TRAINER,
        "-m": "-c",
        "-pl": "-p",
        "--disable_postprocessing": "!Only what helps is kept; segforge predict --no-postprocessing leaves it out.",
    },
    "predict": {
        **_TASK, **_CASCADE_TRAINER,
        "-z": "--save-probabilities",
        "--save_npz": "--save-probabilities",
        "-l": "--previous-stage",
        "--lowres_segmentations": "--previous-stage",
        "--part_id": "-part_id",
        "--num_parts": "-num_parts",
        "--num_threads_preprocessing": "-npp",
        "--num_threads_nifti_save": "-nps",
        "--step_size": "--tile-step",
        "--disable_mixed_precision": "--precision fp32",
        "--mode": "!Leave --mode out; for less time take --fast: one fold, without mirroring, in larger steps.",
        "--all_in_gpu": "!What fits on the device is there by itself. Leave --all_in_gpu out.",
        "--overwrite_existing": "!What is predicted already stays as it is. Remove the folder, or give another one with -o.",
    },
    "ensemble": {"-f": "-i", "-t": "-np", "--npz": "--save-probabilities",
        "-pp": "!Afterwards: segforge postprocess apply -i FOLDER -o RESULTS --steps postprocessing.json."},
    "evaluate": {"-ref": "-r", "-pred": "-p", "-tr": "--name"},
    "postprocess": {"-m": "!segforge find-best -d DATASET finds the postprocessing of the model that it selects."},
    "plot": {
        **_TASK,
        "--use_raw": "--what raw",
        "-num_processes": "-np",
        "-modality_idx": "--channel",
        "-overlay_intensity": "!Structures are filled (--filled) or outlined. Leave -overlay_intensity out.",
    },
    "export": {
        "-d": "", "-t": "", "-m": "-c", "-tr": "--name", "-pl": "-p", "-trc": _CASCADE_TRAINER["-ctr"],
        "--not_strict": "", "--disable_strict": "", "--exp_cv_preds": "--with-validation",
    },
    "convert": {"-i": "", "-overwrite_id": "-d", "-output_task_id": "-d", "-p": "-np"},
}  # fmt: skip
"""Options by our verb: ours for each, nothing where there is nothing to say, or after `!` what to do instead."""

VALUES = {
    "nnUNetPlansv2.1": "nnUNetPlans",
    "nnUNetTrainerV2": "nnUNetTrainer",
    "nnUNetTrainerV2BraTSRegions": "nnUNetTrainer",
    "nnUNetTrainerV2CascadeFullRes": "nnUNetTrainer",
    "nnUNetTrainerV2_DA5": "nnUNetTrainerDA5",
    "nnUNetTrainerV2_Loss_CE": "nnUNetTrainerCELoss",
    "nnUNetTrainerV2_Loss_Dice": "nnUNetTrainerDiceLoss",
    "nnUNetTrainerV2_Loss_DiceTopK10": "nnUNetTrainerDiceTopK10Loss",
    "nnUNetTrainerV2_Loss_TopK10": "nnUNetTrainerTopk10Loss",
    "nnUNetTrainerV2_noDataAugmentation": "nnUNetTrainerNoDA",
    "nnUNetTrainerV2_noMirroring": "nnUNetTrainerNoMirroring",
}
"""Names of version 1, and those of version 2 for the same."""

_OURS = {**PLANS, "nnUNetTrainer": "default"}
_OWN_MODELS = ("plan", "preprocess", "evaluate", "plot")  # none that nnU-Net trained, which keep their names
_CONFIGURATIONS = ("2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres")


def in_our_words(arguments: Sequence[str]) -> list[str]:
    """A command line with our words in the place of nnU-Net's; one without them stays as it is.

    Args:
        arguments: What was typed after `segforge`; it may be a whole command line of nnU-Net's.

    Raises:
        SegForgeError: If a word has no counterpart; says what to do instead.
    """
    words = _with_our_verb(list(arguments))
    if not words or words[0] not in OPTIONS:
        return words
    verb = words[0]
    rest = _ARRANGED.get(verb, list)(_with_task_number(words[1:]))
    return [verb, *(ours for word in rest for ours in _translated(word, verb))]


def _with_our_verb(words: list[str]) -> list[str]:
    name = re.sub(r"^nnUNet(v2)?_", "", words[0]) if words else ""
    if name in GONE:
        raise SegForgeError(f"{words[0]} is nnU-Net's. {GONE[name]}")
    return [*VERBS[name].split(), *words[1:]] if name in VERBS else words


def _translated(word: str, verb: str) -> list[str]:
    """Our words for an option or a value."""
    name, equals, value = word.partition("=")
    ours = OPTIONS[verb].get(name)
    if ours is None:
        value = VALUES.get(word, word)
        return [_OURS.get(value, value) if verb in _OWN_MODELS else value]
    if ours.startswith("!"):
        raise SegForgeError(f"{name} is nnU-Net's. {ours[1:]}")
    return [*ours.split(), *([value] if equals else [])]


def _fold_last(words: list[str]) -> list[str]:
    """Version 1 names a training by network, trainer, task and fold."""
    if len(words) < 4 or words[0] not in _CONFIGURATIONS:
        return words
    configuration, trainer, task, *others = words
    return [_task_number(task), configuration, *others, "-tr", trainer]


def _with_task_number(words: list[str]) -> list[str]:
    """`-t Task500_Name` becomes `-t 500`."""
    return [_task_number(word) if before == "-t" else word for before, word in itertools.pairwise(["", *words])]


def _task_number(word: str) -> str:
    found = re.fullmatch(r"Task0*(\d+)(_\w+)?", word)
    return found[1] if found else word


def _named_configuration(words: list[str]) -> list[str]:
    """`-m 3d_fullres` of version 1 is a configuration, unless a folder is really called so."""
    return [
        "-c" if word == "-m" and value in _CONFIGURATIONS and not Path(value).exists() else word
        for word, value in itertools.pairwise([*words, ""])
    ]


def _one_number_of_workers(words: list[str]) -> list[str]:
    """`-np 8 4 8`, a number for each configuration, becomes the largest of them."""
    if "-np" not in words:
        return words
    at = words.index("-np") + 1
    numbers = list(itertools.takewhile(str.isdigit, words[at:]))
    return [*words[:at], *([max(numbers, key=int)] if numbers else []), *words[at + len(numbers) :]]


def _named_data_set(words: list[str]) -> list[str]:
    """Version 2's converter takes the name of the new data set, with its number, as second word."""
    found = re.fullmatch(r"Dataset(\d+)_(\w+)", words[2]) if words[:1] == ["nnunet-v1"] and len(words) == 3 else None
    return [*words[:2], "-d", found[1], "--name", found[2]] if found else words


_ARRANGED = {
    "train": _fold_last,
    "predict": _named_configuration,
    "plan": _one_number_of_workers,
    "preprocess": _one_number_of_workers,
    "convert": _named_data_set,
}
"""What puts the words of a verb into our order."""
