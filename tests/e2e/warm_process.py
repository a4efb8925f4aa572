"""Runs commands in processes of their own that have PyTorch imported already: forks of this one.

Reads a request from each line of standard input, `{"words", "folder", "environment", "out", "error"}`, and answers with
the exit status, negative for signals, when the command has ended.
"""

import json
import os
import runpy
import signal
import sys

_SECONDS = 600


def main() -> None:
    import matplotlib.figure  # noqa: F401
    import scipy.ndimage  # noqa: F401
    import SimpleITK  # noqa: F401
    import torch._dynamo  # noqa: F401

    answers = os.dup(1)
    for line in sys.stdin:
        process = os.fork()
        if not process:
            return run(**json.loads(line))
        os.write(answers, f"{os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])}\n".encode())
    return None


def run(words: list[str], folder: str, environment: dict[str, str], out: str, error: str) -> None:
    """`python -m segforge` with those words."""
    for path, number in ((os.devnull, 0), (out, 1), (error, 2)):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), number)
    os.chdir(folder)
    sys.path[:1] = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["segforge", *words]
    signal.alarm(_SECONDS)
    runpy.run_module("segforge", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
