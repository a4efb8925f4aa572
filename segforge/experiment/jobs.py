"""The stages of an experiment as scripts for a batch system: arrays over folds, and one script that submits all in order."""

import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import join, quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from segforge.errors import SegForgeError

FOLD = "FOLD"
"""Stands in a stage's words for the fold of its array."""


class StageResources(BaseModel):
    """What jobs of a kind ask for.

    Attributes:
        cores: Processor cores, and threads that computing uses.
        memory: In GB.
        hours: Longest time.
        gpus: GPUs.
        lines: Further directives, without the batch system's word before them: `--partition=gpu`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cores: int = Field(default=8, ge=1)
    memory: int = Field(default=32, ge=1)
    hours: int = Field(default=24, ge=1)
    gpus: int = Field(default=0, ge=0)
    lines: tuple[str, ...] = ()


class JobResources(BaseModel):
    """A TOML file with a table for each kind of job; what it does not say is as here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prepare: StageResources = StageResources()
    train: StageResources = StageResources(hours=72, gpus=1)
    select: StageResources = StageResources(gpus=1)

    @classmethod
    def read(cls, path: Path) -> "JobResources":
        """Read a file.

        Raises:
            SegForgeError: If it is missing, no TOML, or says what it cannot; names the field.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise SegForgeError(f"{path} cannot be read: {error.strerror}.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SegForgeError(f"{path} is no TOML: {error}.") from error
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"]))
            raise SegForgeError(f"{path}: {field}: {first['msg']} (found {first['input']!r}).") from error


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


@dataclass(frozen=True)
class BatchSystem:
    """How a batch system is spoken to; braces stand for the fields of `StageResources`, `name`, `folder` and `count`.

    Attributes:
        directive: What begins a line for it.
        one: The line that names a job and its log.
        array: The same for an array of `count` jobs, the last of which is number `last`.
        resources: Lines that ask for resources.
        gpus: The line that asks for GPUs, if they are not among those.
        index: Where a job of an array finds its number, from 0.
        submit: Command that submits `script` after others and prints the number of the job.
        after: Option that names those others, `jobs`.
        done: How each of them is named.
        between: What stands between them.
    """

    directive: str
    one: str
    array: str
    resources: tuple[str, ...]
    gpus: str
    index: str
    submit: str
    after: str
    done: str
    between: str


SYSTEMS = {
    "slurm": BatchSystem(
        directive="#SBATCH",
        one="--job-name={name} --output={folder}/{name}_%j.log",
        array="--job-name={name} --array=0-{last} --output={folder}/{name}_%A_%a.log",
        resources=("--cpus-per-task={cores}", "--mem={memory}G", "--time={hours}:00:00"),
        gpus="--gres=gpu:{gpus}",
        index="$SLURM_ARRAY_TASK_ID",
        submit="sbatch --parsable {after}{script}",
        after="--dependency=afterok:{jobs} ",
        done="{job}",
        between=":",
    ),
    "pbs": BatchSystem(
        directive="#PBS",
        one="-N {name} -j oe -o {folder}",
        array="-N {name} -J 0-{last} -j oe -o {folder}",
        resources=("-l select=1:ncpus={cores}:ngpus={gpus}:mem={memory}gb", "-l walltime={hours}:00:00"),
        gpus="",
        index="$PBS_ARRAY_INDEX",
        submit="qsub {after}{script}",
        after="-W depend=afterok:{jobs} ",
        done="{job}",
        between=":",
    ),
    "lsf": BatchSystem(
        directive="#BSUB",
        one="-J {name} -o {folder}/{name}_%J.log",
        array="-J {name}[1-{count}] -o {folder}/{name}_%J_%I.log",
        resources=("-n {cores} -R span[hosts=1]", "-M {memory}GB", "-W {hours}:00"),
        gpus="-gpu num={gpus}",
        index="$((LSB_JOBINDEX - 1))",
        submit="bsub {after}< {script} | sed 's/[^0-9]*\\([0-9]*\\).*/\\1/'",
        after='-w "{jobs}" ',
        done="done({job})",
        between=" && ",
    ),
}
"""The batch systems that scripts can be written for."""


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
    """A job, or an array of them if there are several folds."""
    count = len(stage.folds)
    numbers = resources.model_dump() | {"name": stage.name, "folder": quote(str(folder)), "count": count, "last": count - 1}
    asked = [
        system.array if count > 1 else system.one,
        *system.resources,
        *([system.gpus] if resources.gpus and system.gpus else []),
    ]
    directives = [f"{system.directive} {line}" for line in [*(line.format(**numbers) for line in asked), *resources.lines]]
    index = system.index if count > 1 else "0"
    choice = [f"folds=({join(stage.folds)})", f'fold="${{folds[{index}]}}"'] if stage.folds else []
    words = [sys.executable, "-m", "segforge", *stage.words]
    command = " ".join('"$fold"' if word == FOLD else quote(word) for word in words)
    return "\n".join(["#!/bin/bash", *directives, "set -e", f"export OMP_NUM_THREADS={resources.cores}", *choice, command, ""])


def _submission(stages: Sequence[Stage], system: BatchSystem, folder: Path) -> str:
    """A script that submits every stage after those that it needs."""
    lines = ["#!/bin/bash", "# Submits all jobs; each waits for those that it needs.", "set -eo pipefail"]
    for stage in stages:
        jobs = system.between.join(system.done.format(job=f"${{{_variable(name)}}}") for name in stage.needs)
        after = system.after.format(jobs=jobs) if jobs else ""
        submit = system.submit.format(after=after, script=quote(f"{folder}/{stage.name}.sh"))
        lines += [f"{_variable(stage.name)}=$({submit})", f'echo "{stage.name}: job ${{{_variable(stage.name)}}}"']
    return "\n".join([*lines, ""])


def _variable(name: str) -> str:
    return "job_" + "".join(letter if letter.isalnum() else "_" for letter in name)
