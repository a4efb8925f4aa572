"""A checkpoint, ours or nnU-Net's -> weights by our names, to begin a training with."""

from pathlib import Path

from torch import Tensor

from segforge.networks.checkpoint import load_checkpoint
from segforge.planning.architecture import ArchitectureSpec
from segforge.sharing.checking import expected_weights
from segforge.sharing.nnunet_checkpoint import read_nnunet_checkpoint
from segforge.sharing.nnunet_weights import first_names, nnunet_names
from segforge.training.pretrained import StartingWeights

_NNUNET = ".pth"
_THEIR_HEADS, _OUR_HEADS = "decoder.seg_layers.", "heads."


def starting_weights(path: Path, spec: ArchitectureSpec, *, adapt_channels: bool = False) -> StartingWeights:
    """Read the weights of a checkpoint.

    Args:
        path: A checkpoint of SegForge's, `.safetensors`, or nnU-Net's, `.pth`.
        spec: The network that is to begin with them; nnU-Net's names are translated as far as it has them.
        adapt_channels: Whether the first layer may be made to fit another number of input channels.

    Raises:
        SegForgeError: If it is missing, damaged, or refused.
    """
    weights = _of_nnunet(path, spec) if path.suffix == _NNUNET else load_checkpoint(path).weights
    return StartingWeights(str(path), weights, adapt_channels)


def _of_nnunet(path: Path, spec: ArchitectureSpec) -> dict[str, Tensor]:
    theirs = first_names(read_nnunet_checkpoint(path).weights)
    complete = spec.model_copy(update={"deep_supervision": True})
    ours = {name: our for our, name in nnunet_names(expected_weights(complete)).items()}
    return {ours.get(name, name.replace(_THEIR_HEADS, _OUR_HEADS)): tensor for name, tensor in theirs.items()}
