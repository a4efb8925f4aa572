"""Small networks of MONAI's, and bundles as MONAI's users pass them on."""

import json
from pathlib import Path
from typing import Any

import torch

from segforge.networks.build import build
from segforge.planning.architecture import ArchitectureSpec

SMALL: dict[str, dict[str, Any]] = {
    "AttentionUnet": {"channels": [4, 8, 8], "strides": [2, 2]},
    "BasicUNet": {"features": [4, 4, 8, 8, 8, 4]},
    "BasicUNetPlusPlus": {"features": [4, 4, 8, 8, 8, 4]},
    "DynUNet": {"kernel_size": [3] * 4, "strides": [1, 2, 2, 2], "upsample_kernel_size": [2] * 3, "filters": [4, 8, 8, 8]},
    "FlexibleUNet": {"backbone": "resnet10", "decoder_channels": [16, 8, 8, 8, 4]},
    "HighResNet": {},
    "MedNeXt": {"init_filters": 4, "kernel_size": 3},
    "SegResNet": {"init_filters": 8, "blocks_down": [1, 1, 1], "blocks_up": [1, 1]},
    "SegResNetDS": {"init_filters": 4, "blocks_down": [1, 1, 1]},
    "SwinUNETR": {"feature_size": 12},
    "UNETR": {"feature_size": 4, "hidden_size": 12, "mlp_dim": 12, "num_heads": 2},
    "UNet": {"channels": [4, 8, 8], "strides": [2, 2], "num_res_units": 1},
    "VNet": {},
}
"""Arguments of each network that may be named, without the size of the patch."""

TINY = {"init_filters": 4, "blocks_down": [1, 1], "blocks_up": [1], "num_groups": 2, "norm": ["GROUP", {"num_groups": 2}]}
"""Arguments of a SegResNet that trains in no time."""


def spec_of(name: str, dimensions: int = 3, arguments: dict[str, Any] | None = None, **fields: Any) -> ArchitectureSpec:
    """The description of a network, with the small arguments unless others are given."""
    content = {
        "network": f"monai:{name}", "dimensions": dimensions, "input_channels": 1, "output_channels": 3,
        "arguments": SMALL.get(name, {}) if arguments is None else arguments,
    }  # fmt: skip
    return ArchitectureSpec.model_validate(content | fields)


def bundle(folder: Path, *, weights: Any = None, config: Any = None, **arguments: Any) -> Path:
    """A bundle of a four-channel, three-class SegResNet; `weights` and `config` are written instead of its own."""
    network = {"_target_": "SegResNet", "spatial_dims": 3, "in_channels": 4, "out_channels": 3, **TINY, **arguments}
    for name in ("configs", "models"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    if weights is None:
        built = build(spec_of("SegResNet", 3, {**TINY, **arguments}, input_channels=4), seed=5).state_dict()
        weights = {name.removeprefix("network."): tensor for name, tensor in built.items()}
    torch.save(weights, folder / "models/model.pt")
    (folder / "configs/inference.json").write_text(json.dumps({"network_def": network} if config is None else config))
    (folder / "configs/metadata.json").write_text('{"name": "Toy", "version": "0.1.0"}')
    return folder
