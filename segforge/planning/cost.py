"""An ArchitectureSpec and a patch -> parameters and floating-point operations, without building a network."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from segforge.planning import memory
from segforge.planning.architecture import ArchitectureSpec
from segforge.planning.memory import RESIDUAL
from segforge.planning.plans import Configuration
from segforge.planning.presets import DEFAULT, PRESETS

_BACKWARD = 2  # a backward pass costs about two forward passes


@dataclass(frozen=True)
class Cost:
    """What a configuration takes.

    Attributes:
        parameters: Trained numbers of its network.
        memory: GB that a training step takes on a GPU, from the references that patches and batches are planned with.
        operations: Floating-point operations of a training step.
    """

    parameters: int
    memory: float
    operations: int

    @classmethod
    def of_step(cls, configuration: Configuration, parameters: int, values: int, forward: int) -> "Cost":
        """From what a forward pass of one patch takes.

        Args:
            configuration: Gives the batch.
            parameters: Trained numbers.
            values: Values that all convolutions put out (`planning.memory.estimate`).
            forward: Floating-point operations.
        """
        spec, batch = configuration.architecture, configuration.batch_size
        preset = PRESETS["resenc-m"] if spec.network == RESIDUAL else DEFAULT
        budget = preset.budget(spec.dimensions, preset.gpu_memory)
        memory = preset.gpu_memory * values * batch / (budget.estimate * budget.batch_size)
        return cls(parameters, memory, (1 + _BACKWARD) * batch * forward)


@dataclass(frozen=True)
class Convolution:
    """One convolution, plain or transposed.

    Attributes:
        inputs: Channels that each output channel reads.
        outputs: Channels that it puts out.
        kernel: Voxels of the kernel that meet at one output voxel; one where a transposed convolution's kernel is its stride.
        weights: Voxels of the kernel.
        voxels: Output voxels.
        bias: Whether it has a bias.
        norm: Whether a normalization with scale and shift follows.
    """

    inputs: int
    outputs: int
    kernel: int
    weights: int
    voxels: int
    bias: bool = True
    norm: bool = True

    @property
    def parameters(self) -> int:
        """Trained numbers, those of the norm included."""
        return self.outputs * (self.inputs * self.weights + self.bias + 2 * self.norm)

    @property
    def operations(self) -> int:
        """Multiplications and additions of a forward pass."""
        return 2 * self.outputs * self.inputs * self.kernel * self.voxels


def cost_of(configuration: Configuration) -> Cost:
    """What a configuration with a U-Net of SegForge's takes; the operations are those of its convolutions."""
    spec, patch = configuration.architecture, configuration.patch_size
    return Cost.of_step(
        configuration,
        parameters=sum(convolution.parameters for convolution in convolutions(spec, spec.divisor)),
        values=memory.estimate(spec, patch, spec.output_channels),
        forward=sum(convolution.operations for convolution in convolutions(spec, patch)),
    )


def convolutions(spec: ArchitectureSpec, patch_size: Sequence[int]) -> Iterator[Convolution]:
    """Every convolution of a plain or residual-encoder U-Net, for a patch of that size."""
    voxels = _voxels_per_stage(spec, patch_size)
    for stage in range(len(spec.features)):
        yield from _encoder_stage(spec, stage, voxels[stage])
    lowest = len(spec.features) - 1
    for stage in range(lowest):
        yield from _decoder_stage(spec, stage, voxels[stage])
        if spec.deep_supervision or stage == 0:
            yield Convolution(spec.features[stage], spec.output_channels, 1, 1, voxels[stage], norm=False)
    if lowest == 0:
        yield Convolution(spec.features[0], spec.output_channels, 1, 1, voxels[0], norm=False)


def _voxels_per_stage(spec: ArchitectureSpec, patch_size: Sequence[int]) -> list[int]:
    sizes, voxels = list(patch_size), []
    for stride in spec.strides:
        sizes = [size // step for size, step in zip(sizes, stride, strict=True)]
        voxels.append(math.prod(sizes))
    return voxels


def _encoder_stage(spec: ArchitectureSpec, stage: int, voxels: int) -> Iterator[Convolution]:
    features, kernel = spec.features[stage], math.prod(spec.kernel_sizes[stage])
    before = spec.features[stage - 1] if stage else spec.input_channels
    if spec.network == RESIDUAL and stage == 0:
        yield Convolution(before, features, kernel, kernel, voxels)
        before = features
    for _ in range(spec.encoder_blocks[stage]):
        yield Convolution(before, features, kernel, kernel, voxels)
        if spec.network == RESIDUAL:
            yield Convolution(features, features, kernel, kernel, voxels)
            if before != features:
                yield Convolution(before, features, 1, 1, voxels, bias=False)
        before = features


def _decoder_stage(spec: ArchitectureSpec, stage: int, voxels: int) -> Iterator[Convolution]:
    features, kernel = spec.features[stage], math.prod(spec.kernel_sizes[stage])
    step = math.prod(spec.strides[stage + 1])
    yield Convolution(spec.features[stage + 1], features, 1, step, voxels, norm=False)
    for index in range(spec.decoder_convolutions[stage]):
        yield Convolution(features if index else 2 * features, features, kernel, kernel, voxels)
