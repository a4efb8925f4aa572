"""What a network computes while it learns: the numbers of PyTorch's own layers, and their gradients."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from segforge.networks.build import build
from segforge.networks.layers import SLOPE, TRANSPOSED, ConvolutionBlock, ResidualBlock
from segforge.networks.learning import upsampled
from segforge.planning.architecture import ArchitectureSpec


def as_pytorch_does(block: nn.Module, x: Tensor) -> Tensor:
    if isinstance(block, ResidualBlock):
        return functional.leaky_relu(block.norm(block.second(as_pytorch_does(block.first, x))) + block.skip(x), SLOPE)
    return functional.leaky_relu(block.norm(block.convolution(x)), SLOPE)


def with_gradients(block: nn.Module, output: Tensor, x: Tensor) -> dict[str, Tensor]:
    named = {"x": x, **dict(block.named_parameters())}
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(1), dtype=output.dtype)
    gradients = torch.autograd.grad((output * weights).sum(), [*named.values()], allow_unused=True)
    zeros = [torch.zeros_like(tensor) for tensor in named.values()]
    known = [zero if gradient is None else gradient for gradient, zero in zip(gradients, zeros, strict=True)]
    return {"output": output, **dict(zip(named, known, strict=True))}


@pytest.mark.parametrize("kind", ["convolution", "residual"])
@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("samples", [1, 3])
def test_a_block_and_its_gradients(kind: str, dimensions: int, samples: int) -> None:
    torch.manual_seed(0)
    kernel, stride = (3, 1, 3)[-dimensions:], (1, 2, 2)[-dimensions:]
    block = ConvolutionBlock(2, 5, kernel, stride) if kind == "convolution" else ResidualBlock(2, 5, kernel, stride)
    block = block.double()
    for parameter in block.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(samples, 2, *(4, 6, 8)[-dimensions:], dtype=torch.float64, requires_grad=True)
    ours = with_gradients(block, block(x), x)
    theirs = with_gradients(block, as_pytorch_does(block, x), x)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    with torch.no_grad():
        torch.testing.assert_close(block(x), ours["output"].detach(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("stride", [(2, 2), (1, 2), (1, 2, 2), (2, 2, 2), (3, 1, 2)])
def test_a_transposed_convolution_and_its_gradients(stride: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = TRANSPOSED[len(stride)](3, 4, stride, stride).double()
    x = torch.randn(2, 3, *(3, 4, 5)[-len(stride) :], dtype=torch.float64, requires_grad=True)
    ours, theirs = with_gradients(layer, upsampled(layer, x), x), with_gradients(layer, layer(x), x)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("network", ["plain_unet", "residual_encoder_unet", "plain_unet_batch_norm"])
def test_gradients_flow_back_without_copies_of_what_is_done_in_place(network: str) -> None:
    three = ((3, 3, 3),) * 2
    trained = build(
        ArchitectureSpec(
            network=network, dimensions=3, input_channels=2, output_channels=3, features=(4, 8),
            strides=((1, 1, 1), (2, 2, 2)), kernel_sizes=three, encoder_blocks=(1, 2), decoder_convolutions=(1,),
        )
    )  # fmt: skip
    sum(output.sum() for output in trained(torch.randn(1, 2, 8, 8, 8))).backward()
    with torch.profiler.profile() as profile:
        sum(output.sum() for output in trained(torch.randn(1, 2, 8, 8, 8))).backward()
    names = {event.key for event in profile.key_averages()}
    assert "aten::convolution_backward" in names
    assert not [name for name in names if "CopySlices" in name]
