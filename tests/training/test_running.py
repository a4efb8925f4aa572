"""Compiled networks: wanted where they repay, the same numbers, and no training that fails for them."""

import copy
import functools
import logging

import pytest
import torch
from torch import nn

from segforge.networks.batch_norm import with_norm
from segforge.networks.build import build
from segforge.planning.architecture import ArchitectureSpec
from segforge.training.running import Compilation, compiled, wants_compiling
from segforge.training.settings import TrainingSettings

SPEC = with_norm(ArchitectureSpec(
    network="plain_unet", dimensions=2, input_channels=1, output_channels=2, features=(2, 4),
    strides=((1, 1), (2, 2)), kernel_sizes=((3, 3),) * 2, encoder_blocks=(1, 1), decoder_convolutions=(1,),
), "batch")  # fmt: skip


@pytest.mark.parametrize(
    ("compilation", "device", "settings", "expected"),
    [
        ("auto", "cuda", {}, True),
        ("auto", "cuda", {"epochs": 9}, False),
        ("auto", "cuda", {"epochs": None, "budget_seconds": 7200}, True),
        ("auto", "cuda", {"epochs": None, "budget_seconds": 120}, False),
        ("auto", "cpu", {}, False),
        ("auto", "mps", {}, False),
        ("on", "cpu", {"epochs": 1}, True),
        ("off", "cuda", {}, False),
    ],
)
def test_auto_compiles_where_it_repays(compilation: Compilation, device: str, settings: dict, expected: bool) -> None:
    assert wants_compiling(compilation, torch.device(device), TrainingSettings(batch_size=2, **settings)) is expected


def test_a_compiled_network_learns_the_same_and_trying_it_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    plain = build(SPEC, seed=1)
    network = copy.deepcopy(plain)
    fast = compiled(network, torch.randn(2, 1, 8, 8))
    assert fast is not network and network.training
    assert all(parameter.grad is None for parameter in network.parameters())
    images = torch.randn(2, 1, 8, 8)
    for learner in (plain, fast):
        outputs = learner(images)
        sum(output.square().mean() for output in outputs).backward()
    before, after = plain.state_dict(), network.state_dict()
    assert before.keys() == after.keys()
    for name in before:
        assert torch.allclose(before[name], after[name], atol=1e-6), name
    for one, other in zip(plain.parameters(), network.parameters(), strict=True):
        if one.grad is not None:
            assert other.grad is not None and torch.allclose(one.grad, other.grad, atol=1e-6)


def test_where_compiling_fails_the_network_runs_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(network: nn.Module) -> nn.Module:
        raise RuntimeError("no compiler found\nbelow this the trace of it")

    monkeypatch.setattr(torch, "compile", broken)
    monkeypatch.setattr(logging.getLogger("segforge"), "propagate", True)
    network = build(SPEC)
    assert compiled(network, torch.zeros(2, 1, 8, 8)) is network
    assert "--compile failed (RuntimeError: no compiler found). The network runs uncompiled." in caplog.text
