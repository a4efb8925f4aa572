"""The executor that a user asks for by its name."""

from dataclasses import dataclass

from segforge import plugins
from segforge.compute.executors import ExecutorFactory, Resources, executor_for
from segforge.errors import SegForgeError

LOCAL, DASK = "local", "dask"


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

    def factory(self, workers: int | None, *, gpus: int = 0) -> tuple[ExecutorFactory, Resources]:
        """What opens the executor, and what to ask of it.

        Args:
            workers: Tasks at once; None is as many as there is room for, 0 this thread where the executor is local.
            gpus: Of each task.

        Raises:
            SegForgeError: If there is no such executor, or no cluster.
        """
        if self.is_local:
            return executor_for(workers)
        if self.scheduler is not None:
            from segforge.compute.cluster import Cluster

            cluster = Cluster(self.scheduler)
            return cluster, Resources(workers or cluster.most_at_once(gpus=gpus), gpus)
        factory: ExecutorFactory = plugins.find("executors", self.name, {}, allow_path=True)
        return factory, Resources(workers or 1, gpus)
