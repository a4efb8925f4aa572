"""What a selection means for a user: commands to paste, and `inference_information.json` as nnU-Net's users know it."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segforge.compute.documents import to_json
from segforge.experiment.selection import Candidate, Selection
from segforge.networks.model_folder import PLANS

INSTRUCTIONS = "instructions.md"
INFORMATION = "inference_information.json"
POSTPROCESSING = "postprocessing.json"


def instructions(selection: Selection) -> str:
    """The commands that predict with the winner, as Markdown: in one line, and step by step."""
    best, dataset = selection.ranking[0], selection.dataset
    blocks = [
        f"# Predicting with the best of {dataset}",
        f"{best.name}: mean foreground Dice {best.dice:.4f} over the held-out cases of folds {', '.join(selection.folds)}"
        + (f", {selection.postprocessed_dice:.4f} after postprocessing." if selection.postprocessing.steps else "."),
        _block([f"segforge predict -d {shlex.quote(dataset)} -i INPUT -o OUTPUT"]),
        "does everything. INPUT is a folder of images that are named like those in `imagesTr`. The same, step by step:",
        _block(_steps(selection)),
    ]
    return "\n\n".join(blocks) + "\n"


def inference_information(selection: Selection, results: Path, *, ensembles: bool) -> str:
    """The selection under nnU-Net's keys, as JSON.

    Args:
        selection: The selection.
        results: The data set's results folder.
        ensembles: Whether averages were compared too.
    """
    best = selection.ranking[0]
    # nnU-Net lists its candidates in the order of the comparison, not by score; readers look them up by name.
    content: dict[str, Any] = {
        "folds": [int(fold) if fold.isdigit() else fold for fold in selection.folds],
        "dataset_name_or_id": selection.dataset,
        "considered_models": [_trained_model(one.models[0], "plans") for one in selection.ranking if len(one.models) == 1],
        "ensembling_allowed": ensembles,
        "all_results": {_identifier(one, selection.folds): one.dice for one in selection.ranking},
        "best_model_or_ensemble": {
            "result_on_crossval_pre_pp": best.dice,
            "result_on_crossval_post_pp": selection.postprocessed_dice,
            "postprocessing_file": str(results / POSTPROCESSING),
            "some_plans_file": str(results / best.models[0] / PLANS),
            "selected_model_or_models": [_trained_model(model, "plans_identifier") for model in best.models],
        },
    }
    return to_json(content)


def _steps(selection: Selection) -> list[str]:
    alone, processed = len(selection.models) == 1, bool(selection.postprocessing.steps)
    raw = ("PREDICTED" if alone else "AVERAGE") if processed else "OUTPUT"
    outputs = [raw] if alone else [f"MODEL_{number}" for number in range(1, len(selection.models) + 1)]
    dataset, folds = shlex.quote(selection.dataset), " ".join(selection.folds)
    commands = []
    for model, output in zip(selection.models, outputs, strict=True):
        name, plans, configuration = model.split("__")
        which = f"-d {dataset} -c {configuration} -p {plans} --name {name} -f {folds}"
        commands.append(f"segforge predict -i INPUT -o {output} {which}" + ("" if alone else " --save-probabilities"))
    if not alone:
        commands.append(f"segforge ensemble -i {' '.join(outputs)} -o {raw} -d {dataset}")
    if processed:
        steps = shlex.quote(f"results/{selection.dataset}/{POSTPROCESSING}")
        commands.append(f"segforge postprocess apply -i {raw} -o OUTPUT --steps {steps}")
    return commands


def _block(commands: Sequence[str]) -> str:
    return "\n".join(f"    {command}" for command in commands)


def _trained_model(model: str, plans_key: str) -> dict[str, str]:
    name, plans, configuration = model.split("__")
    return {plans_key: plans, "configuration": configuration, "trainer": name}


def _identifier(candidate: Candidate, folds: Sequence[str]) -> str:
    """nnU-Net's name of a candidate."""
    if len(candidate.models) == 1:
        return candidate.models[0]
    return "___".join(["ensemble", *candidate.models, "_".join(folds)])
