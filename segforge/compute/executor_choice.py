"""The executor that a user asks for by its name."""

from dataclasses import dataclass, replace

from segforge import plugins
from segforge.compute.executors import ExecutorFactory, Resources, executor_for
from segforge.errors import SegForgeError

LOCAL, DASK = "local", "dask"

_AHEAD = 1000  # tasks that wait with a scheduler, so that a worker that comes later finds some


@dataclass(frozen=True)
class ExecutorChoice:
    """What `--executor` and `--scheduler` say.

    Attributes:
        name: `local`, `dask`, a plug-in's name, or `PACKAGE:FACTORY`, which takes `Resources` and opens an executor.
        scheduler: Address of dask's scheduler.
    """

    name: str = LOCAL
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if (self.name == DASK) != (self.scheduler is not None):
            raise SegForgeError("--executor dask and --scheduler ADDRESS go together: the address is that of dask's scheduler.")

    @property
    def is_local(self) -> bool:
        """Whether everything is done on this machine."""
        return self.name == LOCAL

    def factory(
        self, workers: int | None, *, gpus: int = 0, cores: int = 0, memory: int = 0
    ) -> tuple[ExecutorFactory, Resources]:
        """What opens the executor, and what to ask of it.

        Args:
            workers: Tasks at once; None is as many as there is room for, 0 this thread where the executor is local.
            gpus: Of each task, of workers elsewhere.
            cores: Of each task, likewise.
            memory: Bytes of each task, likewise.

        Raises:
            SegForgeError: If there is no such executor, or no cluster.
        """
        if self.is_local:
            return executor_for(workers)
        asked = Resources(workers or 1, gpus, cores, memory, is_elsewhere=True)
        if self.scheduler is not None:
            from segforge.compute.cluster import Cluster

            return Cluster(self.scheduler), replace(asked, workers=workers or _AHEAD)
        factory: ExecutorFactory = plugins.find("executors", self.name, {}, allow_path=True)
        return factory, asked


HERE = ExecutorChoice()
"""This machine."""


def room(factory: ExecutorFactory, resources: Resources) -> int:
    """Tasks that an executor has room for now; workers that come to a cluster later add to it."""
    from segforge.compute.cluster import Cluster

    return factory.room(resources) if isinstance(factory, Cluster) else resources.workers
