"""Runs one tiny training that is stopped by a signal at random moments, and then to its end: FOLDER SIGNAL TIMES SEED.

Every attempt is a fork of this process, which has imported everything, and begins at once. `steps.txt` gets an
`i` for each training step, an `s` for each save that has ended and a line's end for each attempt.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from training_jobs import job

from segforge.compute.files import make_folder
from segforge.errors import Interrupted
from segforge.figures.canvas import new_figure
from segforge.networks.model_folder import LATEST
from segforge.training import checkpoints
from segforge.training.trainer import Trainer

FINAL = "checkpoint_final.safetensors"
LENGTH = {"epochs": 20, "iterations": 10, "validation_iterations": 2}


class Noted(Trainer):
    """Writes down each step and each save."""

    def train_step(self, images, target):
        loss = super().train_step(images, target)
        os.write(self.notes, b"i")
        return loss

    def run(self) -> None:
        self.notes = os.open(self.job.folder / "steps.txt", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        save = checkpoints.Checkpoints._save

        def noted(keeper, name: str, *arguments) -> None:
            save(keeper, name, *arguments)
            if name == LATEST:  # the others are not for going on
                os.write(self.notes, b"s")

        checkpoints.Checkpoints._save = noted
        super().run()


def attempt(folder: Path) -> None:
    """One process's part of the training."""
    make_folder(folder)  # as each command does, which removes what killed ones left
    checkpoints._SAVE_SECONDS = 0.05  # within epochs too
    try:
        Noted(job(folder, **LENGTH)).run()
    except Interrupted as stop:
        os._exit(stop.exit_status)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def begin(folder: Path) -> int:
    """Start an attempt, and return its process id."""
    with (folder / "steps.txt").open("a") as file:
        file.write("\n")
    if process := os.fork():
        return process
    attempt(folder)
    raise AssertionError


def wait_for_a_step(notes: Path, process: int) -> None:
    """Return when an attempt has done a step, or has ended."""
    while (
        not notes.read_text().rpartition("\n")[2] and os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    ):
        time.sleep(0.002)


def main(folder: Path, number: int, times: int, seed: int) -> None:
    folder.mkdir()
    Trainer(job(folder / "unused"))  # torch and matplotlib import more when they are first used
    new_figure(width=1, height=1)
    moments, statuses = random.Random(seed), []
    while len(statuses) < times:
        process = begin(folder)
        if moments.random() < 0.8:
            wait_for_a_step(folder / "steps.txt", process)
        time.sleep(moments.uniform(0.0, 0.25))
        os.kill(process, number)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
        if statuses[-1] == 0:
            break
    if not (folder / FINAL).is_file():
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(begin(folder), 0)[1]))
    print(*statuses)


if __name__ == "__main__":
    main(Path(sys.argv[1]), signal.Signals[sys.argv[2]], int(sys.argv[3]), int(sys.argv[4]))
