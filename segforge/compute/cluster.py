"""A dask cluster that is running as an executor: tasks of a lost worker run again, those that fail by themselves do not."""

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any, ParamSpec, TypeVar

from segforge.compute.executors import Resources
from segforge.errors import SegForgeError

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")

_GPU = "GPU"
_PATIENCE = 30  # seconds in which a scheduler answers


class Cluster:
    """The workers that are known to a scheduler; each task has a thread of one of them."""

    def __init__(self, address: str) -> None:
        """Look at the cluster.

        Args:
            address: Of the scheduler, `tcp://HOST:8786` for example.

        Raises:
            SegForgeError: If dask is not installed, nobody answers there, or no worker has come.
        """
        self._address = address
        with self._client() as client:
            workers = client.scheduler_info(n_workers=-1)["workers"].values()
        if not workers:
            raise SegForgeError(f"The scheduler {address} has no workers. Start some: dask worker {address}")
        self._threads = int(sum(worker["nthreads"] for worker in workers))
        self._gpus = int(sum(worker["resources"].get(_GPU, 0) for worker in workers))
        self.has_gpus = self._gpus > 0

    def most_at_once(self, *, gpus: int = 0) -> int:
        """Tasks that the cluster can work on at once, each with so many GPUs if any worker says that it has some."""
        return min(self._threads, max(1, self._gpus // gpus)) if gpus and self.has_gpus else self._threads

    def __call__(self, resources: Resources) -> Executor:
        """An executor whose tasks get these resources."""
        asked = {_GPU: resources.gpus} if resources.gpus and self.has_gpus else None
        return _ClusterExecutor(self._client(), asked)

    def _client(self) -> Any:
        try:
            from distributed import Client
        except ImportError as error:
            raise SegForgeError("--executor dask needs the extra cluster: pip install segforge[cluster]") from error
        try:
            return Client(self._address, timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise SegForgeError(
                f"No scheduler answers at {self._address}. Start one with dask scheduler, and give its address by --scheduler."
            ) from error


class _ClusterExecutor(Executor):
    """The client's executor; the client is closed with it."""

    def __init__(self, client: Any, resources: dict[str, int] | None) -> None:
        self._client = client
        self._executor = client.get_executor(pure=False, retries=0, resources=resources)

    def submit(
        self, function: Callable[Parameters, Result], /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Future[Result]:
        if self._client.status != "running":
            raise BrokenExecutor("the scheduler is gone; start it and its workers, and type the command again")
        future: Future[Result] = self._executor.submit(function, *args, **kwargs)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._executor.shutdown(wait=wait and not cancel_futures)
        self._client.close()
