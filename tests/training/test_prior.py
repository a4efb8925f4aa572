"""Fresh networks begin with few voxels of each structure, whatever their random weights."""

import pytest
import torch

from segforge.dataset.labels import LabelScheme
from segforge.networks.build import build
from segforge.planning.architecture import ArchitectureSpec
from segforge.training.prior import FOREGROUND_SHARE, expect_background

LABELS = {
    "classes": LabelScheme.from_description({"background": 0, "a": 1, "b": 2}),
    "regions": LabelScheme.from_description({"background": 0, "whole": (1, 2), "core": (2,)}, (1, 2)),
}


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("network", ["plain_unet", "residual_encoder_unet", "plain_unet_batch_norm"])
def test_no_structure_begins_with_most_voxels(kind: str, network: str) -> None:
    labels = LABELS[kind]
    spec = ArchitectureSpec(
        network=network, dimensions=2, input_channels=1, output_channels=labels.heads, features=(4, 8, 8),
        strides=((1, 1), (2, 2), (2, 2)), kernel_sizes=((3, 3),) * 3, encoder_blocks=(1, 1, 1), decoder_convolutions=(1, 1),
    )  # fmt: skip
    before, after = [], []
    for seed in range(8):
        fresh = build(spec, seed=seed)
        x = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            before.append(largest_shares(fresh(x), labels))
            expect_background(fresh, labels)
            after.append(largest_shares(fresh(x), labels))
    assert torch.tensor(before).max() > 0.5  # what it is for
    assert torch.tensor(after).mean() < 2 * FOREGROUND_SHARE
    assert torch.tensor(after).max() < 0.5


def largest_shares(outputs: list[torch.Tensor], labels: LabelScheme) -> list[float]:
    """At each resolution the largest mean probability of a structure."""
    shares = []
    for logits in outputs:
        probabilities = logits.sigmoid() if labels.has_regions else logits.softmax(1)[:, 1:]
        shares.append(float(probabilities.mean((0, 2, 3)).max()))
    return shares
