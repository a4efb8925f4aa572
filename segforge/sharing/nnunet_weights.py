"""nnU-Net's weights <-> ours: the same networks, written down differently."""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from segforge.errors import SegForgeError
from segforge.planning.architecture import ArchitectureSpec
from segforge.sharing.checking import check_weights, expected_weights

_LAYERS = {"convolution": "conv", "norm": "norm"}
_RESIDUAL = {
    "first.convolution": "conv1.conv",
    "first.norm": "conv1.norm",
    "second": "conv2.conv",
    "norm": "conv2.norm",
}

_STEM = re.compile(r"encoder\.0\.0\.(\d+)\.(convolution|norm)")
_PLAIN = re.compile(r"encoder\.(\d+)\.(\d+)\.(convolution|norm)")
_BLOCK = re.compile(r"encoder\.(\d+)\.(\d+)\.(first\.convolution|first\.norm|second|norm)")
_SKIP = re.compile(r"encoder\.(\d+)\.(\d+)\.skip\.(\d+)")
_DECODER = re.compile(r"decoder\.(\d+)\.convolutions\.(\d+)\.(convolution|norm)")
_UP = re.compile(r"decoder\.(\d+)\.up")
_HEAD = re.compile(r"heads\.(\d+)\.convolution")

_PARTS = ("conv", "norm")
_WITHIN_BLOCK = re.compile(rf"(.*)\.({'|'.join(_PARTS)})\.(\w+)")
_REPEATED = re.compile(r"(.*)\.all_modules\.([01])\.(\w+)")
_REMEDY = "Get the checkpoint again from where it came from."


def weights_from_nnunet(theirs: Mapping[str, Tensor], spec: ArchitectureSpec, source: str) -> dict[str, Tensor]:
    """Our weights, float32, of a checkpoint of nnU-Net's, each of them checked.

    Args:
        theirs: By nnU-Net's names, without prefixes.
        spec: The network.
        source: Where they come from, for messages.

    Raises:
        SegForgeError: If one is missing, left over, of another shape or type, not finite, or contradicts its repetition.
    """
    expected = expected_weights(spec)
    names = nnunet_names(expected)
    first = first_names(theirs)
    check_weights(first, {names[ours]: tensor for ours, tensor in expected.items()}, source)
    for name, tensor in theirs.items():
        if name not in first:
            _check_repetition(name, tensor, first, source)
    return {ours: first[names[ours]].detach().to(tensor.dtype).contiguous() for ours, tensor in expected.items()}


def weights_to_nnunet(ours: Mapping[str, Tensor], spec: ArchitectureSpec) -> dict[str, Tensor]:
    """All that a checkpoint of nnU-Net's holds of a network, repetitions under further names included.

    Heads of lower resolutions that ours lacks, as it was trained without deep supervision, are zeros: nnU-Net wants to load
    them, and does not use them.
    """
    complete = spec.model_copy(update={"deep_supervision": True})
    own = {name: torch.zeros(tensor.shape, dtype=tensor.dtype) for name, tensor in expected_weights(complete).items()}
    missing = sum(_HEAD.match(name) is not None for name in own) - sum(_HEAD.match(name) is not None for name in ours)
    shift = missing // 2  # a head has a weight and a bias
    for name, tensor in ours.items():
        own[re.sub(r"(?<=^heads\.)\d+", lambda number: str(int(number[0]) + shift), name)] = tensor
    names = nnunet_names(own)
    theirs = {names[name]: tensor for name, tensor in own.items()}
    return {further: tensor for name, tensor in theirs.items() for further in _all_names(name)}


def first_names(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a checkpoint of nnU-Net's without their repetitions under further names."""
    return {name: tensor for name, tensor in theirs.items() if _first_name(name) == name}


def has_batch_norm(theirs: Iterable[str]) -> bool:
    """Whether weights of nnU-Net's are those of a network with batch normalization."""
    return any(name.endswith(".running_mean") for name in theirs)


def _check_repetition(name: str, tensor: Tensor, first: Mapping[str, Tensor], source: str) -> None:
    original = first.get(_first_name(name))
    if original is None:
        raise SegForgeError(f"{source}: the weights {name} repeat {_first_name(name)}, which is not there. {_REMEDY}")
    if original.shape != tensor.shape or not torch.equal(original, tensor):
        raise SegForgeError(f"{source}: the weights {name} repeat {_first_name(name)}, but differ from them. {_REMEDY}")


def _first_name(name: str) -> str:
    """The name under which nnU-Net's weights are ours, of any that they are repeated under."""
    name = re.sub(r"^decoder\.encoder\.", "encoder.", name)
    found = _REPEATED.fullmatch(name)
    return f"{found[1]}.{_PARTS[int(found[2])]}.{found[3]}" if found else name


def _all_names(name: str) -> list[str]:
    """All names that nnU-Net's weights are repeated under."""
    found = _WITHIN_BLOCK.fullmatch(name)
    names = [name, f"{found[1]}.all_modules.{_PARTS.index(found[2])}.{found[3]}"] if found else [name]
    return names + [f"decoder.{each}" for each in names if each.startswith("encoder.")]


def nnunet_names(ours: Iterable[str]) -> dict[str, str]:
    """nnU-Net's name of each of our weights: of a plain or residual-encoder U-Net, 2D or 3D.

    nnU-Net's checkpoints repeat weights under further names (`all_modules`, `decoder.encoder`), which are left out.
    """
    names = list(ours)
    is_residual = any(".first." in name for name in names)
    return {name: _nnunet_name(name, names, is_residual=is_residual) for name in names}


def _nnunet_name(name: str, names: list[str], *, is_residual: bool) -> str:
    layer, _, kind = name.rpartition(".")
    if found := _UP.fullmatch(layer):
        theirs = f"decoder.transpconvs.{found[1]}"
    elif found := _HEAD.fullmatch(layer):
        theirs = f"decoder.seg_layers.{found[1]}"
    elif found := _DECODER.fullmatch(layer):
        theirs = f"decoder.stages.{found[1]}.convs.{found[2]}.{_LAYERS[found[3]]}"
    elif is_residual:
        theirs = _residual_name(layer, names)
    elif found := _PLAIN.fullmatch(layer):
        theirs = f"encoder.stages.{found[1]}.0.convs.{found[2]}.{_LAYERS[found[3]]}"
    else:
        raise KeyError(name)
    return f"{theirs}.{kind}"


def _residual_name(layer: str, names: list[str]) -> str:
    if found := _STEM.fullmatch(layer):
        return f"encoder.stem.convs.{found[1]}.{_LAYERS[found[2]]}"
    if found := _BLOCK.fullmatch(layer):
        return f"encoder.stages.{found[1]}.blocks.{_block(found)}.{_RESIDUAL[found[3]]}"
    if found := _SKIP.fullmatch(layer):
        # The projection is a convolution and a norm, behind the pooling if the block strides.
        convolution = min(
            int(match[3]) for match in map(_SKIP.match, names) if match and match.group(1, 2) == found.group(1, 2)
        )
        part = "conv" if int(found[3]) == convolution else "norm"
        return f"encoder.stages.{found[1]}.blocks.{_block(found)}.skip.{convolution}.{part}"
    raise KeyError(layer)


def _block(found: re.Match[str]) -> int:
    """Number of the residual block: in our first stage the stem comes before them."""
    return int(found[2]) - (1 if found[1] == "0" else 0)
