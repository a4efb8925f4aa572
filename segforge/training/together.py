"""Processes that train one network together: those that torchrun has started, or those that are started here."""

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

import torch
from torch import distributed

from segforge.compute.device import resolve_device
from segforge.compute.progress import be_quiet
from segforge.errors import Interrupted, SegForgeError
from segforge.training import group

_MEETING = "SEGFORGE_MEETING"
"""Where the processes of one machine find each other; without it they meet where torchrun says."""
_LAST_WORDS = 15.0  # seconds: after another process has died, until this one ends whatever it is waiting for
_MOMENT = 2.0  # seconds in which a process that is about to end does


class OtherEnded(SegForgeError):
    """Another of the processes is no longer there."""


@contextmanager
def joined(device: str) -> Iterator[str]:
    """Join the processes that the environment speaks of, as torchrun sets it; alone, if it speaks of none.

    Args:
        device: What the user wants to train on.

    Returns:
        What this process shall train on.

    Raises:
        SegForgeError: If several processes cannot train on that, or another one ended.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if size == 1:
        yield device
        return
    device = _own_device(device, int(os.environ.get("LOCAL_RANK", rank)))
    if rank:
        be_quiet()
    threads, failed = torch.get_num_threads(), True
    try:
        distributed.init_process_group(
            "gloo" if device == "cpu" else "nccl",
            init_method=os.environ.get(_MEETING, "env://"),
            rank=rank,
            world_size=size,
            device_id=None if device == "cpu" else torch.device(device),
        )
        group.wait()  # for all, before one can fail
        if device == "cpu":
            torch.set_num_threads(max(1, threads // group.local_size()))
        yield device
        failed = False
    except RuntimeError as error:
        if not (isinstance(error, distributed.DistError) or "gloo" in str(error)):
            raise
        raise OtherEnded("Another process of this training ended; see what it says. What was saved before stays.") from error
    finally:
        group.leave(failed=failed)
        torch.set_num_threads(threads)


def _own_device(device: str, number: int) -> str:
    """The device of one of the processes of this machine, by its number among them."""
    if device == "cpu":
        return device
    if device not in ("auto", "cuda"):
        raise SegForgeError(f"--device {device} is one device. Several are --device cuda, with CUDA_VISIBLE_DEVICES.")
    if number >= (count := torch.cuda.device_count()):
        remedy = (
            f"Use --gpus {max(1, count)}" if _MEETING in os.environ or "RANK" not in os.environ else "Start fewer with torchrun"
        )
        raise SegForgeError(f"The training asks for {number + 1} GPUs or more; here are {count}. {remedy}, or --device cpu.")
    return str(resolve_device(f"cuda:{number}"))


@contextmanager
def followed(count: int, device: str, work: Callable[[], object]) -> Iterator[None]:
    """Other processes of this machine do the same work, which is to be done within `joined`, while the block does it here.

    Args:
        count: Number of processes, this one included.
        device: What the user wants to train on.
        work: What the others do: a function that they can import, or a partial of one.

    Raises:
        SegForgeError: If one of them fails or dies; says how.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise SegForgeError(f"--gpus {count} starts processes, and torchrun has started some already. Leave --gpus out.")
    _own_device(device, count - 1)
    is_over = threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{Path(folder) / 'meeting'}"
        followers = [_Follower(_place(rank, count, meeting), work) for rank in range(1, count)]
        threading.Thread(target=_watch, args=(followers, is_over), daemon=True).start()
        try:
            with _environment(_place(0, count, meeting)):
                yield
            for follower in followers:
                follower.process.join()
        except OtherEnded as error:
            if reason := next(filter(None, (follower.failure() for follower in followers)), None):
                raise SegForgeError(f"{reason} What was saved before stays.") from error
            raise
        finally:
            is_over.set()
            for follower in followers:
                follower.process.kill()
                follower.process.join()


class _Follower:
    """Another process, and what it said at its end."""

    def __init__(self, place: Mapping[str, str], work: Callable[[], object]) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._rank = place["RANK"]
        self._hears, says = spawn.Pipe(duplex=False)
        self._said: str | None = None
        self._hearing = threading.Lock()
        self.process: SpawnProcess = spawn.Process(target=_follow, args=(place, work, says))
        self.process.start()
        says.close()

    def failure(self) -> str | None:
        """How it failed, if it did."""
        self.process.join(_MOMENT)
        code = self.process.exitcode
        if not code:
            return None
        with self._hearing:
            if self._said is None:
                self._said = ""
                with suppress(EOFError):
                    self._said = self._hears.recv()
        how = self._said or (f"It was killed by {signal.Signals(-code).name}." if code < 0 else f"Its exit status was {code}.")
        return f"Process {self._rank} of the training failed: {how}"


def _follow(place: Mapping[str, str], work: Callable[[], object], says: Connection) -> None:
    """Work as one of the others, and end when the first one does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first one hears it too, and all stop together
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.update(place)
    try:
        work()
    except Interrupted:
        os._exit(0)
    except BaseException as error:
        says.send(str(error) if isinstance(error, SegForgeError) else f"{type(error).__name__}: {error}.")
        os._exit(1)  # without waiting for a device that waits for the others


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a follower
    parent.join()
    os._exit(1)


def _watch(followers: list[_Follower], is_over: threading.Event) -> None:
    """End this process if another one fails and a device here waits for it in vain, from which nothing else wakes it."""
    running = list(followers)
    while running:
        ended = wait([follower.process.sentinel for follower in running])
        for follower in [follower for follower in running if follower.process.sentinel in ended]:
            running.remove(follower)
            if (reason := follower.failure()) and not is_over.wait(_LAST_WORDS):
                print(f"segforge: {reason} What was saved before stays.", file=sys.stderr, flush=True)
                os._exit(1)


def _place(rank: int, count: int, meeting: str) -> dict[str, str]:
    here = {"RANK": str(rank), "WORLD_SIZE": str(count)}
    return here | {f"LOCAL_{name}": value for name, value in here.items()} | {_MEETING: meeting}


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
