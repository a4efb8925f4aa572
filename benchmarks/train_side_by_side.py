"""Training steps beside nnU-Net's, interleaved in one run: ours, ours on data that is there already, and nnU-Net's.

    python benchmarks/train_side_by_side.py DATA SCRATCH PEER_BIN small|2d|plan [STEPS]

DATA: a folder with Dataset004_Hippocampus. SCRATCH: an empty folder, or the one of an earlier run. PEER_BIN: the folder of
nnU-Net's commands. small: 3d_fullres with 8 features, batch 2; 2d: 8 features, batch 24; plan: 3d_fullres as it is planned.

Three processes take turns, step by step; who is not in turn stands still, with all its workers. Besides, the network alone,
forwards and backwards, against nnU-Net's with the same weights, in one process.
"""

import json
import os
import pydoc
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

RUNS = {"small": ("3d_fullres", 8, 2), "2d": ("2d", 8, 24), "plan": ("3d_fullres", None, None)}
DATASET = "Dataset004_Hippocampus"
THREADS = 2
WARMING = 3

PEER = """
import json, sys, time
import torch
from nnunetv2.paths import nnUNet_preprocessed
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

dataset, configuration, features, batch = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])
if __name__ == "__main__":
    torch.set_num_threads(THREADS)
    plans = json.load(open(f"{nnUNet_preprocessed}/{dataset}/nnUNetPlans.json"))
    chosen = plans["configurations"][configuration]
    if features:
        kwargs = chosen["architecture"]["arch_kwargs"]
        kwargs["features_per_stage"] = [min(features * 2**k, 320) for k in range(kwargs["n_stages"])]
    chosen["batch_size"] = batch or chosen["batch_size"]
    plans["continue_training"] = False
    description = json.load(open(f"{nnUNet_preprocessed}/{dataset}/dataset.json"))
    trainer = nnUNetTrainer(plans, configuration, 0, description, torch.device("cpu"))
    trainer.on_train_start()
    trainer.on_epoch_start()
    trainer.on_train_epoch_start()
    for line in sys.stdin:
        begin = time.perf_counter()
        trainer.train_step(next(trainer.dataloader_train))
        print("seconds", time.perf_counter() - begin, flush=True)
""".replace("THREADS", str(THREADS))


class Runner:
    """A process that makes one step for each line that it is sent, and stands still in between."""

    def __init__(self, words: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            words,
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def step(self, kind: str) -> float:
        os.killpg(self._process.pid, signal.SIGCONT)
        print(kind, file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line.startswith("seconds"):
                os.killpg(self._process.pid, signal.SIGSTOP)
                return float(line.split()[1])
        raise SystemExit(f"{self._process.args[0]} ended")

    def end(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)


def main(data: Path, scratch: Path, peer: Path, kind: str, steps: int = 30) -> None:
    configuration, features, batch = RUNS[kind]
    prepare(data, scratch, peer, configuration, features)
    environment = places(scratch) | {"nnUNet_n_proc_DA": "2", "OMP_NUM_THREADS": str(THREADS)}
    theirs = [str(peer / "python"), "-c", PEER, DATASET, configuration, json.dumps(features), json.dumps(batch)]
    ours = [sys.executable, __file__, "ours", str(scratch), configuration, kind, json.dumps(batch), str(peer)]
    runners = {"nnU-Net": Runner(theirs, environment), "ours": Runner(ours, environment)}
    kinds = ["nnU-Net", "loop", "resident", "network", "nnU-Net's network"]
    seconds: dict[str, list[float]] = {each: [] for each in kinds}
    try:
        for number in range(WARMING + steps):
            for each in random.sample(kinds, len(kinds)):
                took = runners.get(each, runners["ours"]).step(each)
                if number >= WARMING:
                    seconds[each].append(took)
    finally:
        for runner in runners.values():
            runner.end()
    median = {each: statistics.median(values) for each, values in seconds.items()}
    print(f"{kind}, {steps} steps each: " + ", ".join(f"{each} {value:.3f} s" for each, value in median.items()))
    for above, below in (("loop", "resident"), ("nnU-Net", "loop"), ("network", "nnU-Net's network")):
        pairs = statistics.median(a / b for a, b in zip(seconds[above], seconds[below], strict=True))
        print(f"  {above} / {below}: {median[above] / median[below]:.3f} (median of the pairs {pairs:.3f})")


def places(scratch: Path) -> dict[str, str]:
    return {f"nnUNet_{name}": str(scratch / "nnunet" / name) for name in ("raw", "preprocessed", "results")}


def prepare(data: Path, scratch: Path, peer: Path, configuration: str, features: int | None) -> None:
    """Both plan and preprocess, unless an earlier run has."""
    for raw in (scratch / "raw", scratch / "nnunet" / "raw"):
        raw.mkdir(parents=True, exist_ok=True)
        if not (raw / DATASET).exists():
            (raw / DATASET).symlink_to(data / DATASET)
    words = [sys.executable, "-m", "segforge", "plan", "-d", "4", "-c", configuration, "--workspace", str(scratch)]
    words += ["--features", str(features), "--name", "small"] if features else []
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    if not (scratch / "nnunet" / "preprocessed" / DATASET / "nnUNetPlans.json").is_file():
        words = [str(peer / "nnUNetv2_plan_and_preprocess"), "-d", "4", "-c", "2d", "3d_fullres", "-np", "2", "2"]
        subprocess.run(words, check=True, env=os.environ | places(scratch), stdout=subprocess.DEVNULL)


def ours(scratch: str, configuration: str, kind: str, batch: str, peer: str) -> None:
    """Make the steps that standard input asks for."""
    import torch

    from segforge.api.prepared import open_prepared
    from segforge.api.training import TrainingOptions, prepare_training
    from segforge.networks.model_folder import ModelFolder
    from segforge.planning.plans import Plans
    from segforge.training.run import make_trainer

    torch.set_num_threads(THREADS)
    prepared = open_prepared(4, "cpu", Path(scratch), 0)
    plans = Plans.read(prepared.preprocessed / "plans" / f"{'default' if kind == 'plan' else 'small'}.json")
    model = ModelFolder(Path(scratch) / "none")
    options = TrainingOptions(batch_size=json.loads(batch))
    training = prepare_training(prepared, model, plans, configuration, "0", trainer="default", options=options)
    trainer = make_trainer(replace(training, keeps_checkpoints=False))
    reader, _ = trainer.readers()
    with reader.ahead(range(10**6)) as batches:
        images, target = trainer.on_device(next(batches), trainer.augmentation)
        peer_network = nnunet_network(scratch, peer, configuration, trainer)

        def passes(network: torch.nn.Module) -> None:
            trainer.loss(network(images), target).backward()
            network.zero_grad(set_to_none=True)

        step: dict[str, Callable[[], object]] = {
            "loop": lambda: trainer.train_step(*trainer.on_device(next(batches), trainer.augmentation)),
            "resident": lambda: trainer.train_step(images, target),
            "network": lambda: passes(trainer.network),
            "nnU-Net's network": lambda: passes(peer_network),
        }
        for line in sys.stdin:
            begin = time.perf_counter()
            step[line.strip()]()
            print("seconds", time.perf_counter() - begin, flush=True)


def nnunet_network(scratch: str, peer: str, configuration: str, trainer):  # type: ignore[no-untyped-def]
    """nnU-Net's network for the same plan, with our weights."""
    import torch

    from segforge.sharing.nnunet_weights import weights_to_nnunet

    sys.path += [str(path) for path in Path(peer).parent.glob("lib/python3*/site-packages")]
    content = json.loads((Path(scratch) / "nnunet" / "preprocessed" / DATASET / "nnUNetPlans.json").read_text())
    architecture = content["configurations"][configuration]["architecture"]
    arguments = architecture["arch_kwargs"]
    for name in architecture["_kw_requires_import"]:
        arguments[name] = arguments[name] and pydoc.locate(arguments[name])
    arguments["features_per_stage"] = list(trainer.spec.features)
    kind = pydoc.locate(architecture["network_class_name"])
    heads = trainer.spec.output_channels
    network = kind(trainer.spec.input_channels, num_classes=heads, deep_supervision=True, **arguments)
    network.load_state_dict(weights_to_nnunet(trainer.network.state_dict(), trainer.spec))
    images = torch.randn(1, trainer.spec.input_channels, *trainer.job.configuration.patch_size)
    torch.testing.assert_close(network(images)[0], trainer.network.train()(images)[0], rtol=1e-3, atol=1e-3)
    return network


if __name__ == "__main__":
    if sys.argv[1] == "ours":
        ours(*sys.argv[2:])
    else:
        main(*map(Path, sys.argv[1:4]), sys.argv[4], *map(int, sys.argv[5:]))
