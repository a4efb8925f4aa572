"""The stages of an experiment as job scripts: arrays over folds, and one script that submits all in order."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import join, quote

from segforge.experiment.batch_systems import BatchSystem
from segforge.experiment.job_resources import JobResources, StageResources

FOLD = "FOLD"
"""Stands in a stage's words for the fold of its array."""


@dataclass(frozen=True)
class Stage:
    """Jobs of one kind.

    Attributes:
        name: Of its script.
        kind: `prepare`, `train` or `select`.
        words: After `segforge`, with `FOLD` where the fold belongs.
        folds: A job for each; none is one job.
        needs: Names of the stages that must be done before.
    """

    name: str
    kind: str
    words: tuple[str, ...]
    folds: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


def job_scripts(stages: Sequence[Stage], system: BatchSystem, resources: JobResources, folder: Path) -> dict[str, str]:
    """The scripts by file name: one for each stage, and `submit.sh`.

    Args:
        stages: Each after those that it needs.
        system: The batch system.
        resources: What each kind of job asks for.
        folder: Where the scripts will lie.
    """
    scripts = {f"{stage.name}.sh": _script(stage, system, getattr(resources, stage.kind), folder) for stage in stages}
    return scripts | {"submit.sh": _submission(stages, system, folder)}


def _script(stage: Stage, system: BatchSystem, resources: StageResources, folder: Path) -> str:
    """A job, or an array of them if there are several folds; the batch system's signals go to SegForge itself."""
    count = len(stage.folds)
    index = system.index if count > 1 else "0"
    choice = [f"folds=({join(stage.folds)})", f'fold="${{folds[{index}]}}"'] if stage.folds else []
    words = [sys.executable, "-m", "segforge", *stage.words]
    command = " ".join('"$fold"' if word == FOLD else quote(word) for word in words)
    return "\n".join([*system.header(stage.name, resources, folder, count), *choice, f"exec {command}", ""])


def _submission(stages: Sequence[Stage], system: BatchSystem, folder: Path) -> str:
    """A script that submits every stage after those that it needs."""
    lines = ["#!/bin/bash", "# Submits all jobs; each waits for those that it needs.", "set -eo pipefail"]
    for stage in stages:
        submit = system.submission(folder / f"{stage.name}.sh", [f"${{{_variable(name)}}}" for name in stage.needs])
        lines += [f"{_variable(stage.name)}=$({submit})", f'echo "{stage.name}: job ${{{_variable(stage.name)}}}"']
    return "\n".join([*lines, ""])


def _variable(name: str) -> str:
    return "job_" + "".join(letter if letter.isalnum() else "_" for letter in name)
