"""A model that nnU-Net trained, as a model folder of SegForge's: golden_model.py NNUNET_MODEL CONFIGURATION OUTPUT"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch

from segforge.dataset.description import read_description
from segforge.networks.build import build
from segforge.networks.checkpoint import Checkpoint, CheckpointFacts, save_checkpoint
from segforge.networks.model_folder import FINAL, PLANS
from segforge.planning.fingerprint import FILE_NAME as FINGERPRINT
from segforge.sharing.nnunet_plans import plans_from_nnunet
from segforge.sharing.nnunet_weights import nnunet_names

HARMLESS = [np.dtype, np._core.multiarray.scalar, np.dtypes.Float32DType, np.dtypes.Float64DType]


def copy_model(source: Path, configuration: str, output: Path) -> None:
    with torch.serialization.safe_globals(HARMLESS):
        content = torch.load(source / "fold_0" / "checkpoint_final.pth", weights_only=True, map_location="cpu")
    description = read_description(source / "dataset.json")
    plans = plans_from_nnunet(json.loads((source / "plans.json").read_text()), description, str(source))
    chain = plans.with_previous_stages(configuration)
    spec = chain[configuration].architecture
    names = nnunet_names(build(spec).state_dict())
    output.mkdir(parents=True, exist_ok=True)
    plans.model_copy(update={"configurations": chain}).write(output / PLANS)
    for name in ("dataset.json", FINGERPRINT):
        shutil.copy(source / name, output / name)
    facts = CheckpointFacts(
        configuration=configuration, fold="0", architecture=spec, epoch=1, ema=0, best_ema=0,
        mirror_axes=tuple(content["inference_allowed_mirroring_axes"]), threads=torch.get_num_threads(),
    )  # fmt: skip
    weights = {ours: content["network_weights"][theirs] for ours, theirs in names.items()}
    save_checkpoint(output / "fold_0" / FINAL, Checkpoint(weights, {}, facts))


if __name__ == "__main__":
    copy_model(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
