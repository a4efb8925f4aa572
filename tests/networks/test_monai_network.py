"""Networks of MONAI's are built from a plan, by name and arguments alone."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from monai_samples import SMALL, TINY, spec_of
from training_jobs import job

from segforge.errors import SegForgeError
from segforge.networks.build import build, build_for_inference, build_on_meta, find_network
from segforge.networks.measuring import for_patch
from segforge.networks.monai_network import HAVE_DEEP_SUPERVISION, NAMES
from segforge.training.trainer import Trainer


@pytest.mark.parametrize(("name", "dimensions"), [*((name, 3) for name in NAMES), ("SegResNet", 2), ("SwinUNETR", 2)])
def test_each_network_of_the_table_gives_logits_of_the_patches_size(name: str, dimensions: int) -> None:
    patch = (64,) * dimensions
    network = build_on_meta(for_patch(spec_of(name, dimensions, deep_supervision=False), patch))
    for trained in (True, False):
        assert network.train(trained)(torch.empty(2, 1, *patch, device="meta")).shape == (2, 3, *patch)


def test_every_network_has_its_small_arguments() -> None:
    assert set(SMALL) == set(NAMES)


@pytest.mark.parametrize("name", HAVE_DEEP_SUPERVISION)
def test_deep_supervision_gives_a_list_in_training_alone(name: str) -> None:
    network = build_on_meta(spec_of(name, 2, deep_supervision=True))
    x = torch.empty(2, 1, 64, 64, device="meta")
    outputs = network.train()(x)
    assert isinstance(outputs, list)
    assert len(outputs) > 1
    assert outputs[0].shape == network.eval()(x).shape == (2, 3, 64, 64)


@pytest.mark.parametrize("name", HAVE_DEEP_SUPERVISION)
def test_the_first_output_of_deep_supervision_is_what_prediction_gives(name: str) -> None:
    spec = spec_of(name, 2, SMALL[name] | ({"norm": "instance"} if name == "SegResNetDS" else {}))
    network, x = build(spec), torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(network.train()(x)[0], network.eval()(x))


def test_without_heads_at_lower_resolutions_deep_supervision_changes_nothing() -> None:
    names = [set(build_on_meta(spec_of("SegResNet", 2, deep_supervision=on)).state_dict()) for on in (True, False)]
    assert names[0] == names[1]


def test_weights_are_a_function_of_the_seed_and_come_back_for_inference() -> None:
    spec = spec_of("SegResNet", 2, TINY)
    one, same, other = build(spec, seed=1), build(spec, seed=1), build(spec, seed=2)
    x = torch.randn(1, 1, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(one.eval()(x), same.eval()(x))
        assert not torch.equal(one(x), other.eval()(x))
        torch.testing.assert_close(build_for_inference(spec, one.state_dict(), "here")(x), one(x))


def test_arguments_are_not_changed_by_the_network_that_gets_them() -> None:
    spec = spec_of("SegResNetDS", 2, {"norm": ["batch", {"eps": 0.01}]})
    build_on_meta(spec)
    assert spec.arguments == {"norm": ["batch", {"eps": 0.01}]}


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("SegResNet", {"init_filter": 8}, "takes no argument init_filter here. Did you mean init_filters"),
        ("SegResNet", {"in_channels": 8}, "in_channels is no argument to choose"),
        ("SwinUNETR", {"deep_supervision": True}, "deep_supervision is no argument to choose"),
        ("FlexibleUNet", {"backbone": "resnet10", "pretrained": True}, "takes no argument pretrained here"),
        ("UNet", {"channels": [4, 8]}, "needs strides. Give strides=VALUE with --network-arguments"),
        ("SegResNet", {"norm": "os.system"}, "cannot be made in 3D: Unsupported option"),
        ("SegResNet", {"init_filters": "many"}, "cannot be made in 3D: "),
        ("UNet", {"channels": [4], "strides": []}, "cannot be made in 3D: "),
        ("DynUNet", SMALL["DynUNet"] | {"strides": 2}, "cannot be made in 3D: "),
    ],
)
def test_arguments_are_those_of_the_constructor(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SegForgeError, match=message):
        build(spec_of(name, 3, arguments))


@pytest.mark.parametrize("name", ["SegResNets", "DenseNet121", "nets.SegResNet", "subprocess:Popen", "", "../SegResNet"])
def test_names_outside_of_the_table_are_refused(name: str) -> None:
    with pytest.raises(SegForgeError, match="is not among the networks of MONAI's here"):
        find_network(f"monai:{name}")


@pytest.mark.parametrize("missing", ["monai.networks", "einops"])
def test_without_monai_the_extra_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SegForgeError, match=r"Install it with: pip install 'segforge\[monai\]'"):
        build(spec_of("SegResNet"))


def test_dropout_is_a_function_of_seed_and_iteration(tmp_path: Path) -> None:
    spec = spec_of("SegResNet", 2, TINY | {"dropout_prob": 0.5})
    weights = []
    for number in range(2):
        torch.manual_seed(number)
        made = job(tmp_path / str(number), epochs=1)
        trainer = Trainer(replace(made, configuration=made.configuration.model_copy(update={"architecture": spec})))
        trainer.run()
        weights.append(trainer.network.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
