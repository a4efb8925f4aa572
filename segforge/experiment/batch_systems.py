"""How the batch systems are spoken to: what a job asks for, how it is submitted after others, how it is ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from segforge.experiment.job_resources import StageResources


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
        after: Option that names those others, `jobs`, and takes the job out if one of them fails.
        done: How each of them is named.
        between: What stands between them.
        cancel: Command that ends all jobs of the array `$workers`, waiting or running.
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
    cancel: str

    def header(self, name: str, resources: StageResources, folder: Path, count: int = 1) -> list[str]:
        """The first lines of a script.

        Args:
            name: Of the job.
            resources: What it asks for.
            folder: Where its log goes.
            count: An array of so many, if there are several.
        """
        numbers = resources.model_dump() | {"name": name, "folder": quote(str(folder)), "count": count, "last": count - 1}
        gpus = [self.gpus] if resources.gpus and self.gpus else []
        asked = [line.format(**numbers) for line in [self.array if count > 1 else self.one, *self.resources, *gpus]]
        threads = f"export OMP_NUM_THREADS={resources.cores} MKL_NUM_THREADS={resources.cores}"
        return [
            "#!/bin/bash",
            *(f"{self.directive} {line}" for line in [*asked, *resources.lines]),
            "set -eo pipefail",
            threads,
        ]

    def submission(self, script: Path, needed: Sequence[str] = ()) -> str:
        """A command that submits a script and prints the number of its job.

        Args:
            script: The script.
            needed: Numbers of the jobs that must be done before, as a shell writes them.
        """
        jobs = self.between.join(self.done.format(job=job) for job in needed)
        return self.submit.format(after=self.after.format(jobs=jobs) if jobs else "", script=quote(str(script)))


SYSTEMS = {
    "slurm": BatchSystem(
        directive="#SBATCH",
        one="--job-name={name} --output={folder}/{name}_%j.log",
        array="--job-name={name} --array=0-{last} --output={folder}/{name}_%A_%a.log",
        resources=("--cpus-per-task={cores}", "--mem={memory}G", "--time={hours}:00:00"),
        gpus="--gres=gpu:{gpus}",
        index="$SLURM_ARRAY_TASK_ID",
        submit="sbatch --parsable {after}{script}",
        after="--dependency=afterok:{jobs} --kill-on-invalid-dep=yes ",
        done="{job}",
        between=":",
        cancel='scancel "$workers"',
    ),
    "pbs": BatchSystem(
        directive="#PBS",
        one="-N {name} -j oe -o {folder}",
        array="-N {name} -J 0-{last} -j oe -o {folder}",
        resources=("-S /bin/bash", "-l select=1:ncpus={cores}:ngpus={gpus}:mem={memory}gb", "-l walltime={hours}:00:00"),
        gpus="",
        index="$PBS_ARRAY_INDEX",
        submit="qsub {after}{script}",
        after="-W depend=afterok:{jobs} ",  # takes such jobs out by itself
        done="{job}",
        between=":",
        cancel='qdel "$workers"',
    ),
    "lsf": BatchSystem(
        directive="#BSUB",
        one="-J {name} -o {folder}/{name}_%J.log",
        array="-J {name}[1-{count}] -o {folder}/{name}_%J_%I.log",
        resources=("-n {cores} -R span[hosts=1]", "-M {memory}GB", "-W {hours}:00"),
        gpus="-gpu num={gpus}",
        index="$((LSB_JOBINDEX - 1))",
        submit="bsub {after}< {script} | sed 's/[^0-9]*\\([0-9]*\\).*/\\1/'",
        after='-w "{jobs}" -ti ',
        done="done({job})",
        between=" && ",
        cancel='bkill "$workers"',
    ),
}
"""The batch systems that scripts can be written for."""
