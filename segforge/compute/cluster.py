"""A dask cluster that is running as an executor: tasks of a lost worker run again, those that fail by themselves do not."""

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import Any, ParamSpec, TypeVar

from segforge.compute.executors import Resources
from segforge.errors import SegForgeError

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")

_PATIENCE = 30  # seconds in which a scheduler answers
_PAUSE = 1.0  # seconds between two looks for a first worker


class Cluster:
    """The workers of a scheduler, those that come later too; each task has a thread of one of them.

    A task's GPUs, cores and bytes of memory are asked for as the resources `GPU`, `CORES` and `MEMORY` of dask's, each
    only if any worker says that it has some.
    """

    def __init__(self, address: str) -> None:
        """Look at the cluster; where it has no worker yet, say so and wait for the first.

        Args:
            address: Of the scheduler, `tcp://HOST:8786` for example.

        Raises:
            SegForgeError: If dask is not installed, or nobody answers there.
        """
        self._address = address
        with self._client() as client:
            self._workers = _workers_of(client)
            if not self._workers:
                log.warning("The scheduler %s has no workers yet. Start some: dask worker %s. Waiting.", address, address)
            while not self._workers:
                time.sleep(_PAUSE)
                self._workers = _workers_of(client)

    def room(self, resources: Resources) -> int:
        """Tasks that the workers that are there can work on at once.

        Raises:
            SegForgeError: If none of them has what a task asks for; names it.
        """
        asked = self._asked(resources)
        room = sum(
            min([worker["nthreads"], *(int(worker["resources"].get(name, 0) // amount) for name, amount in asked.items())])
            for worker in self._workers
        )
        if not room:
            words = " ".join(f"{name}={amount:g}" for name, amount in asked.items())
            raise SegForgeError(
                f"No worker of {self._address} has {words}, which a task asks for. Start one that has: "
                f'dask worker {self._address} --resources "{words}"'
            )
        return int(room)

    def __call__(self, resources: Resources) -> Executor:
        """An executor whose tasks get these resources.

        Raises:
            SegForgeError: If no worker has them, or the scheduler is gone.
        """
        self.room(resources)
        return _ClusterExecutor(self._client(), self._asked(resources))

    def _asked(self, resources: Resources) -> dict[str, int]:
        amounts = {"GPU": resources.gpus, "CORES": resources.cores, "MEMORY": resources.memory}
        known = {name for worker in self._workers for name in worker["resources"]}
        return {name: amount for name, amount in amounts.items() if amount and name in known}

    def _client(self) -> Any:
        try:
            from distributed import Client
        except ImportError as error:
            raise SegForgeError("--executor dask needs the extra cluster: pip install 'segforge[cluster]'") from error
        try:
            return Client(self._address, timeout=_PATIENCE, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise SegForgeError(
                f"No scheduler answers at {self._address}. Start one with dask scheduler, and give its address by --scheduler."
            ) from error


def _workers_of(client: Any) -> list[Mapping[str, Any]]:
    """What the scheduler says of its workers: `nthreads`, `resources`."""
    return list(client.scheduler_info(n_workers=-1)["workers"].values())


class _ClusterExecutor(Executor):
    """The client's executor; the client is closed with it."""

    def __init__(self, client: Any, resources: dict[str, int]) -> None:
        self._client = client
        self._executor = client.get_executor(pure=False, retries=0, resources=resources or None)

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
