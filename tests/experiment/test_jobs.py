"""Job scripts: what they ask for, what they run, and in which order."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from segforge import PlannerSettings, plan
from segforge.api.emission import emit
from segforge.api.training import TrainingOptions
from segforge.dataset.phantom import write_phantom
from segforge.errors import SegForgeError
from segforge.experiment.jobs import SYSTEMS, JobResources

NAME = "Dataset900_Phantom"

QUEUE = '''#!{python}
"""Runs a job script at once, each number of its array; refuses one whose needs are not done."""
import os, re, subprocess, sys
from pathlib import Path
words = " ".join(sys.argv[1:])
script = sys.argv[-1] if sys.argv[0].endswith(("sbatch", "qsub")) else None
text = Path(script).read_text() if script else sys.stdin.read()
done = Path({folder!r}, "done")
before = done.read_text().split() if done.exists() else []
wanted = re.findall(r"(?:afterok:|done\\()([0-9:]+)", words)
for job in ":".join(wanted).split(":"):
    assert not job or job in before, (job, before)
array = re.search(r"(?:--array=|-J )0-([0-9]+)|\\[1-([0-9]+)\\]", text)
count = int(array[1]) + 1 if array and array[1] else int(array[2]) if array else 1
for number in range(count):
    indices = {{"SLURM_ARRAY_TASK_ID": str(number), "PBS_ARRAY_INDEX": str(number), "LSB_JOBINDEX": str(number + 1)}}
    subprocess.run(["bash"], input=text, text=True, env=os.environ | indices, check=True)
job = str(len(before) + 41)
with done.open("a") as file:
    file.write(job + " ")
print(f"Job <{{job}}> is submitted." if sys.argv[0].endswith("bsub") else job)
'''

SEGFORGE = """#!/bin/bash
echo "$OMP_NUM_THREADS ${{@:3}}" >> {folder}/commands
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
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands of batch systems that run jobs at once, and a SegForge that only notes what it is asked for."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    for name, text in [*((name, QUEUE) for name in ("sbatch", "qsub", "bsub")), ("python", SEGFORGE)]:
        path = folder / name
        path.write_text(text.format(python=sys.executable, folder=str(folder) if text is QUEUE else f"'{folder}'"))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr("segforge.experiment.jobs.sys.executable", str(folder / "python"))
    return folder


@pytest.mark.parametrize("system", SYSTEMS)
def test_submitted_they_run_everything_once_in_order(system: str, planned: Path, stand_ins: Path, tmp_path: Path) -> None:
    options = TrainingOptions(epochs=3, mirror_axes=(0, 1))
    scripts = emit(
        900, system, tmp_path / "my jobs", configurations=["2d", "3d_cascade_fullres"], options=options, workspace=planned
    )
    for script in scripts:
        subprocess.run(["bash", "-n", script], check=True)
    subprocess.run(["bash", scripts[-1]], check=True, env=os.environ | {"PATH": f"{stand_ins}:{os.environ['PATH']}"})

    place = f"--workspace {planned.resolve()}"
    rest = f"-p default -tr default --epochs 3 --mirror-axes 0 1 {place}"
    trained = [f"8 train {NAME} {name} {fold} {rest}" for name in ("2d", "3d_lowres", "3d_cascade_fullres") for fold in (0, 1)]
    assert (stand_ins / "commands").read_text().splitlines() == [
        f"8 preprocess -d {NAME} -p default -c 2d 3d_lowres 3d_cascade_fullres {place}",
        *trained,
        f"8 find-best -d {NAME} -c 2d 3d_cascade_fullres -p default --names default -f 0 1 {place}",
    ]


def test_a_cascade_waits_for_its_low_resolution_and_the_selection_for_all(planned: Path, tmp_path: Path) -> None:
    emit(900, "slurm", tmp_path / "jobs", configurations=["3d_cascade_fullres"], workspace=planned)
    lines = (tmp_path / "jobs" / "submit.sh").read_text().splitlines()
    (cascade,) = [line for line in lines if "train_3d_cascade_fullres.sh" in line]
    assert "--dependency=afterok:${job_train_3d_lowres} " in cascade
    (best,) = [line for line in lines if "find-best.sh" in line]
    assert "--dependency=afterok:${job_train_3d_lowres}:${job_train_3d_cascade_fullres} " in best


def test_jobs_ask_for_what_a_file_says(planned: Path, tmp_path: Path) -> None:
    file = tmp_path / "resources.toml"
    file.write_text('[train]\ncores = 6\nmemory = 48\ngpus = 2\nhours = 12\nlines = ["--partition=gpu"]\n')
    emit(900, "slurm", tmp_path / "jobs", configurations=["2d"], folds=["1", "all"], resources=file, workspace=planned)
    text = (tmp_path / "jobs" / "train_2d.sh").read_text()
    for line in ("--cpus-per-task=6", "--mem=48G", "--gres=gpu:2", "--time=12:00:00", "--partition=gpu", "--array=0-1"):
        assert any(line in directive.split() for directive in text.splitlines() if directive.startswith("#SBATCH"))
    assert "export OMP_NUM_THREADS=6\n" in text and "folds=(1 all)\n" in text
    emit(900, "slurm", tmp_path / "jobs", configurations=["2d"], folds=["all"], workspace=planned)
    text = (tmp_path / "jobs" / "train_2d.sh").read_text()
    assert "--array" not in text and 'folds=(all)\nfold="${folds[0]}"\n' in text
    assert "--gres" not in (tmp_path / "jobs" / "prepare.sh").read_text()


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
    assert not (tmp_path / "jobs").exists()
