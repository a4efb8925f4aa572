import math
from pathlib import Path

import pytest
import torch

from segforge.errors import SegForgeError
from segforge.networks.checkpoint import Checkpoint, CheckpointFacts, load_checkpoint, save_checkpoint
from segforge.networks.model_folder import FINAL, ModelFolder
from segforge.planning.architecture import ArchitectureSpec

SPEC = ArchitectureSpec(
    dimensions=2, input_channels=1, output_channels=2, features=(4,), strides=((1, 1),), kernel_sizes=((3, 3),),
    encoder_blocks=(1,), decoder_convolutions=(),
)  # fmt: skip
FACTS = CheckpointFacts(
    configuration="2d", fold="0", architecture=SPEC, epoch=3, losses=(0.1, 1 / 3), ema=math.nan, best_ema=0.5,
    mirror_axes=(0, 1), threads=2,
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    weights = {"a.weight": torch.randn(3, 4), "b": torch.arange(3)}
    save_checkpoint(tmp_path / "c.safetensors", Checkpoint(weights, {"a.weight/momentum_buffer": torch.ones(3, 4)}, FACTS))
    return tmp_path / "c.safetensors"


def test_everything_comes_back(path: Path) -> None:
    checkpoint = load_checkpoint(path)
    assert set(checkpoint.weights) == {"a.weight", "b"}
    assert set(checkpoint.optimizer) == {"a.weight/momentum_buffer"}
    assert checkpoint.facts.losses == FACTS.losses
    assert math.isnan(checkpoint.facts.ema)
    assert checkpoint.facts.architecture == SPEC


def test_every_flipped_bit_and_every_cut_is_found(path: Path) -> None:
    content = path.read_bytes()
    begin = int.from_bytes(content[:8], "little") + 8
    for position in range(begin, len(content), 7):
        flipped = bytearray(content)
        flipped[position] ^= 1
        path.write_bytes(bytes(flipped))
        with pytest.raises(SegForgeError, match=r"c\.safetensors is damaged"):
            load_checkpoint(path)
    for length in (0, 5, begin - 3, begin + 10, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(SegForgeError, match=r"c\.safetensors"):
            load_checkpoint(path)


def test_other_safetensors_and_missing_files_are_named(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.ones(2)}, tmp_path / "x.safetensors")
    with pytest.raises(SegForgeError, match="not a checkpoint of SegForge"):
        load_checkpoint(tmp_path / "x.safetensors")
    with pytest.raises(SegForgeError, match="missing"):
        load_checkpoint(tmp_path / "y.safetensors")


def test_folds_are_found_in_order_and_all_is_used_only_alone(tmp_path: Path) -> None:
    model = ModelFolder(tmp_path)
    for fold in ("10", "2", "all"):
        model.fold(fold).path.mkdir()
        (model.fold(fold).path / FINAL).touch()
    (tmp_path / "fold_0").mkdir()
    assert model.trained_folds() == ["2", "10", "all"]
    assert model.folds_to_use(None) == ["2", "10"]
    assert model.folds_to_use(["all"]) == ["all"]
    with pytest.raises(SegForgeError, match=r"has no checkpoint_final.safetensors of fold 0\. There is one of 2, 10, all"):
        model.folds_to_use(["0"])
