"""The processes that train one network together, and sums over all of them. Alone, everything is what it is.

Each takes its share of every batch. Gradients are averaged over the processes; what is a mean over the whole batch is
therefore given to each of them such that the average of all is that mean, however unevenly samples and labels are spread.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed

_SEEDS_APART = 1_000_003
_PATIENCE = timedelta(days=30)


def size() -> int:
    """Number of processes."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def local_size() -> int:
    """Number of processes on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", size())) if size() > 1 else 1


def rank() -> int:
    """Number of this process; the first one, 0, is the one that writes and tells."""
    return distributed.get_rank() if size() > 1 else 0


def largest_share(samples: int) -> int:
    """How many samples of a batch the process with the most of them has."""
    return -(-samples // size())


def share(samples: int) -> slice:
    """Which samples of a batch are this process's; the first processes take one more where they do not go evenly."""
    each, more = divmod(samples, size())
    begin = rank() * each + min(rank(), more)
    return slice(begin, begin + each + (rank() < more))


def own_seed(seed: int) -> int:
    """A seed for what each process draws for its share alone; that of the first is the seed itself."""
    return seed + rank() * _SEEDS_APART


def part(parameters: Any, samples: slice) -> Any:
    """What was drawn for some samples of a batch, from what was drawn for all of it.

    Args:
        parameters: A dataclass of arrays whose first axis counts the samples, and of other such dataclasses.
        samples: Those to take.
    """
    if isinstance(parameters, np.ndarray):
        return parameters[samples]
    if is_dataclass(parameters) and not isinstance(parameters, type):
        return replace(
            parameters, **{field.name: part(getattr(parameters, field.name), samples) for field in fields(parameters)}
        )
    return parameters


def summed(values: Tensor) -> Tensor:
    """The sum over all processes; gradients flow through it to each of them."""
    return _Sum.apply(values) if size() > 1 else values  # type: ignore[no-untyped-call]


def averaged(values: Tensor) -> Tensor:
    """The mean over all processes, without gradients."""
    with torch.no_grad():
        return summed(values) / size()


def ratio(total: Tensor, count: Tensor) -> Tensor:
    """The mean of what is counted in all processes, as the average of what each gets; 0 where nothing is counted.

    Args:
        total: Sum over this process's part.
        count: How many those are.
    """
    return total * size() / summed(count).clamp(min=1)


def weighted(mean: Tensor, samples: int) -> Tensor:
    """A mean over this process's samples as its share of the mean over all of them."""
    return mean if size() == 1 else ratio(mean * samples, torch.full((), float(samples), device=mean.device))


def any_of(flag: bool) -> bool:
    """Whether a flag is up in any of the processes, so that all of them decide alike; waits for the slowest."""
    if size() == 1:
        return flag
    raised = torch.tensor(int(flag))
    distributed.all_reduce(raised, op=distributed.ReduceOp.MAX, group=_on_host())
    return bool(raised)


def of_first(number: float) -> float:
    """A number as the first process has it, so that all of them decide alike; waits for that one."""
    if size() == 1:
        return number
    told = torch.tensor(number, dtype=torch.float64)
    distributed.broadcast(told, 0, group=_on_host())
    return told.item()


def wait() -> None:
    """Wait until all processes are here."""
    if size() > 1:
        distributed.barrier(group=_on_host())


@contextmanager
def first_alone() -> Iterator[None]:
    """The first process runs the block, and then the others do."""
    if rank():
        wait()
    yield
    if not rank():
        wait()


def leave(*, failed: bool) -> None:
    """The other processes are no longer of interest.

    Args:
        failed: Whether this one leaves while others may still wait for it; on CUDA an orderly end would wait for them.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return
    _on_host.cache_clear()
    if failed and distributed.get_backend() == "nccl":
        distributed.distributed_c10d._abort_process_group()
    else:
        distributed.destroy_process_group()


@lru_cache(maxsize=1)
def _on_host() -> Any:
    """The same processes, for numbers that lie on the host; they may wait for each other as long as it takes."""
    return distributed.new_group(backend="gloo", timeout=_PATIENCE)


class _Sum(torch.autograd.Function):
    """All-reduce, forwards and backwards."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        result = values.detach().clone()
        distributed.all_reduce(result)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        result = gradients[0].contiguous().clone()
        distributed.all_reduce(result)
        return result
