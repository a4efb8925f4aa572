"""Who carries out the pieces of a run: devices of this machine, or workers elsewhere."""

from dataclasses import dataclass, field
from itertools import cycle, islice

from segforge.compute.device import available_devices
from segforge.compute.executor_choice import ExecutorChoice
from segforge.compute.executors import ExecutorFactory, Resources, available_cores, threads
from segforge.errors import SegForgeError


@dataclass(frozen=True)
class Opened:
    """Workers that were looked for.

    Attributes:
        factory: Opens their executor.
        resources: What to ask of it.
        places: A device for each piece that may be under way.
        threads: Processor threads of each.
    """

    factory: ExecutorFactory
    resources: Resources
    places: list[str]
    threads: int


@dataclass(frozen=True)
class Workers:
    """Who carries the pieces out.

    Attributes:
        at_once: Pieces side by side; None is one for each GPU, or one.
        threads: Processor threads of each; None divides this machine's cores among those at once.
        device: `auto`, `cuda`, `cuda:N`, `mps` or `cpu`.
        where: The executor; another than the local one gives each piece a GPU, where its workers say that they have some.
    """

    at_once: int | None = None
    threads: int | None = None
    device: str = "auto"
    where: ExecutorChoice = field(default_factory=ExecutorChoice)

    def __post_init__(self) -> None:
        for name, value in (("--at-once", self.at_once), ("--threads", self.threads)):
            if value is not None and value < 1:
                raise SegForgeError(f"{name} {value} is too few. Give 1 or more.")

    def opened(self) -> Opened:
        """Look for devices or a cluster.

        Raises:
            SegForgeError: If there is no such executor, or no cluster.
        """
        if not self.where.is_local:
            factory, resources = self.where.factory(self.at_once, gpus=int(self.device != "cpu"))
            return Opened(factory, resources, [self.device] * resources.workers, self.threads or available_cores())
        gpus = [name for name in available_devices() if name.startswith("cuda")] if self.device in ("auto", "cuda") else []
        devices = gpus or [self.device]
        places = list(islice(cycle(devices), self.at_once or len(devices)))
        return Opened(threads, Resources(len(places)), places, self.threads or max(1, available_cores() // len(places)))
