"""A network's description -> the patches that it takes, and what training with them needs: by passes without values."""

import functools
import math

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from segforge.compute.wording import numbers
from segforge.errors import SegForgeError
from segforge.networks.build import build_on_meta, parameter_count
from segforge.networks.monai_network import for_patch, has_one_size, in_own_words
from segforge.planning.architecture import ArchitectureSpec, Axes
from segforge.planning.cost import Cost
from segforge.planning.plans import Configuration
from segforge.planning.presets import SMALLEST_BATCH

_STEPS = (1, 2, 4, 8, 16, 32, 64)
_SAFE = 128
_MOST_MULTIPLES = 4

KEPT_PER_VALUE = 2
"""Training keeps what a convolution puts out and what its normalization makes of it; the planner's estimate counts one."""


def check_patch(configuration: Configuration) -> None:
    """Refuse a patch that a network of MONAI's cannot take; those described by stages say so by their strides.

    Raises:
        SegForgeError: With what its size must be divisible by, or else in the network's own words.
    """
    spec, patch = configuration.architecture, configuration.patch_size
    if spec.has_stages or (reason := _refusal(spec, patch)) is None:
        return
    step = patch if has_one_size(spec) else divisor(spec)
    if any(size % each for size, each in zip(patch, step, strict=True)):
        reason = f"its size must be divisible by {numbers(step)}; {numbers(padded(spec, patch, step))} works"
    raise SegForgeError(f"patch_size {numbers(patch)} does not work with {spec.network}: {reason}.")


@functools.lru_cache(maxsize=64)
def divisor(spec: ArchitectureSpec) -> Axes:
    """Per axis, what the size of a patch must be divisible by.

    Raises:
        SegForgeError: If the network cannot be made, or takes no patches at all.
    """
    safe = (_SAFE,) * spec.dimensions
    if reason := _refusal(for_patch(spec, safe), safe):
        raise SegForgeError(f"{spec.network} takes no patches in {spec.dimensions}D: {reason}.")
    return tuple(_step_along(spec, axis) for axis in range(spec.dimensions))


@functools.lru_cache(maxsize=1024)
def padded(spec: ArchitectureSpec, patch_size: tuple[float, ...], step: Axes) -> Axes:
    """The smallest patch that the network takes and that is nowhere smaller than `patch_size`.

    Args:
        spec: The network.
        patch_size: In voxels.
        step: Per axis, what its size shall be divisible by: the divisor or a multiple of it.

    Raises:
        SegForgeError: If it takes none.
    """
    for multiple in range(1, _MOST_MULTIPLES + 1):
        patch = tuple(max(math.ceil(size / each), multiple) * each for size, each in zip(patch_size, step, strict=True))
        if all(size >= _SAFE for size in patch) or (reason := _refusal(for_patch(spec, patch), patch)) is None:
            return patch
    raise SegForgeError(f"{spec.network} takes no patches of {numbers(patch)}: {reason}.")


@functools.lru_cache(maxsize=1024)
def kept_values(spec: ArchitectureSpec, patch_size: Axes) -> int:
    """Values that training keeps for one patch, in the units of `planning.memory.estimate`."""
    weights = {parameter.untyped_storage()._cdata for parameter in _network(spec).parameters()}
    kept: dict[int, tuple[torch.UntypedStorage, int]] = {}  # the storages are held, so that their numbers stay theirs

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = storage, storage.nbytes() // tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = _network(spec).train()(_batch(spec, patch_size))
    del outputs
    return sum(numbers for _, numbers in kept.values()) // KEPT_PER_VALUE // SMALLEST_BATCH


def cost_of(configuration: Configuration) -> Cost:
    """What a configuration takes, by measuring.

    Raises:
        SegForgeError: If its network cannot be made, or cannot take its patch.
    """
    check_patch(configuration)
    spec, patch = configuration.architecture, configuration.patch_size
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        _network(spec).eval()(_batch(spec, patch))
    operations = int(counter.get_total_flops()) // SMALLEST_BATCH
    return Cost.of_step(configuration, parameter_count(_network(spec)), kept_values(spec, patch), operations)


@functools.lru_cache(maxsize=4096)
def _refusal(spec: ArchitectureSpec, patch_size: Axes) -> str | None:
    """Why a network cannot be trained with patches of that size; None if it can."""
    network, batch = _network(spec).train(), _batch(spec, patch_size)
    try:
        with torch.no_grad():
            outputs = network(batch)
    except Exception as error:
        return in_own_words(error)
    highest = outputs if isinstance(outputs, Tensor) else outputs[0]
    found, expected = list(highest.shape), [len(batch), spec.output_channels, *patch_size]
    return None if found == expected else f"its output is {numbers(found)}, not {numbers(expected)}"


def _step_along(spec: ArchitectureSpec, axis: int) -> int:
    """The smallest step of which the network takes a multiple that is not one of twice the step."""
    for step in _STEPS:
        odd = _SAFE // step // 2 + 1 | 1
        patch = tuple(odd * step if other == axis else _SAFE for other in range(spec.dimensions))
        if _refusal(for_patch(spec, patch), patch) is None:
            return step
    return _SAFE


@functools.lru_cache(maxsize=8)
def _network(spec: ArchitectureSpec) -> nn.Module:
    return build_on_meta(spec)


def _batch(spec: ArchitectureSpec, patch_size: Axes) -> Tensor:
    return torch.empty(SMALLEST_BATCH, spec.input_channels, *patch_size, device="meta")
