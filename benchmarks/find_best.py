"""find-best beside nnU-Net's own, fed with the same label maps and probabilities: `find_best.py WORKSPACE DATASET PEER_BIN`.

WORKSPACE holds a data set with trained and validated models; DATASET is its number or name; PEER_BIN is the folder with
nnU-Net's commands. Our averages and selection are made anew and timed. Then a tree of nnU-Net's folders is written beside the
workspace (`--scratch`): its plans, our label maps and the probabilities of our kept logits, with geometry as nnU-Net's own
reader gives it; nnU-Net's command runs on it and is timed. Prints Dice per candidate, winner and postprocessing of both, and
exits with 1 where they differ.

    python benchmarks/find_best.py WORKSPACE 4 PEER_BIN [-f 0 1] [-np 2] [--scratch DIR]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from segforge.api.prepared import open_prepared
from segforge.experiment.candidates import competing_models, folds_to_compare, parts_of
from segforge.experiment.held_out import HeldOut
from segforge.experiment.prepared import Prepared
from segforge.images.orientation import as_stored
from segforge.inference.export import CaseLogits, probabilities_of
from segforge.networks.model_folder import ModelFolder
from segforge.sharing.nnunet_plans import plans_to_nnunet

PROPERTIES = """
import pickle, sys
from pathlib import Path
from batchgenerators.utilities.file_and_folder_operations import load_json
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

for model in sorted(Path(sys.argv[1]).glob("*/*__*__*")):
    reader = PlansManager(str(model / "plans.json")).image_reader_writer_class()
    ending = load_json(str(model / "dataset.json"))["file_ending"]
    for path in model.glob(f"fold_*/validation/*{ending}"):
        _, properties = reader.read_seg(str(path))
        path.with_name(path.name[: -len(ending)] + ".pkl").write_bytes(pickle.dumps(properties))
"""

AGREEMENT = 1e-4  # of Dice: our logits are averaged by other rounding, so that a voxel may fall to the other side
RESULTS = ("ensembles", "selection.json", "inference_information.json", "instructions.md", "ranking.png", "postprocessing.json")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("dataset")
    parser.add_argument("peer", type=Path, help="folder with nnUNetv2_find_best_configuration")
    parser.add_argument("-f", "--folds", nargs="+")
    parser.add_argument("-np", type=int, default=len(os.sched_getaffinity(0)), help="nnU-Net's processes; default: the cores")
    parser.add_argument("--scratch", type=Path, help="default: peer_find_best in the workspace")
    options = parser.parse_args()
    scratch = (options.scratch or options.workspace / "peer_find_best").resolve()
    prepared = open_prepared(options.dataset, "auto", options.workspace)
    models = competing_models(prepared.results)
    folds = folds_to_compare(models, options.folds, len(prepared.splits))
    ours, our_time = run_ours(prepared, options, folds)
    shutil.rmtree(scratch, ignore_errors=True)
    environment = write_tree(prepared, models, folds, scratch)
    subprocess.run([options.peer / "python", "-c", PROPERTIES, environment["nnUNet_results"]], env=environment, check=True)
    theirs, their_time = run_theirs(prepared, models, folds, environment, options)
    print(f"time: SegForge {our_time:.1f} s, nnU-Net {their_time:.1f} s, {their_time / our_time:.1f} x")
    return compare(ours, theirs)


def run_ours(prepared: Prepared, options: argparse.Namespace, folds: list[str]) -> tuple[dict[str, Any], float]:
    """Our find-best as a command; validations are made before, outside the measured time."""
    command = [sys.executable, "-m", "segforge", "find-best", "-d", prepared.results.name, "-f", *folds]
    command += ["--workspace", str(options.workspace)]
    subprocess.run([*command, "--no-ensembles"], check=True, stdout=subprocess.DEVNULL)
    for name in RESULTS:
        path = prepared.results / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    begin = time.perf_counter()
    subprocess.run(command, check=True)
    seconds = time.perf_counter() - begin
    return json.loads((prepared.results / "selection.json").read_text()), seconds


def write_tree(prepared: Prepared, models: list[ModelFolder], folds: list[str], scratch: Path) -> dict[str, str]:
    """nnU-Net's three folders; returns the environment that names them."""
    name = prepared.results.name
    raw, preprocessed, results = (scratch / kind / name for kind in ("raw", "preprocessed", "results"))
    description = prepared.raw.description
    for folder in (raw / "labelsTr", preprocessed / "gt_segmentations"):
        folder.mkdir(parents=True)
        for case in prepared.raw.cases:
            shutil.copy(case.label, folder / f"{case.id}{description.file_ending}")
    shutil.copy(prepared.raw.folder / "dataset.json", raw)
    for model in models:
        plans = json.dumps(plans_to_nnunet(model.plans, description))
        merge_plans(preprocessed / f"{parts_of(model)[1]}.json", json.loads(plans))
        target = results / model.path.name
        for fold in folds:
            write_validation(prepared, model, fold, target / f"fold_{fold}" / "validation")
        (target / "plans.json").write_text(plans)
        shutil.copy(prepared.raw.folder / "dataset.json", target)
    places = {f"nnUNet_{kind}": str(scratch / kind) for kind in ("raw", "preprocessed", "results")}
    return dict(os.environ) | places


def merge_plans(path: Path, content: dict[str, Any]) -> None:
    """nnU-Net's plans of one name have all configurations; those of our models only their own."""
    known = json.loads(path.read_text()) if path.is_file() else content
    known["configurations"] |= content["configurations"]
    path.write_text(json.dumps(known))


def write_validation(prepared: Prepared, model: ModelFolder, fold: str, target: Path) -> None:
    """Label maps as our validation wrote them, and probabilities of the logits that it kept."""
    folder, plans, labels = model.fold(fold), model.plans, prepared.raw.description.label_scheme
    cases, (_, configuration) = folder.cases().val, model.configuration(plans)
    held_out = HeldOut(model, folder, prepared.store_of(model, cases), prepared.device)
    target.mkdir(parents=True)
    for case in cases:
        properties = held_out.store.properties(case)
        logits = CaseLogits.of(held_out.logits.open(case), properties, plans, configuration)
        geometry = properties.geometry
        heads = [as_stored(head, geometry) for head in probabilities_of([logits], labels)]
        np.savez_compressed(target / f"{case}.npz", probabilities=np.stack(heads))
        shutil.copy(folder.validation / f"{case}{prepared.raw.description.output_ending}", target)


def run_theirs(
    prepared: Prepared, models: list[ModelFolder], folds: list[str], environment: dict[str, str], options: argparse.Namespace
) -> tuple[dict[str, Any], float]:
    """nnU-Net's command on its tree."""
    names, plans, configurations = (list(dict.fromkeys(parts_of(model)[part] for model in models)) for part in range(3))
    begin = time.perf_counter()
    subprocess.run(
        [
            options.peer / "nnUNetv2_find_best_configuration", prepared.results.name, "-tr", *names, "-p", *plans,
            "-c", *configurations, "-f", *folds, "-np", str(options.np),
        ],
        env=environment, check=True,
    )  # fmt: skip
    seconds = time.perf_counter() - begin
    results = Path(environment["nnUNet_results"]) / prepared.results.name
    content = json.loads((results / "inference_information.json").read_text())
    steps = Path(content["best_model_or_ensemble"]["postprocessing_file"]).with_suffix(".json")
    return content | {"postprocessing": json.loads(steps.read_text())}, seconds


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> int:
    """Print both beside each other; 1 if they differ."""
    folds, largest = "_".join(ours["folds"]), 0.0
    for one in ours["ranking"]:
        key = one["models"][0] if len(one["models"]) == 1 else "___".join(["ensemble", *one["models"], folds])
        other = theirs["all_results"].get(key)
        if other is None:  # the order of a pair's names is that of the command's words
            key = "___".join(["ensemble", *one["models"][::-1], folds])
            other = theirs["all_results"][key]
        largest = max(largest, abs(one["dice"] - other))
        print(f"{key}: {one['dice']:.8f}, nnU-Net {other:.8f}")
    best = theirs["best_model_or_ensemble"]
    their_models = {f"{m['trainer']}__{m['plans_identifier']}__{m['configuration']}" for m in best["selected_model_or_models"]}
    our_steps = [list(step["values"]) for step in ours["postprocessing"]["steps"]]
    their_steps = [values_of(step) for step in theirs["postprocessing"]["postprocessing_kwargs"]]
    print(f"largest difference of Dice: {largest:.1e}")
    print(f"winner: {' + '.join(ours['models'])}; nnU-Net {' + '.join(sorted(their_models))}")
    print(f"postprocessing, values whose largest component stays: {our_steps}; nnU-Net {their_steps}")
    print(f"Dice after it: {ours['postprocessed_dice']:.8f}; nnU-Net {best['result_on_crossval_post_pp']:.8f}")
    agree = set(ours["models"]) == their_models and our_steps == their_steps and largest <= AGREEMENT
    agree &= abs(ours["postprocessed_dice"] - best["result_on_crossval_post_pp"]) <= AGREEMENT
    print("They agree." if agree else "They differ.")
    return 0 if agree else 1


def values_of(step: dict[str, Any]) -> list[int]:
    """The label values of a step of nnU-Net's."""
    named = step["labels_or_regions"]
    return (
        [value for one in named for value in (one if isinstance(one, list) else [one])] if isinstance(named, list) else [named]
    )


if __name__ == "__main__":
    sys.exit(main())
