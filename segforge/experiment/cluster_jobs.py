"""An experiment on a dask cluster of jobs: one script that starts scheduler, workers and run, and ends them all."""

import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import join, quote

from segforge.experiment.batch_systems import BatchSystem
from segforge.experiment.job_resources import JobResources, StageResources

_NAME = "workers"
_PATIENCE = 600  # seconds in which a worker looks for its scheduler

_COURSE = r"""
finish() {
    set +e
    trap '' HUP INT TERM
    [ -z "$run" ] || { kill "$run"; wait "$run"; } 2>/dev/null
    [ -z "$workers" ] || cancel
    { kill "$scheduler"; wait "$scheduler"; } 2>/dev/null
    rm -f "$file"
}
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
run= workers=
rm -f "$file"
# In sessions of their own: Ctrl-C is for this script, which then ends them.
setsid "$python" -m dask scheduler --scheduler-file "$file" --port 0 --no-dashboard &
scheduler=$!
trap finish EXIT
until address=$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["address"])' "$file" 2>/dev/null); do
    kill -0 "$scheduler" 2>/dev/null || { echo "The scheduler needs dask: pip install segforge[cluster]" >&2; exit 1; }
    sleep 0.5
done
workers=$(submit)
echo "workers: job $workers"
setsid "$python" -m segforge "${words[@]}" --executor dask --scheduler "$address" &
run=$!
wait "$run"
"""


def cluster_scripts(
    words: Sequence[str], workers: int, system: BatchSystem, resources: JobResources, folder: Path
) -> dict[str, str]:
    """The scripts by file name: `workers.sh`, an array of dask workers, and `cluster.sh`.

    Args:
        words: What to run, after `segforge`.
        workers: As many as have something to do at once; the resources may say another number.
        system: The batch system.
        resources: Of a training, which each worker has, and of the scheduler's job, if it is one.
        folder: Where the scripts will lie.
    """
    head = system.header(_NAME, resources.train, folder, resources.cluster.workers or workers)
    file, script = folder / "scheduler.json", folder / f"{_NAME}.sh"
    course = [
        *system.header("cluster", resources.cluster, folder),
        f"python={quote(sys.executable)} file={quote(str(file))}",
        f"words=({join([*words, '--threads', str(resources.train.cores)])})",
        f"submit() {{ {system.submission(script)}; }}",
        f"cancel() {{ {system.cancel}; }}",
    ]
    worker = "\n".join([*head, f"exec {_worker(resources.train, file)}", ""])
    return {script.name: worker, "cluster.sh": "\n".join(course) + _COURSE}


def _worker(resources: StageResources, file: Path) -> str:
    """A worker with one task at a time, begun again if a task kills it; its memory is the batch system's to watch."""
    room = f"MEMORY={resources.memory}e9" + (f" GPU={resources.gpus}" if resources.gpus else "")
    words = ["worker", "--scheduler-file", str(file), "--nthreads", "1", "--memory-limit", "0", "--resources", room]
    return join([sys.executable, "-m", "dask", *words, "--no-dashboard", "--death-timeout", str(_PATIENCE)])
