"""Keeps NumPy's matrix products to one thread each, where several run side by side or other programs want the cores too."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from threadpoolctl import threadpool_limits

_lock = Lock()
_inside: list[threadpool_limits] = []  # one entry per block that is being run; the first holds the limits


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """While any thread runs such a block, matrix products of the process take one thread each.

    With a thread per core they wait for each other in a busy loop, ten times longer than they compute if a core is taken.
    """
    with _lock:
        _inside.append(_inside[0] if _inside else threadpool_limits(1, "blas"))
    try:
        yield
    finally:
        with _lock:
            limits = _inside.pop()
            if not _inside:
                limits.restore_original_limits()
