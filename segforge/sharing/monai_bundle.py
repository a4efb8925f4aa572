"""A MONAI bundle -> a checkpoint of ours to begin trainings with: its network, and its weights by our names."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from segforge.compute.documents import read_json
from segforge.compute.files import file_hash
from segforge.compute.wording import counted
from segforge.errors import SegForgeError
from segforge.networks.checkpoint import Checkpoint, CheckpointFacts
from segforge.planning.architecture import ArchitectureSpec
from segforge.sharing.bundle_config import METADATA, read_network
from segforge.sharing.card import Provenance
from segforge.sharing.checking import check_weights, expected_weights
from segforge.sharing.pth import read_pth, tensors_by_name

_WEIGHTS = "model.pt"
_SAFETENSORS = ".safetensors"
_INNER = ("state_dict", "model", "network", "net", "model_state_dict")
_PREFIX = "network."
_REMEDY = "Get the bundle again from where it came from."


@dataclass(frozen=True)
class Bundle:
    """What SegForge takes from a bundle.

    Attributes:
        checkpoint: Its network and weights.
        provenance: Where they come from.
    """

    checkpoint: Checkpoint
    provenance: Provenance

    @property
    def described(self) -> str:
        """What it is, in words."""
        spec, weights = self.checkpoint.facts.architecture, self.checkpoint.weights
        numbers = sum(tensor.numel() for tensor in weights.values())
        return (
            f"{spec.network} in {spec.dimensions}D, {counted(spec.input_channels, 'channel')}, "
            f"{counted(spec.output_channels, 'head')}: all {len(weights)} weights, {numbers:,} numbers"
        )


def read_bundle(folder: Path) -> Bundle:
    """Read the network and the weights of a bundle; nothing in it is run.

    Raises:
        SegForgeError: If something is missing or damaged, if the weights are not those of the network, or if the
            configuration is more than data.
    """
    config, spec = read_network(folder)
    path = _weights_file(folder)
    weights = _weights(path, spec)
    facts = CheckpointFacts(
        configuration="bundle", fold="all", architecture=spec, epoch=0, ema=float("nan"), best_ema=float("nan"),
        mirror_axes=(), threads=1,
    )  # fmt: skip
    hashes = {file.relative_to(folder).as_posix(): file_hash(file) for file in (config, path)}
    provenance = Provenance(program=_program(folder), source=folder.resolve().name, files=hashes)
    return Bundle(Checkpoint(weights, {}, facts), provenance)


def _weights_file(folder: Path) -> Path:
    """The weights: `models/model.pt`, else the only other file of tensors; TorchScript is code."""
    usual = folder / "models" / _WEIGHTS
    if usual.is_file():
        return usual
    others = [path for path in sorted((folder / "models").glob("*")) if path.suffix in (".pt", ".pth", _SAFETENSORS)]
    if len(others) == 1:
        return others[0]
    found = ", ".join(path.name for path in others) or "none (TorchScript, .ts, is code and is not read)"
    raise SegForgeError(f"{folder} needs its weights as models/{_WEIGHTS}; found {found}.")


def _weights(path: Path, spec: ArchitectureSpec) -> dict[str, Tensor]:
    """The weights by our names, checked against the network."""
    named = {_PREFIX + name: tensor for name, tensor in _tensors(path).items()}
    expected = expected_weights(spec)
    check_weights(named, expected, str(path))
    return {name: named[name].to(expected[name].dtype) for name in expected}


def _tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix == _SAFETENSORS:
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise SegForgeError(f"{path} is damaged: {error}. {_REMEDY}") from error
    content: Mapping[str, Any] = read_pth(path, _REMEDY)
    inner = next((content[key] for key in _INNER if isinstance(content.get(key), Mapping)), content)
    return tensors_by_name(inner, path, _REMEDY)


def _program(folder: Path) -> str:
    """What a bundle calls itself."""
    path = folder / "configs" / METADATA
    content = read_json(path) if path.is_file() else {}
    words = [content.get(key) for key in ("name", "version")] if isinstance(content, dict) else []
    return " ".join(["MONAI bundle", *(word for word in words if isinstance(word, str))])
