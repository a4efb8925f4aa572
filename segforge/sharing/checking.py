"""Whether a model folder that came from elsewhere is what it says, before anything uses it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from segforge.dataset.labels import LabelScheme
from segforge.errors import SegForgeError
from segforge.networks.build import build_on_meta, find_network
from segforge.networks.checkpoint import load_checkpoint
from segforge.networks.measuring import check_patch
from segforge.networks.model_folder import BEST, FINAL, LATEST, ModelFolder
from segforge.planning.architecture import ArchitectureSpec
from segforge.planning.plans import Configuration
from segforge.preprocessing.normalization import find_normalization
from segforge.preprocessing.resampling import find_resampling
from segforge.training.settings import TrainingSettings

_LONGEST_HEADER = 100 << 20
_REMEDY = "Get the model again from where it came from."


def check_model(model: ModelFolder) -> None:
    """Read everything in a model's folder, every weight included.

    Raises:
        SegForgeError: If a file is missing, damaged, contradicts another one, or names something that is not installed here.
    """
    plans, labels = model.plans, model.description.label_scheme
    name, configuration = model.configuration(plans)
    for each in plans.configurations.values():
        find_network(each.architecture.network)
        check_patch(each)
        find_resampling(each.resampling.method)
        for normalization in each.normalization:
            find_normalization(normalization.name)
    if len(plans.intensities) != len(model.description.channels):
        raise SegForgeError(f"{model.path}: plans.json and dataset.json have different numbers of channels. {_REMEDY}")
    if model.settings_path.is_file():
        TrainingSettings.read(model.settings_path)
    _ = model.fingerprint
    for fold in model.begun_folds():
        folder = model.fold(fold)
        if folder.cases_path.is_file():
            folder.cases()
        for path in (folder.path / kind for kind in (FINAL, BEST, LATEST)):
            if path.is_file():
                _check_checkpoint(path, name, fold, configuration, labels)


def expected_weights(spec: ArchitectureSpec) -> dict[str, Tensor]:
    """A network's weights without values: names, shapes and types, which take no memory."""
    return dict(build_on_meta(spec).state_dict())


def check_weights(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: str) -> None:
    """Compare weights with those of a network, and look at each value.

    Raises:
        SegForgeError: If one is missing, left over, of another shape or type, or not finite.
    """
    if missing := sorted(set(expected) - set(weights)):
        raise SegForgeError(f"{source} lacks {len(missing)} weights of its network, {missing[0]} for example. {_REMEDY}")
    if further := sorted(set(weights) - set(expected)):
        raise SegForgeError(f"{source} holds {len(further)} weights too many, {further[0]} for example. {_REMEDY}")
    for name, tensor in weights.items():
        if tensor.shape != expected[name].shape or tensor.is_floating_point() != expected[name].is_floating_point():
            raise SegForgeError(
                f"{source}: the weights {name} are {tensor.dtype} {list(tensor.shape)}, the network has "
                f"{expected[name].dtype} {list(expected[name].shape)}. {_REMEDY}"
            )
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise SegForgeError(f"{source}: the weights {name} hold NaN or infinity. {_REMEDY}")


def _check_checkpoint(path: Path, name: str, fold: str, configuration: Configuration, labels: LabelScheme) -> None:
    _refuse_repeated_names(path)
    checkpoint = load_checkpoint(path)
    spec, facts = checkpoint.facts.architecture, checkpoint.facts
    found = (facts.configuration, facts.fold, spec.dimensions, spec.input_channels, spec.output_channels)
    planned = configuration.architecture
    if found != (name, fold, planned.dimensions, planned.input_channels, labels.heads):
        raise SegForgeError(f"{path} is of {facts.configuration}, fold {facts.fold}, or of other channels or labels. {_REMEDY}")
    if len(set(facts.mirror_axes) & set(range(spec.dimensions))) != len(facts.mirror_axes):
        raise SegForgeError(f"{path}: mirror_axes {list(facts.mirror_axes)} are no axes of its network. {_REMEDY}")
    check_weights(checkpoint.weights, expected_weights(spec), str(path))


def _refuse_repeated_names(path: Path) -> None:
    """Safetensors' reader takes one of two tensors with the same name."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length) if length <= _LONGEST_HEADER else b""
    try:
        json.loads(header, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise SegForgeError(f"{path} is damaged: its header is {error}. {_REMEDY}") from error


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"ambiguous: {twice} is there twice")
    return dict(pairs)
