"""What `segforge estimate` says beforehand against what a training then takes, and a training in 120 s: forecast.py WORKSPACE

WORKSPACE has Dataset004_Hippocampus in raw/. The network is small (8 features), so that it takes a few minutes. Memory is
the most that the training's process held until its final model was written, without the validation after it.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

NUMBERS = "4 3d_fullres 0 -p small --batch-size 2"
LENGTH = "--epochs 3 --iterations 60 --validation-iterations 12"


def main() -> None:
    workspace = Path(sys.argv[1])
    run(workspace, "plan -d 4 --name small --features 8")
    forecast = json.loads(run(workspace, f"estimate {NUMBERS} {LENGTH} --json"))
    seconds, memory, _ = train(workspace, f"{NUMBERS} {LENGTH} --name forecast")
    expected = forecast["epochs"] * forecast["epoch_seconds"]
    print(f"time: forecast {expected:.0f} s, fact {seconds:.0f} s, {100 * (expected / seconds - 1):+.0f} %")
    held = forecast["host_memory"]
    print(f"memory: forecast {held / 1e9:.2f} GB, fact {memory / 1e9:.2f} GB, {100 * (held / memory - 1):+.0f} %")
    seconds, _, rates = train(workspace, f"{NUMBERS} --budget 120s --name budget")
    print(f"--budget 120s: {seconds:.1f} s in {len(rates)} epochs, last learning rate {rates[-1] / rates[0]:.4f} of the first")


def train(workspace: Path, words: str) -> tuple[float, int, list[float]]:
    """Seconds from the first line of the log to the final model, peak memory until then, and each epoch's learning rate."""
    process = subprocess.Popen(command(workspace, f"train {words} --restart"), stdout=subprocess.DEVNULL)
    fold = workspace / "results/Dataset004_Hippocampus" / f"{words.rsplit(maxsplit=1)[-1]}__small__3d_fullres" / "fold_0"
    begin, peak = 0.0, 0
    while process.poll() is None and not (begin and (fold / "checkpoint_final.safetensors").is_file()):
        log = fold / "train.log"
        if not begin and log.is_file() and log.stat().st_size and not (fold / "checkpoint_final.safetensors").is_file():
            begin = time.monotonic()
        peak = max(peak, held(process.pid))
        time.sleep(0.02)
    seconds = time.monotonic() - begin
    assert process.wait() == 0
    rates = [json.loads(line)["learning_rate"] for line in (fold / "history.jsonl").read_text().splitlines()]
    return seconds, peak, rates


def held(process: int) -> int:
    """The most bytes that a process has held."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def command(workspace: Path, words: str) -> list[str]:
    return [sys.executable, "-m", "segforge", *words.split(), "--workspace", str(workspace)]


def run(workspace: Path, words: str) -> str:
    return subprocess.run(command(workspace, words), check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
