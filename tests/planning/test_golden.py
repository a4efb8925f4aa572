"""The plans of nnU-Net 2.8.1 in ../shared/golden: zero differences in everything that decides the experiment."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from segforge.dataset.description import DatasetDescription
from segforge.planning.fingerprint import Fingerprint
from segforge.planning.planner import Planner
from segforge.planning.plans import Configuration, Plans
from segforge.planning.settings import PlannerSettings

GOLDEN = Path(os.environ.get("SEGFORGE_TEST_DATA", Path(__file__).parents[3] / "shared")) / "golden"

PRESETS = {
    "default_8GB": PlannerSettings(),
    "default_16GB": PlannerSettings(gpu_memory=16, name="p16"),
    "resenc_m": PlannerSettings(planner="resenc-m"),
    "resenc_l": PlannerSettings(planner="resenc-l"),
    "resenc_xl": PlannerSettings(planner="resenc-xl"),
}

NORMALIZATIONS = {
    "CTNormalization": "ct",
    "NoNormalization": "none",
    "ZScoreNormalization": "zscore",
    "RescaleTo01Normalization": "rescale_to_0_1",
    "RGBTo01Normalization": "rgb_to_0_1",
}

NETWORKS = {"PlainConvUNet": "plain_unet", "ResidualEncoderUNet": "residual_encoder_unet"}


def files_or_skip(pattern: str) -> list[Any]:
    """Golden files for parametrization, or one skipped parameter where they are missing."""
    found = sorted(GOLDEN.glob(pattern))
    reason = f"no {pattern} in {GOLDEN} (SEGFORGE_TEST_DATA)"
    return [pytest.param(file, id=file.stem) for file in found] or [pytest.param(None, marks=pytest.mark.skip(reason=reason))]


def nnunet_configuration(configurations: dict[str, Any], name: str) -> dict[str, Any]:
    own = configurations[name]
    return {**configurations[own["inherits_from"]], **own} if "inherits_from" in own else own


def decisive_of_nnunet(configuration: dict[str, Any]) -> dict[str, object]:
    network, arguments = configuration["architecture"]["network_class_name"], configuration["architecture"]["arch_kwargs"]
    return {
        "patch_size": configuration["patch_size"],
        "batch_size": configuration["batch_size"],
        "batch_dice": configuration["batch_dice"],
        "median_shape": configuration["median_image_size_in_voxels"],
        "normalization": [NORMALIZATIONS[scheme] for scheme in configuration["normalization_schemes"]],
        "use_mask": configuration["use_mask_for_norm"],
        "previous_stage": configuration.get("previous_stage"),
        "network": NETWORKS[network.rsplit(".", 1)[-1]],
        "strides": arguments["strides"],
        "kernel_sizes": arguments["kernel_sizes"],
        "features": arguments["features_per_stage"],
        "blocks": arguments.get("n_blocks_per_stage") or arguments["n_conv_per_stage"],
        "decoder": arguments["n_conv_per_stage_decoder"],
    }


def decisive_of_ours(configuration: Configuration) -> dict[str, object]:
    network = configuration.architecture
    return {
        "patch_size": list(configuration.patch_size),
        "batch_size": configuration.batch_size,
        "batch_dice": configuration.batch_dice,
        "median_shape": list(configuration.median_shape),
        "normalization": [spec.name for spec in configuration.normalization],
        "use_mask": [spec.use_mask for spec in configuration.normalization],
        "previous_stage": configuration.previous_stage,
        "network": network.network,
        "strides": [list(stride) for stride in network.strides],
        "kernel_sizes": [list(kernel) for kernel in network.kernel_sizes],
        "features": list(network.features),
        "blocks": list(network.encoder_blocks),
        "decoder": list(network.decoder_convolutions),
    }


def assert_agree(ours: Plans, theirs: dict[str, Any]) -> None:
    assert list(ours.transpose_forward) == theirs["transpose_forward"]
    assert list(ours.transpose_backward) == theirs["transpose_backward"]
    assert list(ours.original_median_spacing) == pytest.approx(theirs["original_median_spacing_after_transp"], abs=1e-6)
    assert list(ours.original_median_shape) == theirs["original_median_shape_after_transp"]
    assert set(ours.configurations) == set(theirs["configurations"])
    for name, configuration in ours.configurations.items():
        expected = nnunet_configuration(theirs["configurations"], name)
        assert decisive_of_ours(configuration) == decisive_of_nnunet(expected), name
        assert list(configuration.spacing) == pytest.approx(expected["spacing"], abs=1e-6), name


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("file", files_or_skip("planner/*.json"))
def test_plans_equal_those_of_nnunet(file: Path, preset: str) -> None:
    content = json.loads(file.read_text())
    fingerprint = Fingerprint.parse(content["fingerprint"], str(file))
    description = DatasetDescription.parse(content["dataset_json"], str(file))
    ours = Planner(PRESETS[preset]).plan(fingerprint, description, "Dataset001_Golden").plans
    assert_agree(ours, content["plans"][preset])


@pytest.mark.parametrize("folder", files_or_skip("pipeline/Dataset*"))
def test_plans_of_small_real_data_sets_equal_those_of_nnunet(folder: Path) -> None:
    settings = PlannerSettings(gpu_memory=0.1 if folder.name == "Dataset016_CtLowres" else None)
    fingerprint = Fingerprint.read(folder / "nnunet_reference" / "dataset_fingerprint.json")
    ours = Planner(settings).plan(fingerprint, DatasetDescription.read(folder / "dataset.json"), folder.name).plans
    assert_agree(ours, json.loads((folder / "nnunet_reference" / "nnUNetPlans.json").read_text()))
