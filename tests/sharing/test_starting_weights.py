"""Trainings begin with nnU-Net's weights as with ours."""

from pathlib import Path

import pytest
import torch
from sharing_samples import nnunet_model, read_pth, small_model, weights, write_pth

from segforge.errors import SegForgeError
from segforge.networks.build import build
from segforge.networks.model_folder import FINAL
from segforge.sharing.starting_weights import starting_weights
from segforge.training.pretrained import adopt


@pytest.mark.parametrize("network", ["plain_unet", "residual_encoder_unet"])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_ours_and_nnunets_checkpoints_give_the_same_start(tmp_path: Path, network: str, dimensions: int) -> None:
    folder = nnunet_model(tmp_path, network=network, dimensions=dimensions)
    model = small_model(tmp_path / "ours", network=network, dimensions=dimensions)
    _, configuration = model.configuration(model.plans)
    for path in (folder / "fold_0" / "checkpoint_final.pth", model.fold("0").path / FINAL):
        fresh = build(configuration.architecture, seed=77)
        adopt(fresh, configuration.architecture, starting_weights(path, configuration.architecture))
        assert all(torch.equal(tensor, weights(model)[name]) for name, tensor in fresh.state_dict().items())


def test_other_channels_and_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = nnunet_model(tmp_path) / "fold_0" / "checkpoint_final.pth"
    model = small_model(tmp_path / "ours")
    _, configuration = model.configuration(model.plans)
    spec = configuration.architecture.model_copy(update={"input_channels": 2, "output_channels": 6})
    fresh, before = build(spec, seed=77), build(spec, seed=77).state_dict()
    with pytest.raises(SegForgeError, match="--adapt-channels"):
        adopt(fresh, spec, starting_weights(path, spec))
    with caplog.at_level("INFO", "segforge"):
        adopt(fresh, spec, starting_weights(path, spec, adapt_channels=True))
    after = fresh.state_dict()
    first = after["encoder.0.0.convolution.weight"]
    assert torch.equal(first, weights(model)["encoder.0.0.convolution.weight"].repeat(1, 2, 1, 1, 1))
    assert torch.equal(after["heads.1.convolution.weight"], before["heads.1.convolution.weight"])
    assert torch.equal(after["decoder.1.up.weight"], weights(model)["decoder.1.up.weight"])
    assert "adapted: encoder.0.0.convolution.weight 4x1x3x3x3 to 4x2x3x3x3" in caplog.text
    assert "fresh: heads.0.convolution.weight 6x8x1x1x1" in caplog.text


def test_another_network_is_refused(tmp_path: Path) -> None:
    path = nnunet_model(tmp_path, network="residual_encoder_unet") / "fold_0" / "checkpoint_final.pth"
    model = small_model(tmp_path / "plain")
    _, configuration = model.configuration(model.plans)
    with pytest.raises(SegForgeError, match="are of another network"):
        adopt(build(configuration.architecture), configuration.architecture, starting_weights(path, configuration.architecture))


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    folder = nnunet_model(tmp_path)
    content = read_pth(folder)
    content["network_weights"]["decoder.transpconvs.0.weight"][:] = torch.nan
    write_pth(folder, content)
    model = small_model(tmp_path / "plain")
    _, configuration = model.configuration(model.plans)
    start = starting_weights(folder / "fold_0" / "checkpoint_final.pth", configuration.architecture)
    with pytest.raises(SegForgeError, match="hold NaN"):
        adopt(build(configuration.architecture), configuration.architecture, start)
