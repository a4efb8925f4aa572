"""Processes that stay for many short calls; one that dies takes nothing with it but, if it dies again, its own call."""

import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor
from typing import Any, TypeVar

from segforge.compute.executors import ExecutorFactory, Resources, cause_of_death, processes

Result = TypeVar("Result")


class WorkerDied(Exception):
    """A call killed its worker twice, the second time alone; says how."""


class Workers:
    """A pool that is opened when it is first needed, and again when it broke; may be called from several threads."""

    def __init__(self, resources: Resources, factory: ExecutorFactory = processes) -> None:
        """Set up; nothing is started.

        Args:
            resources: What to ask of the executor.
            factory: Opens it.
        """
        self._resources = resources
        self._factory = factory
        self._pool: Executor | None = None
        self._lock = threading.Lock()
        self._one_suspect = threading.Lock()

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """What a function returns in a worker; an error in it comes up here.

        Raises:
            WorkerDied: If its worker died, and then another that had nothing else to do.
        """
        pool = self._opened()
        try:
            return pool.submit(function, *arguments).result()
        except BrokenExecutor:
            self._discard(pool)
        with self._one_suspect, self._factory(Resources(1)) as alone:
            future = alone.submit(function, *arguments)
            workers = dict(getattr(alone, "_processes", None) or {})
            try:
                return future.result()
            except BrokenExecutor as error:
                raise WorkerDied(cause_of_death(workers)) from error

    def _opened(self) -> Executor:
        with self._lock:
            self._pool = self._pool or self._factory(self._resources)
            return self._pool

    def _discard(self, broken: Executor) -> None:
        with self._lock:
            if self._pool is broken:
                self._pool = None
        broken.shutdown(wait=False)
