"""The whole experiment in one command, killed in its middle and typed again, beside the same typed piece by piece."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import batch_queue
import pytest
import torch
from e2e_environment import environment

from segforge import PlannerSettings, SegForgeError, TrainingOptions, find_best, plan, run, status, train
from segforge.compute.files import file_hash
from segforge.dataset.phantom import write_phantom

NAME, MODEL = "Dataset900_Phantom", "default__default__2d"
CASES = [f"phantom_{number:03d}" for number in range(4)]
LENGTH = {"epochs": 6, "iterations": 2, "validation_iterations": 1, "batch_size": 2}
OPTIONS = "run -d 900 -c 2d --epochs 6 --iterations 2 --validation-iterations 1 --batch-size 2 --device cpu"
COMMAND = f"{OPTIONS} --features 2 --threads 1"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "raw"
    write_phantom(folder / NAME, training=4, testing=0)
    splits = [{"train": CASES[2:], "val": CASES[:2]}, {"train": CASES[:2], "val": CASES[2:]}]
    (folder / NAME / "splits_final.json").write_text(json.dumps(splits))
    return folder


def workspace_of(raw: Path, folder: Path) -> Path:
    shutil.copytree(raw, folder / "raw")
    return folder


@pytest.fixture(scope="module")
def by_hand(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Planned, trained and selected by one call each."""
    workspace = workspace_of(raw, tmp_path_factory.mktemp("by_hand"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        plan(900, settings=PlannerSettings(features=2), configurations=["2d"], workspace=workspace)
        for fold in (0, 1):
            train(900, "2d", fold, options=TrainingOptions(**LENGTH), device="cpu", workspace=workspace)
        find_best(900, device="cpu", workspace=workspace)
    finally:
        torch.set_num_threads(threads)
    return workspace


def results(workspace: Path) -> dict[str, str]:
    """Hashes of what an experiment is made for."""
    patterns = (
        "preprocessed/*/plans/default.*",
        "preprocessed/*/splits_final.json",
        "preprocessed/*/*/*",
        f"results/*/{MODEL}/*.json",
        f"results/*/{MODEL}/fold_*/checkpoint_final.safetensors",
        f"results/*/{MODEL}/fold_*/validation/*.nii.gz",
        "results/*/selection.json",
    )
    files = {path for pattern in patterns for path in workspace.glob(pattern) if path.is_file()}
    return {str(path.relative_to(workspace)): file_hash(path) for path in sorted(files)}


def test_killed_and_typed_again_it_comes_to_the_same(raw: Path, by_hand: Path, segforge, tmp_path: Path) -> None:
    workspace = workspace_of(raw, tmp_path / "w")
    folds = [workspace / "results" / NAME / MODEL / f"fold_{fold}" for fold in (0, 1)]
    process = subprocess.Popen([sys.executable, "-m", "segforge", *COMMAND.split()], cwd=workspace, env=environment())
    while not (folds[1] / "history.jsonl").is_file():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = [folds[0] / "checkpoint_final.safetensors", folds[0] / "validation" / "summary.json"]
    before = [path.stat().st_mtime_ns for path in finished]
    assert status(900, workspace=workspace).folds[0].state == "validated"

    shown = segforge(COMMAND, workspace).stdout

    assert results(workspace) == results(by_hand)
    assert [path.stat().st_mtime_ns for path in finished] == before
    assert "[1 of 3] 2d fold 0 is done already." in shown and "[3 of 3] find-best is done" in shown
    assert "Selected default__default__2d" in shown
    for fold in folds:
        epochs = [json.loads(line)["epoch"] for line in (fold / "history.jsonl").read_text().splitlines()]
        assert epochs == list(range(6))
    with pytest.raises(SegForgeError, match="was begun with other settings: --epochs 7, not 6"):
        run(900, configurations=["2d"], options=TrainingOptions(**LENGTH | {"epochs": 7}), workspace=workspace)


def submitted(script: str, workspace: Path, queue: Path) -> dict[str, str]:
    """How the jobs of a script stand at their end."""
    path = {"PATH": f"{batch_queue.install(queue)}:{os.environ['PATH']}"}
    subprocess.run(["bash", f"jobs/{script}"], cwd=workspace, env=environment() | path, check=True)
    return batch_queue.states(queue)


def test_jobs_of_a_batch_system_come_to_the_same(raw: Path, by_hand: Path, segforge, tmp_path: Path) -> None:
    workspace = workspace_of(raw, tmp_path / "w")
    asked = "".join(f"[{kind}]\ncores = 1\ngpus = 0\n" for kind in ("prepare", "train", "select", "cluster"))
    (workspace / "resources.toml").write_text(f"{asked}workers = 1\n")
    segforge("plan -d 900 -c 2d --features 2 --no-preprocess", workspace)
    segforge(f"{OPTIONS} --emit slurm jobs --resources resources.toml", workspace)

    stages = ("prepare", "train_2d", "find-best")
    assert submitted("submit.sh", workspace, tmp_path / "queue") == dict.fromkeys(stages, "COMPLETED")
    assert results(workspace) == results(by_hand)

    shutil.rmtree(workspace / "results" / NAME / MODEL / "fold_1")
    (workspace / "preprocessed" / NAME / "default_2d" / f"{CASES[0]}.json").unlink()
    assert submitted("cluster.sh", workspace, tmp_path / "another queue") == {"workers": "CANCELLED"}
    assert results(workspace) == results(by_hand)
