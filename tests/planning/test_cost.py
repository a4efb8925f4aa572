import json
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from torch import nn

from segforge.dataset.description import DatasetDescription
from segforge.networks.build import build
from segforge.networks.build import parameter_count as built_parameters
from segforge.networks.layers import ResidualBlock
from segforge.planning import memory
from segforge.planning.cost import cost_of
from segforge.planning.fingerprint import Fingerprint
from segforge.planning.planner import Planner
from segforge.planning.plans import Configuration
from segforge.planning.settings import PlannerSettings

PLANNERS = ("default", "resenc-m", "resenc-l", "resenc-xl")

Shapes = list[tuple[nn.Module, tuple[int, ...]]]


@dataclass(frozen=True)
class Built:
    """A golden configuration, its network without memory, and the output shape of each convolution for one patch."""

    configuration: Configuration
    label_entries: int
    network: nn.Module
    shapes: Shapes


@pytest.fixture(scope="module")
def golden(shared: Path) -> list[Built]:
    """Every different network of the golden data sets."""
    found: dict[object, Built] = {}
    for path in sorted((shared / "golden" / "planner").glob("*.json")):
        content = json.loads(path.read_text())
        description = DatasetDescription.parse(content["dataset_json"], str(path))
        fingerprint = Fingerprint.parse(content["fingerprint"], str(path))
        for name in PLANNERS:
            plans = Planner(PlannerSettings(planner=name)).plan(fingerprint, description, path.stem).plans
            for configuration in plans.configurations.values():
                key = (configuration.architecture, configuration.patch_size, len(description.labels))
                if key not in found:
                    found[key] = Built(configuration, len(description.labels), *on_meta(configuration))
    assert len(found) > 80
    return list(found.values())


def on_meta(configuration: Configuration) -> tuple[nn.Module, Shapes]:
    shapes: Shapes = []
    with torch.device("meta"), patch("torch.nn.functional.instance_norm", lambda x, *rest, **more: x):  # which is slow on meta
        network = build(configuration.architecture).requires_grad_(False)  # what learns goes another way, with the same work
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
                module.register_forward_hook(lambda module, _, output: shapes.append((module, tuple(output.shape))))
        outputs = network(torch.empty(1, configuration.architecture.input_channels, *configuration.patch_size))
    assert tuple(outputs[0].shape[2:]) == configuration.patch_size
    assert outputs[0].shape[1] == configuration.architecture.output_channels
    return network, shapes


def test_parameters_and_operations_equal_those_of_the_built_networks(golden: list[Built]) -> None:
    for built in golden:
        assert cost_of(built.configuration).parameters == built_parameters(built.network)
        forward = sum(_operations(module, shape) for module, shape in built.shapes)
        for head, size in zip(built.network.heads, _head_sizes(built.network, built.configuration), strict=True):
            forward += 2 * head.convolution.weight.numel() * size
        assert cost_of(built.configuration).operations == 3 * built.configuration.batch_size * forward


def test_parameters_equal_those_of_nnunets_networks(shared: Path) -> None:
    """The numbers were counted over networks that nnU-Net 2.8.1 itself built from its golden plans."""
    counted = json.loads(Path(__file__).with_name("nnunet_parameters.json").read_text())
    presets = {"default_8GB": ("default", None), "default_16GB": ("default", 16.0)}
    presets |= {f"resenc_{size}": (f"resenc-{size}", None) for size in ("m", "l", "xl")}
    compared = 0
    for path in sorted((shared / "golden" / "planner").glob("*.json")):
        content = json.loads(path.read_text())
        description = DatasetDescription.parse(content["dataset_json"], str(path))
        fingerprint = Fingerprint.parse(content["fingerprint"], str(path))
        for preset, (planner, gpu_memory) in presets.items():
            settings = PlannerSettings(planner=planner, gpu_memory=gpu_memory)
            plans = Planner(settings).plan(fingerprint, description, path.stem).plans
            ours = {name: cost_of(item).parameters for name, item in plans.configurations.items()}
            assert ours == counted[content["name"]][preset]
            compared += len(ours)
    assert compared == 188


def test_the_memory_estimate_is_a_count_over_convolutions_with_three_corrections(golden: list[Built]) -> None:
    for built in golden:
        # The hooks see all convolutions but the heads, which are matrix products.
        counted = sum(int(torch.Size(shape).numel()) for _, shape in built.shapes)
        # First and second: of the heads only that of the highest resolution counts, with as many channels as `labels`
        # has entries.
        counted += built.label_entries * int(torch.Size(built.configuration.patch_size).numel())
        # Third: a skip that only pools counts like one that is a convolution.
        counted += sum(_pooling_only(built))
        assert memory.estimate(built.configuration.architecture, built.configuration.patch_size, built.label_entries) == counted


def _pooling_only(built: Built) -> list[int]:
    size = {id(module): int(torch.Size(shape).numel()) for module, shape in built.shapes}
    blocks = [module for module in built.network.modules() if isinstance(module, ResidualBlock)]
    return [size[id(block.second)] for block in blocks if len(block.skip) == 1]


def _operations(module: nn.Module, shape: tuple[int, ...]) -> int:
    transposed = isinstance(module, nn.ConvTranspose2d | nn.ConvTranspose3d)
    kernel = 1 if transposed else int(torch.Size(module.kernel_size).numel())
    return 2 * module.in_channels * module.out_channels * kernel * int(torch.Size(shape[2:]).numel())


def _head_sizes(network: nn.Module, configuration: Configuration) -> list[int]:
    sizes, current = [], list(configuration.patch_size)
    for stride in configuration.architecture.strides:
        current = [size // step for size, step in zip(current, stride, strict=True)]
        sizes.append(int(torch.Size(current).numel()))
    return sizes[: len(network.heads)][::-1]
