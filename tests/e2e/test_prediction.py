"""`segforge predict` as a process: killed and typed again, and the examples that use it from Python."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from e2e_environment import environment
from models import model_folder, write_image

from segforge.images.files import read_image, read_labels, write_volume

EXAMPLES = Path(__file__).parents[2] / "examples"
BROKEN = {7: b"", 13: b"no image", 21: None, 34: None, 48: None}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and fifty images, five of which are broken in different ways."""
    folder = tmp_path_factory.mktemp("predict")
    model_folder(folder / "default__test__3d_fullres", folds=("0", "1"))
    for number in range(50):
        write_image(folder / "images" / f"case_{number:02d}_0000.nii.gz", shape=(24, 30, 30), seed=number)
    paths = {number: folder / "images" / f"case_{number:02d}_0000.nii.gz" for number in BROKEN}
    for number, content in BROKEN.items():
        if content is not None:
            paths[number].write_bytes(content)
    paths[21].write_bytes(paths[21].read_bytes()[:500])
    whole = read_image(paths[34])
    whole.array[0, 3, 3, 3] = np.nan
    write_volume(paths[34], whole.array[0], whole.geometry)
    paths[48].rename(paths[48].with_name("case_48_0001.nii.gz"))
    return folder


def command(output: str) -> list[str]:
    model = "default__test__3d_fullres"
    return [sys.executable, "-m", "segforge", "predict", "-i", "images", "-o", output, "-m", model, "--device", "cpu"]


def finished(folder: Path) -> dict[str, int]:
    """The label maps of a folder, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("case_*.nii.gz")}


def test_fifty_cases_of_which_five_are_broken_and_a_kill_in_between(workplace: Path) -> None:
    undisturbed = subprocess.run(command("whole"), cwd=workplace, env=environment(), capture_output=True, text=True)
    assert undisturbed.returncode == 1
    assert "5 of 50 cases failed" in undisturbed.stderr
    named = [line.split(":")[0] for line in undisturbed.stderr.splitlines() if line.startswith("case_")]
    assert named == [f"case_{number:02d}" for number in BROKEN]
    out = workplace / "killed"
    process = subprocess.Popen(command("killed"), cwd=workplace, env=environment(), stdout=subprocess.DEVNULL, stderr=-3)
    while len(finished(out)) < 12 and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    recorded = set(json.loads((out / "prediction.json").read_text())["cases"])
    before = {name: time for name, time in finished(out).items() if name.removesuffix(".nii.gz") in recorded}
    assert 10 <= len(before) < 45
    again = subprocess.run(command("killed"), cwd=workplace, env=environment(), capture_output=True, text=True)
    assert again.returncode == 1
    assert f"{len(before)} of 49 cases are predicted already." in again.stdout
    after = finished(out)
    assert {name: after[name] for name in before} == before  # none was predicted twice
    assert len(after) == 45
    for name in after:
        assert (out / name).read_bytes() == (workplace / "whole" / name).read_bytes()
    assert not list(out.glob(".*"))


def test_an_interrupted_prediction_goes_on(workplace: Path) -> None:
    process = subprocess.Popen(command("stopped"), cwd=workplace, env=environment(), stdout=-3, stderr=subprocess.PIPE)
    while len(finished(workplace / "stopped")) < 3 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.decode().strip() == "segforge: interrupted. Type the command again to go on."


def run_example(name: str, *arguments: Path) -> str:
    words = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_example_predict(workplace: Path, tmp_path: Path) -> None:
    image = workplace / "images" / "case_00_0000.nii.gz"
    shown = run_example("predict.py", workplace / "default__test__3d_fullres", image, tmp_path / "labels.nii.gz")
    assert "voxels by label" in shown
    labels = read_labels(tmp_path / "labels.nii.gz")
    assert labels.array.any()
    assert labels.geometry.spacing == read_image(image).geometry.spacing


def test_example_crop_then_predict(workplace: Path, tmp_path: Path) -> None:
    model, image = workplace / "default__test__3d_fullres", workplace / "images" / "case_00_0000.nii.gz"
    shown = run_example("crop_then_predict.py", model, model, image, tmp_path / "labels.nii.gz")
    assert shown.startswith("region: ")
    assert read_labels(tmp_path / "labels.nii.gz").array.any()
