from dataclasses import replace
from pathlib import Path

import pytest
import torch
from training_jobs import configuration, job

from segforge.errors import SegForgeError
from segforge.networks.build import build
from segforge.networks.checkpoint import load_checkpoint
from segforge.training.pretrained import StartingWeights, adopt
from segforge.training.trainer import Trainer

SPEC = configuration().architecture


def weights(**changes) -> StartingWeights:
    network = build(SPEC.model_copy(update=changes), seed=7)
    return StartingWeights("other.safetensors", {name: tensor.clone() for name, tensor in network.state_dict().items()})


def test_everything_is_taken_over_from_the_same_network() -> None:
    network, start = build(SPEC, seed=1), weights()
    adopt(network, SPEC, start)
    assert all(torch.equal(tensor, start.weights[name]) for name, tensor in network.state_dict().items())


def test_heads_for_other_labels_stay_fresh_and_that_is_said(caplog) -> None:
    network, fresh, start = build(SPEC, seed=1), build(SPEC, seed=1), weights(output_channels=5)
    with caplog.at_level("INFO", "segforge"):
        adopt(network, SPEC, start)
    for name, tensor in network.state_dict().items():
        expected = fresh.state_dict()[name] if name.startswith("heads.") else start.weights[name]
        assert torch.equal(tensor, expected)
    assert "Begins with the weights in other.safetensors\n  loaded: " in caplog.text
    assert "fresh: heads.0.convolution.weight" in caplog.text


def test_one_head_less_is_a_head_that_differs() -> None:
    network, start = build(SPEC, seed=1), weights(deep_supervision=False)
    adopt(network, SPEC, start)
    assert torch.equal(network.encoder[0][0].convolution.weight, start.weights["encoder.0.0.convolution.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": (4, 8, 16)}, "encoder.2.0.convolution.weight is 16x8x3x3 there and 8x8x3x3 here"),
        ({"input_channels": 2}, "encoder.0.0.convolution.weight is 4x2x3x3 there and 4x1x3x3 here"),
        ({"encoder_blocks": (1, 1, 2)}, "encoder.2.1.convolution.weight is 8x8x3x3 there and missing here"),
        ({"network": "plain_unet_batch_norm"}, "running_mean is 4 there and missing here"),
    ],
)
def test_another_network_is_refused(change: dict, message: str) -> None:
    with pytest.raises(SegForgeError, match=message):
        adopt(build(SPEC), SPEC, weights(**change))


@pytest.mark.parametrize(("there", "here"), [(4, 1), (1, 3), (2, 5), (3, 2)])
@pytest.mark.parametrize("kind", ["plain_unet", "residual_encoder_unet"])
def test_the_first_layer_is_made_to_fit_on_demand_alone(there: int, here: int, kind: str, caplog) -> None:
    start = weights(input_channels=there, network=kind)
    spec = SPEC.model_copy(update={"input_channels": here, "network": kind})
    network = build(spec, seed=1)
    with pytest.raises(SegForgeError, match="For another number of input channels: --adapt-channels"):
        adopt(network, spec, start)
    with caplog.at_level("INFO", "segforge"):
        adopt(network, spec, replace(start, adapt_channels=True))
    first, *others = network.state_dict()
    theirs, ours = start.weights[first], network.state_dict()[first]
    for channel in range(here):
        expected = theirs.mean(1) if here < there else theirs[:, channel % there]
        assert torch.allclose(ours[:, channel], expected)
    assert all(torch.equal(network.state_dict()[name], start.weights[name]) for name in others)
    assert f"adapted: {first} " in caplog.text


def test_another_network_is_not_made_to_fit() -> None:
    with pytest.raises(SegForgeError, match="are of another network"):
        adopt(build(SPEC), SPEC, replace(weights(features=(4, 8, 16), input_channels=2), adapt_channels=True))


def test_weights_that_are_no_numbers_are_refused() -> None:
    start = weights()
    start.weights["decoder.0.up.weight"][0] = torch.nan
    with pytest.raises(SegForgeError, match=r"decoder.0.up.weight in other.safetensors hold NaN"):
        adopt(build(SPEC), SPEC, start)


def test_a_training_begins_with_them_and_goes_on_from_its_own(tmp_path: Path) -> None:
    start = weights()
    first = Trainer(replace(job(tmp_path / "a"), start=start))
    assert torch.equal(first.network.state_dict()["decoder.0.up.weight"], start.weights["decoder.0.up.weight"])
    first.run()
    end = load_checkpoint(tmp_path / "a" / "checkpoint_final.safetensors").weights
    assert not torch.equal(end["decoder.0.up.weight"], start.weights["decoder.0.up.weight"])


def test_without_checkpoints_there_is_the_final_one_alone(tmp_path: Path) -> None:
    class Watching(Trainer):
        def on_epoch_end(self, record) -> None:
            seen.extend(tmp_path.glob("*.safetensors"))

    seen: list[Path] = []
    Watching(replace(job(tmp_path, epochs=3), keeps_checkpoints=False)).run()
    assert seen == []
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["checkpoint_final.safetensors"]
