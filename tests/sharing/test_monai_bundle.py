"""MONAI's bundles give a training its first weights; nothing in them is run, and what asks for it is refused."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from monai_samples import TINY, bundle, spec_of
from safetensors.torch import save_file

from segforge.api.sharing import import_bundle
from segforge.errors import SegForgeError
from segforge.networks.build import build
from segforge.networks.checkpoint import load_checkpoint
from segforge.sharing.card import Provenance
from segforge.sharing.starting_weights import starting_weights
from segforge.training.pretrained import StartingWeights, adopt

NETWORK = {"_target_": "SegResNet", "in_channels": 4, "out_channels": 3, **TINY}


class Evil:
    """Runs code when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.sentinel),)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return bundle(tmp_path / "toy")


def imported(folder: Path, place: Path) -> Path:
    return import_bundle(folder, output=place)


def refused(folder: Path, tmp_path: Path, message: str) -> None:
    """The import fails with the message, and leaves everything as it was."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SegForgeError, match=message):
        imported(folder, tmp_path / "new")
    assert sorted(tmp_path.rglob("*")) == before


def test_network_and_weights_come_in(theirs: Path, tmp_path: Path) -> None:
    path = imported(theirs, tmp_path / "new")
    assert path == tmp_path / "new/toy.safetensors"
    checkpoint = load_checkpoint(path)
    assert checkpoint.facts.architecture == spec_of("SegResNet", 3, TINY, input_channels=4, deep_supervision=False)
    pth = torch.load(theirs / "models/model.pt", weights_only=True)
    assert all(torch.equal(checkpoint.weights[f"network.{name}"], tensor) for name, tensor in pth.items())
    provenance = Provenance.read(path.with_suffix(".json"))
    assert (provenance.program, provenance.source) == ("MONAI bundle Toy 0.1.0", "toy")
    assert sorted(provenance.files) == ["configs/inference.json", "models/model.pt"]


@pytest.mark.parametrize("count", [1, 2])  # one structure as a region, and beside the background
def test_four_channels_and_three_classes_become_one_and_one(theirs: Path, tmp_path: Path, caplog, count: int) -> None:
    path = imported(theirs, tmp_path / "new")
    spec = spec_of("SegResNet", 3, TINY, output_channels=count)
    network, given = build(spec, seed=1), load_checkpoint(path).weights
    with pytest.raises(SegForgeError, match="For another number of input channels: --adapt-channels"):
        adopt(network, spec, starting_weights(path, spec))
    with caplog.at_level("INFO", "segforge"):
        adopt(network, spec, starting_weights(path, spec, adapt_channels=True))
    first, heads = "network.convInit.conv.weight", ["network.conv_final.2.conv.weight", "network.conv_final.2.conv.bias"]
    after = network.state_dict()
    torch.testing.assert_close(after[first], given[first].mean(1, keepdim=True))
    for name in heads:
        assert len(given[name]) == 3 and len(after[name]) == count
        for head in after[name]:
            torch.testing.assert_close(head, given[name].mean(0))
    assert all(torch.equal(after[name], given[name]) for name in after if name not in (first, *heads))
    adapted = f"adapted: {first} 4x4x3x3x3 to 4x1x3x3x3, {heads[0]} 3x4x1x1x1 to {count}x4x1x1x1, {heads[1]} 3 to {count}"
    assert adapted in caplog.text and "fresh" not in caplog.text


def test_more_heads_than_there_were_are_fresh(theirs: Path, tmp_path: Path, caplog) -> None:
    path, spec = imported(theirs, tmp_path / "new"), spec_of("SegResNet", 3, TINY, output_channels=5)
    network = build(spec, seed=1)
    with caplog.at_level("INFO", "segforge"):
        adopt(network, spec, starting_weights(path, spec, adapt_channels=True))
    assert torch.equal(
        network.state_dict()["network.conv_final.2.conv.weight"],
        build(spec, seed=1).state_dict()["network.conv_final.2.conv.weight"],
    )
    assert "fresh: network.conv_final.2.conv.weight 5x4x1x1x1, network.conv_final.2.conv.bias 5" in caplog.text


def test_all_first_layers_of_a_swin_unetr_are_averaged() -> None:
    there, here = (spec_of("SwinUNETR", 2, input_channels=channels) for channels in (4, 1))
    given, network = build(there, seed=1).state_dict(), build(here, seed=2)
    adopt(network, here, StartingWeights("here", given, adapt_channels=True))
    names = [name for name, tensor in network.state_dict().items() if tensor.shape != given[name].shape]
    assert len(names) == 3
    for name in names:
        torch.testing.assert_close(network.state_dict()[name], given[name].mean(1, keepdim=True))


@pytest.mark.parametrize("wrap", ["state_dict", "model", None])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_are_found_in_what_is_usual(theirs: Path, tmp_path: Path, wrap: str | None, prefix: str) -> None:
    weights = {prefix + name: tensor for name, tensor in torch.load(theirs / "models/model.pt").items()}
    torch.save({wrap: weights, "epoch": 7} if wrap else weights, theirs / "models/model.pt")
    assert len(load_checkpoint(imported(theirs, tmp_path / "new")).weights) == len(weights)


def test_safetensors_of_half_precision_are_weights_too(theirs: Path, tmp_path: Path) -> None:
    weights = {name: tensor.half() for name, tensor in torch.load(theirs / "models/model.pt").items()}
    (theirs / "models/model.pt").unlink()
    save_file(weights, theirs / "models/model.safetensors")
    assert all(tensor.dtype == torch.float32 for tensor in load_checkpoint(imported(theirs, tmp_path / "new")).weights.values())


def test_references_to_plain_data_are_followed(tmp_path: Path) -> None:
    network = NETWORK | {"in_channels": "@channels", "blocks_down": "@sizes::down", "out_channels": "@sizes#heads#0"}
    config = {"channels": "@four", "four": 4, "sizes": {"down": [1, 1], "heads": [3]}, "network": network}
    folder = bundle(tmp_path / "toy", config=config)
    assert load_checkpoint(imported(folder, tmp_path / "new")).facts.architecture.arguments["blocks_down"] == [1, 1]


def test_the_network_is_found_by_its_target_too(tmp_path: Path) -> None:
    target = "monai.networks.nets.segresnet.SegResNet"
    folder = bundle(tmp_path / "toy", config={"optimizer": {"_target_": "Adam"}, "net": NETWORK | {"_target_": target}})
    assert load_checkpoint(imported(folder, tmp_path / "new")).facts.architecture.network == "monai:SegResNet"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"imports": ["$import os"], "network_def": NETWORK},
            r"imports\.0 is the expression '\$import os'\..* to .*configs/network\.json, here \{\"network_def\"",
        ),
        ({"bundle_root": "$__import__('os').mkdir('x')", "network_def": NETWORK}, "bundle_root is the expression"),
        ({"a": {"b": [{"c": "$exec('x')"}]}, "network_def": NETWORK}, r"a\.b\.0\.c is the expression"),
        ({"x": {"_target_": "subprocess.Popen", "args": ["ls"]}, "network_def": NETWORK}, "x is to be made from 'subprocess.P"),
        ({"network_def": NETWORK | {"init_filters": "$8 * 2"}}, r"network_def\.init_filters is '\$8 \* 2', which would have"),
        ({"network_def": NETWORK | {"norm": ["GROUP", {"x": "$1"}]}}, r"network_def\.norm\.1\.x is '\$1'"),
        ({"n": "$4", "network_def": NETWORK | {"in_channels": "@n"}}, "network_def.in_channels is '@n'"),
        ({"a": "@b", "b": "@a", "network_def": NETWORK | {"in_channels": "@a"}}, "in_channels is '@a'.*write the value itself"),
        ({"network_def": NETWORK | {"in_channels": "@nowhere"}}, "in_channels is '@nowhere'"),
        ({"network_def": NETWORK | {"in_channels": "%file.json#x"}}, "in_channels is '%file.json#x'"),
        ({"a": ["@b"], "b": 1, "network_def": NETWORK | {"blocks_down": "@a"}}, "blocks_down is '@a'"),
        ({"network_def": NETWORK | {"_target_": "subprocess.Popen"}}, "'subprocess.Popen', which is not among the networks"),
        ({"network_def": NETWORK | {"_target_": "scripts.SegResNet"}}, "'scripts.SegResNet', which is not among the networks"),
        ({"network_def": NETWORK | {"_target_": ["SegResNet"]}}, "which is not among the networks"),
        ({"network_def": NETWORK | {"_target_": "Segresnet"}}, "Did you mean SegResNet"),
        ({"network_def": NETWORK | {"class": "subprocess.Popen"}}, "takes no argument class here"),
        ({"network_def": NETWORK | {"_mode_": "debug"}}, "takes no argument _mode_ here"),
        ({"network_def": NETWORK | {"init_filters": 10**12}}, "init_filters|beyond the 10000 of any network"),
        ({"network_def": NETWORK | {"spatial_dims": 1}}, "dimensions: Input should be 2 or 3"),
        ({"network_def": NETWORK | {"in_channels": 0}}, "input_channels: Input should be greater than or equal to 1"),
        ({"network_def": {"_target_": "UNet", "channels": [4, 8], "strides": [2]}}, "dimensions is missing"),
        ({"optimizer": {"_target_": "Adam"}}, "is no bundle with a network"),
        ([NETWORK], "is no bundle with a network"),
    ],
)
def test_what_is_more_than_data_is_refused(tmp_path: Path, config: Any, message: str) -> None:
    refused(bundle(tmp_path / "toy", config=config), tmp_path, message)


def test_what_a_refusal_says_to_write_is_read_then(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "toy", config={"n": 4, "imports": ["$import os"], "network": NETWORK | {"in_channels": "@n"}})
    with pytest.raises(SegForgeError) as error:
        imported(folder, tmp_path / "new")
    (folder / "configs/network.json").write_text(str(error.value).split(", here ")[1])
    assert load_checkpoint(imported(folder, tmp_path / "new")).facts.architecture.input_channels == 4


def test_nesting_without_end_is_refused(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "toy")
    for depth in (300, 900, 100_000):
        deep = json.dumps(NETWORK)[:-1] + ', "norm": ' + "[" * depth + "]" * depth + "}"
        (folder / "configs/inference.json").write_text(f'{{"network_def": {deep}}}')
        refused(folder, tmp_path, "nested|recursion|norm|cannot be made|JSON")


@pytest.mark.parametrize("place", ["alone", "inside"])
def test_code_in_a_pickle_is_not_run(theirs: Path, tmp_path: Path, place: str) -> None:
    evil = Evil(tmp_path / "sentinel")
    torch.save(evil if place == "alone" else {"state_dict": {"x": evil}}, theirs / "models/model.pt")
    refused(theirs, tmp_path, "is refused: reading it would need .*mkdir, which may run code")


def test_weights_that_are_not_the_networks_are_refused(theirs: Path, tmp_path: Path) -> None:
    path = theirs / "models/model.pt"
    weights = torch.load(path)
    first = "convInit.conv.weight"
    for changed, message in (
        ({**weights, first: torch.full_like(weights[first], torch.nan)}, "hold NaN or infinity"),
        ({name: tensor for name, tensor in weights.items() if name != first}, "lacks 1 weights"),
        ({**weights, "extra": torch.zeros(1)}, "holds 1 weights too many"),
        ({**weights, first: weights[first][:, :1]}, "the network has"),
        ({**weights, f"module.{first}": weights[first]}, "twice, once with a prefix"),
        ({**weights, "words": "no tensor"}, "words, one of its weights, is no tensor"),
        ([1, 2], "holds a list"),
    ):
        torch.save(changed, path)
        refused(theirs, tmp_path, message)
    path.write_bytes(path.read_bytes()[:200])
    refused(theirs, tmp_path, "is damaged, or no checkpoint of torch's")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_code_and_is_not_read(theirs: Path, tmp_path: Path) -> None:
    path = theirs / "models/model.pt"
    torch.jit.script(torch.nn.Linear(1, 1)).save(path)
    refused(theirs, tmp_path, "is damaged, or no checkpoint|is refused")
    path.rename(theirs / "models/model.ts")
    refused(theirs, tmp_path, r"needs its weights as models/model\.pt; found none \(TorchScript, \.ts, is code")


def test_what_is_there_is_replaced_on_demand_alone(theirs: Path, tmp_path: Path) -> None:
    path = imported(theirs, tmp_path / "new")
    refused(theirs, tmp_path, "exists already")
    before = path.read_bytes()
    bundle(theirs, init_filters=8)
    import_bundle(theirs, output=tmp_path / "new", force=True)
    assert path.read_bytes() != before


@pytest.mark.parametrize("name", ["../x", "a b", ".hidden"])
def test_names_that_lead_elsewhere_are_refused(theirs: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(SegForgeError, match="cannot be part of a folder name"):
        import_bundle(theirs, output=tmp_path / "new", name=name)
    assert not (tmp_path / "new").exists()
