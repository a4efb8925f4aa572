"""nnU-Net's names of weights, and ours: the same networks, written down differently."""

import re
from collections.abc import Iterable

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
