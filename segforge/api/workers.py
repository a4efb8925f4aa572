"""Who carries out the pieces of a run: devices of this machine, or workers elsewhere."""

import os
from dataclasses import dataclass, field
from itertools import cycle, islice

from segforge.compute.device import available_devices
from segforge.compute.executor_choice import ExecutorChoice
from segforge.compute.executors import ExecutorFactory, Resources, available_cores, threads
from segforge.errors import SegForgeError
from segforge.experiment.commands import Place

_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Opened:
    """Workers that were looked for.

    Attributes:
        factory: Opens their executor.
        resources: What to ask of it.
        places: One for each piece that may be under way.
        threads: Processor threads of each.
    """

    factory: ExecutorFactory
    resources: Resources
    places: list[Place]
    threads: int


@dataclass(frozen=True)
class Workers:
    """Who carries the pieces out.

    Attributes:
        at_once: Pieces side by side; None is as many as there are GPUs for, or one.
        threads: Processor threads of each; None divides this machine's cores among those at once.
        device: `auto`, `cuda`, `cuda:N`, `mps` or `cpu`.
        where: The executor; another than the local one gives each piece GPUs and cores, where its workers say that they have
            some.
        gpus: GPUs that share each batch of a training; with `cpu` processes.
    """

    at_once: int | None = None
    threads: int | None = None
    device: str = "auto"
    where: ExecutorChoice = field(default_factory=ExecutorChoice)
    gpus: int = 1

    def __post_init__(self) -> None:
        for name, value in (("--at-once", self.at_once), ("--threads", self.threads), ("--gpus", self.gpus)):
            if value is not None and value < 1:
                raise SegForgeError(f"{name} {value} is too few. Give 1 or more.")

    @property
    def words(self) -> list[str]:
        """Options of `segforge train` that say the same."""
        return ["--gpus", str(self.gpus)] if self.gpus > 1 else []

    def opened(self) -> Opened:
        """Look for devices or a cluster.

        Raises:
            SegForgeError: If there is no such executor, no cluster, or too few GPUs.
        """
        if not self.where.is_local:
            cores = self.threads or available_cores()
            factory, resources = self.where.factory(self.at_once, gpus=self.gpus if self.device != "cpu" else 0, cores=cores)
            return Opened(factory, resources, [Place(self.device)] * resources.workers, cores)
        found = self._places()
        places = list(islice(cycle(found), self.at_once or len(found)))
        return Opened(threads, Resources(len(places)), places, self.threads or max(1, available_cores() // len(places)))

    def _places(self) -> list[Place]:
        """Where pieces can be worked on here, each with as many GPUs as a training shares."""
        names = [name for name in available_devices() if name.startswith("cuda")] if self.device in ("auto", "cuda") else []
        if self.gpus == 1:
            return [Place(name) for name in names or [self.device]]
        if names and len(names) < self.gpus:
            raise SegForgeError(f"--gpus {self.gpus} is more than the {len(names)} that are here. Give fewer.")
        if not names:
            return [Place(self.device)]
        numbers = [word.strip() for word in os.environ.get(_VISIBLE, "").split(",") if word.strip()]
        numbers = numbers or [str(number) for number in range(len(names))]
        firsts = range(0, len(names) - self.gpus + 1, self.gpus)
        return [Place("cuda", ",".join(numbers[first : first + self.gpus])) for first in firsts]
