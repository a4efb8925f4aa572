"""The gradients of a batch of five, by one process or by several; run with RANK SIZE FOLDER it leaves them as `RANK.pt`."""

import sys
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

from segforge.dataset.labels import LabelScheme
from segforge.networks.build import build
from segforge.planning.architecture import ArchitectureSpec
from segforge.training import group
from segforge.training.losses import build_loss
from segforge.training.running import grouped
from segforge.training.settings import TrainingSettings

BATCH = 5
SCHEMES = {
    "classes": LabelScheme.from_description({"background": 0, "a": 1, "b": 2}),
    "ignore": LabelScheme.from_description({"background": 0, "a": 1, "b": 2, "ignore": 3}),
    "regions": LabelScheme.from_description({"background": 0, "whole": (1, 2), "core": (2,)}, (1, 2)),
    "regions_ignore": LabelScheme.from_description({"background": 0, "whole": (1, 2), "core": (2,), "ignore": 3}, (1, 2)),
}
LOSSES = (  # name, batch dice, smoothing
    ("dice_ce", False, 0.0),
    ("dice_ce", True, 0.0),
    ("dice_focal", True, 0.1),
    ("dice_ce_cldice", False, 0.0),
)


def all_gradients() -> dict[str, Tensor]:
    """Losses and gradients of this process's share of the batch, over all processes, by what they are of."""
    return {
        f"{scheme} {loss} {name}": value
        for scheme in SCHEMES
        for loss in LOSSES
        for name, value in gradients(SCHEMES[scheme], *loss).items()
    }


def gradients(labels: LabelScheme, loss_name: str, batch_dice: bool, smoothing: float) -> dict[str, Tensor]:
    images, target = batch(labels)
    mine = group.share(BATCH)
    settings = TrainingSettings.parse({"batch_size": BATCH, "loss": loss_name, "label_smoothing": smoothing}, "test")
    loss_of, bare = build_loss(settings, labels, batch_dice=batch_dice), network(labels)
    running = grouped(bare, torch.device("cpu"))
    for _ in range(2):  # what a step leaves behind must not change the next
        bare.zero_grad()
        loss = loss_of(running(images[mine]), target[mine])
        loss.backward()
    found = {name: parameter.grad for name, parameter in bare.named_parameters() if parameter.grad is not None}
    return {"loss": group.averaged(loss.detach()), **found}


def network(labels: LabelScheme) -> nn.Module:
    spec = ArchitectureSpec(
        network="plain_unet", dimensions=2, input_channels=1, output_channels=labels.heads, features=(4, 6, 8),
        strides=((1, 1), (2, 2), (2, 2)), kernel_sizes=((3, 3),) * 3, encoder_blocks=(1, 1, 1), decoder_convolutions=(1, 1),
    )  # fmt: skip
    return build(spec).double()


def batch(labels: LabelScheme) -> tuple[Tensor, Tensor]:
    """Samples with very different shares of structures and of the ignore label; one has nothing annotated."""
    random = torch.Generator().manual_seed(0)
    images = torch.randn(BATCH, 1, 16, 16, generator=random, dtype=torch.float64)
    target = torch.zeros(BATCH, 16, 16, dtype=torch.int16)
    for sample in range(BATCH):
        target[sample, : 3 * sample] = torch.randint(0, labels.classes, (3 * sample, 16), generator=random).short()
    if labels.ignore_class is not None:
        target[1], target[3, :, :5] = labels.ignore_class, labels.ignore_class
    return images, target


if __name__ == "__main__":
    rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=size)
    assert (group.rank(), group.size(), group.any_of(rank == 1)) == (rank, size, size > 1)
    torch.save(all_gradients(), folder / f"{rank}.pt")
    distributed.destroy_process_group()
