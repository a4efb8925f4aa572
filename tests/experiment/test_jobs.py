"""Job scripts: what they ask for, what they run, in which order, and how they end."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import batch_queue
import pytest

from segforge import PlannerSettings, Work, plan
from segforge.api.emission import emit
from segforge.api.training import TrainingOptions
from segforge.compute.executor_choice import ExecutorChoice
from segforge.dataset.phantom import write_phantom
from segforge.errors import SegForgeError
from segforge.experiment.batch_systems import SYSTEMS
from segforge.experiment.job_resources import JobResources

NAME = "Dataset900_Phantom"

PYTHON = """#!/bin/bash
cd '{folder}'
case "$2 $3" in
"segforge "*)
    case "$3 $5" in preprocess*) sleep 0.6 ;; *3d_lowres) sleep 0.3 ;; esac
    echo "$OMP_NUM_THREADS ${{@:3}}" >> commands
    [ "$3" != run ] || for _ in {{1..500}}; do [ -e endless ] || [ $(wc -l < workers) != 4 ] || break; sleep 0.02; done
    ! grep -qx "$3" failing ;;
"dask scheduler")
    echo $$ > scheduler
    [ ! -e failing_scheduler ] || exit 1
    echo '{{"address": "tcp://here:7"}}' > "$5"
    exec sleep 60 ;;
"dask worker")
    echo "$OMP_NUM_THREADS ${{@:4}}" >> workers
    exec sleep 60 ;;
*)
    exec '{python}' "$@" ;;
esac
"""


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = tmp_path_factory.mktemp("jobs")
    write_phantom(workspace / "raw" / NAME, training=4, testing=0)
    splits = [{"train": ["phantom_000"], "val": ["phantom_001"]}, {"train": ["phantom_002"], "val": ["phantom_003"]}]
    (workspace / "raw" / NAME / "splits_final.json").write_text(json.dumps(splits))
    plan(900, settings=PlannerSettings(gpu_memory=0.0005, features=2), preprocess=False, workspace=workspace)
    return workspace


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands of batch systems that run jobs, with a SegForge and a dask that only note what they are asked for."""
    folder = batch_queue.install(tmp_path / "a folder")
    python = folder / "python"
    python.write_text(PYTHON.format(folder=folder, python=sys.executable))
    python.chmod(0o755)
    for name in ("failing", "workers"):
        (folder / name).touch()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr("segforge.experiment.jobs.sys.executable", str(python))
    return folder


def emitted(system: str, planned: Path, folder: Path, **more) -> Path:
    """A folder of scripts of two configurations, one of them a cascade."""
    scripts = emit(900, system, folder, configurations=["2d", "3d_cascade_fullres"], workspace=planned, **more)
    for script in scripts:
        subprocess.run(["bash", "-n", script], check=True)
    return folder


def has_ended(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("system", SYSTEMS)
def test_submitted_they_run_everything_once_in_order(system: str, planned: Path, queue: Path, tmp_path: Path) -> None:
    options = TrainingOptions(epochs=3, mirror_axes=(0, 1))
    work = Work(workers=2, max_memory=16, verify=True)
    jobs = emitted(system, planned, tmp_path / "my jobs", options=options, work=work, device="cpu")
    subprocess.run(["bash", jobs / "submit.sh"], check=True)

    stages = ("prepare", "train_2d", "train_3d_lowres", "train_3d_cascade_fullres", "find-best")
    assert batch_queue.states(queue) == dict.fromkeys(stages, "COMPLETED")
    first, *trainings, last = (queue / "commands").read_text().splitlines()
    place = f"--workspace {planned.resolve()}"
    assert (
        first == f"8 preprocess -d {NAME} -p default -c 2d 3d_lowres 3d_cascade_fullres -np 2 --max-memory 16 --verify {place}"
    )
    assert last == (
        f"8 find-best -d {NAME} -c 2d 3d_cascade_fullres -p default --names default -f 0 1 -np 2 {place} --device cpu"
    )
    rest = f"-p default -tr default --epochs 3 --mirror-axes 0 1 --device cpu {place}"
    of = {
        name: {f"8 train {NAME} {name} {fold} {rest}" for fold in (0, 1)} for name in ("2d", "3d_lowres", "3d_cascade_fullres")
    }
    assert len(trainings) == 6 and set(trainings) == set().union(*of.values())
    for low in of["3d_lowres"]:
        for full in of["3d_cascade_fullres"]:
            assert trainings.index(low) < trainings.index(full)


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_needs_a_job_that_failed_is_taken_out(system: str, planned: Path, queue: Path, tmp_path: Path) -> None:
    (queue / "failing").write_text("preprocess\n")
    subprocess.run(["bash", emitted(system, planned, tmp_path / "jobs") / "submit.sh"], check=True)
    assert batch_queue.states(queue) == {
        "prepare": "FAILED",
        "train_2d": "CANCELLED",
        "train_3d_lowres": "CANCELLED",
        "train_3d_cascade_fullres": "CANCELLED",
        "find-best": "CANCELLED",
    }
    assert len((queue / "commands").read_text().splitlines()) == 1


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("failing", ["", "run"])
def test_a_cluster_does_it_and_ends(system: str, failing: str, planned: Path, queue: Path, tmp_path: Path) -> None:
    (queue / "failing").write_text(f"{failing}\n")
    jobs = emitted(
        system, planned, tmp_path / "my jobs", options=TrainingOptions(epochs=3), work=Work(verify=True), device="cuda"
    )
    assert subprocess.run(["bash", jobs / "cluster.sh"]).returncode == bool(failing)

    assert batch_queue.states(queue) == {"workers": "CANCELLED"}
    assert has_ended(int((queue / "scheduler").read_text())) and not (jobs / "scheduler.json").exists()
    asked = f"run -d {NAME} -c 2d 3d_cascade_fullres -f 0 1 -p default -tr default --epochs 3 --device cuda --verify"
    place = f"--workspace {planned.resolve()} --threads 8 --executor dask --scheduler tcp://here:7"
    assert (queue / "commands").read_text() == f"2 {asked} {place}\n"
    worker = f"--scheduler-file {jobs}/scheduler.json --nthreads 1 --memory-limit 0 --resources MEMORY=32e9 GPU=1"
    assert (queue / "workers").read_text() == f"8 {worker} --no-dashboard --death-timeout 600\n" * 4


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_cluster_ends(number: int, status: int, planned: Path, queue: Path, tmp_path: Path) -> None:
    (queue / "endless").touch()
    jobs = emitted("slurm", planned, tmp_path / "jobs")
    process = subprocess.Popen(["bash", jobs / "cluster.sh"], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    while not (queue / "commands").is_file():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait() == status
    assert batch_queue.states(queue) == {"workers": "CANCELLED"}
    assert has_ended(int((queue / "scheduler").read_text()))


def test_a_cluster_without_dask_says_what_to_install(planned: Path, queue: Path, tmp_path: Path) -> None:
    (queue / "failing_scheduler").touch()
    jobs = emitted("slurm", planned, tmp_path / "jobs")
    ended = subprocess.run(["bash", jobs / "cluster.sh"], stderr=subprocess.PIPE, text=True)
    assert ended.returncode == 1 and "pip install segforge[cluster]" in ended.stderr
    assert batch_queue.states(queue) == {}


def test_dask_takes_these_words(planned: Path, tmp_path: Path) -> None:
    worker = pytest.importorskip("distributed.cli.dask_worker").main
    scheduler = pytest.importorskip("distributed.cli.dask_scheduler").main
    jobs = emitted("slurm", planned, tmp_path / "jobs")
    (started,) = [line for line in (jobs / "workers.sh").read_text().splitlines() if " -m dask worker " in line]
    assert worker.make_context("worker", shlex.split(started.split(" worker ")[1])).params["resources"] == "MEMORY=32e9 GPU=1"
    (started,) = [line for line in (jobs / "cluster.sh").read_text().splitlines() if " -m dask scheduler " in line]
    words = shlex.split(started.split(" scheduler ")[1].removesuffix("&"))
    assert scheduler.make_context("scheduler", words).params["port"] == "0"


def test_a_cascade_waits_for_its_low_resolution_and_the_selection_for_all(planned: Path, tmp_path: Path) -> None:
    emit(900, "slurm", tmp_path / "jobs", configurations=["3d_cascade_fullres"], workspace=planned)
    lines = (tmp_path / "jobs" / "submit.sh").read_text().splitlines()
    (cascade,) = [line for line in lines if "train_3d_cascade_fullres.sh" in line]
    assert "--dependency=afterok:${job_train_3d_lowres} " in cascade
    (best,) = [line for line in lines if "find-best.sh" in line]
    assert "--dependency=afterok:${job_train_3d_lowres}:${job_train_3d_cascade_fullres} " in best


def test_jobs_ask_for_what_a_file_says(planned: Path, tmp_path: Path) -> None:
    file, jobs = tmp_path / "resources.toml", tmp_path / "jobs"
    file.write_text(
        '[train]\ncores = 6\nmemory = 48\ngpus = 2\nhours = 12\nlines = ["--partition=gpu"]\n[cluster]\nworkers = 7\n'
    )
    emit(900, "slurm", jobs, configurations=["2d"], folds=["1", "all"], resources=file, workspace=planned)
    for script, array in (("train_2d", "0-1"), ("workers", "0-6")):
        text = (jobs / f"{script}.sh").read_text()
        asked = {word for line in text.splitlines() if line.startswith("#SBATCH") for word in line.split()}
        wanted = {"--cpus-per-task=6", "--mem=48G", "--gres=gpu:2", "--time=12:00:00", "--partition=gpu", f"--array={array}"}
        assert wanted <= asked
        assert "export OMP_NUM_THREADS=6 MKL_NUM_THREADS=6\n" in text
    text = (jobs / "train_2d.sh").read_text()
    assert "folds=(1 all)\n" in text and " --gpus 2 " in text
    assert "GPU=2" in (jobs / "workers.sh").read_text()
    assert " --gpus 2 " in (jobs / "cluster.sh").read_text() and " --threads 6)" in (jobs / "cluster.sh").read_text()
    emit(900, "slurm", jobs, configurations=["2d"], folds=["all"], workspace=planned)
    text = (jobs / "train_2d.sh").read_text()
    assert "--array" not in text and 'folds=(all)\nfold="${folds[0]}"\n' in text
    assert "--gres" not in (jobs / "prepare.sh").read_text() + (jobs / "cluster.sh").read_text()


def test_a_table_changes_only_what_it_says(tmp_path: Path) -> None:
    file = tmp_path / "resources.toml"
    file.write_text("[train]\ncores = 6\n[select]\nmemory = 9\n")
    found, usual = JobResources.read(file), JobResources()
    assert found.train == usual.train.model_copy(update={"cores": 6}) and found.train.gpus == 1
    assert found.select == usual.select.model_copy(update={"memory": 9}) and found.select.gpus == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[train]\ncores = 0", r"train.cores: .* greater than or equal to 1 \(found 0\)"),
        ("[trian]\ncores = 1", "trian"),
        ("cores", "is no TOML"),
    ],
)
def test_a_wrong_file_of_resources_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "r.toml").write_text(content)
    with pytest.raises(SegForgeError, match=message):
        JobResources.read(tmp_path / "r.toml")
    with pytest.raises(SegForgeError, match="cannot be read"):
        JobResources.read(tmp_path / "none.toml")


def test_what_is_not_there_is_named(planned: Path, tmp_path: Path) -> None:
    with pytest.raises(SegForgeError, match="slrum is no batch system here. There are slurm, pbs, lsf. Did you mean slurm"):
        emit(900, "slrum", tmp_path / "jobs", workspace=planned)
    with pytest.raises(SegForgeError, match="has no plans other"):
        emit(900, "slurm", tmp_path / "jobs", plans="other", workspace=planned)
    with pytest.raises(SegForgeError, match=r"take no --executor: one of them, cluster.sh"):
        emit(900, "slurm", tmp_path / "jobs", work=Work(where=ExecutorChoice("dask", "tcp://x:1")), workspace=planned)
    assert not (tmp_path / "jobs").exists()
