"""Plans in nnU-Net's layout: written as nnU-Net 2.8.1 writes them, read back unchanged, and refused where they are damaged."""

import copy
import functools
import json
import logging
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segforge.dataset.description import DatasetDescription
from segforge.errors import SegForgeError
from segforge.planning.fingerprint import Fingerprint
from segforge.planning.planner import Planner
from segforge.planning.plans import NormalizationSpec, Plans, ResamplingSpec
from segforge.planning.presets import PRESETS
from segforge.planning.settings import PlannerSettings
from segforge.sharing.nnunet_plans import plans_from_nnunet, plans_to_nnunet

GOLDEN = Path(os.environ.get("SEGFORGE_TEST_DATA", Path(__file__).parents[3] / "shared")) / "golden"

SETTINGS: dict[str, dict[str, Any]] = {
    "default_8GB": {},
    "default_16GB": {"gpu_memory": 16},
    "resenc_m": {"planner": "resenc-m"},
    "resenc_l": {"planner": "resenc-l"},
    "resenc_xl": {"planner": "resenc-xl"},
}

# Folders of preprocessed data: ours are called by our planners' names, nnU-Net's by its own. Nothing else may differ.
NOT_COMPARED = {"data_identifier"}

MISSING = object()

STATISTICS = {"max": 9, "mean": 1, "median": 1, "min": 0, "percentile_00_5": 0, "percentile_99_5": 8, "std": 2}


def files_or_skip(pattern: str) -> list[Any]:
    """Golden files for parametrization, or one skipped parameter where they are missing."""
    found = sorted(GOLDEN.glob(pattern))
    reason = f"no {pattern} in {GOLDEN} (SEGFORGE_TEST_DATA)"
    skipped = pytest.param(None, marks=pytest.mark.skip(reason=reason))
    return [pytest.param(file, id=str(file.relative_to(GOLDEN))) for file in found] or [skipped]


@functools.cache
def golden(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text())
    return content


@functools.cache
def golden_description(file: Path) -> DatasetDescription:
    return DatasetDescription.parse(golden(file)["dataset_json"], str(file))


@functools.cache
def planned(file: Path, preset: str) -> Plans:
    expected = golden(file)["plans"][preset]
    fingerprint = Fingerprint.parse(golden(file)["fingerprint"], str(file))
    planner = Planner(PlannerSettings(name=expected["plans_name"], **SETTINGS[preset]))
    return planner.plan(fingerprint, golden_description(file), expected["dataset_name"]).plans


def without(content: Any, keys: set[str]) -> Any:
    if isinstance(content, dict):
        return {key: without(value, keys) for key, value in content.items() if key not in keys}
    return [without(value, keys) for value in content] if isinstance(content, list) else content


def description_of(**more: Any) -> DatasetDescription:
    content = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "a": 1, "b": 2}, "numTraining": 9}
    return DatasetDescription.parse({**content, "file_ending": ".nii.gz", **more}, "test")


def small_plans(*, low_resolution: bool = False, **description: Any) -> tuple[Plans, DatasetDescription]:
    described = description_of(**description)
    side = 500 if low_resolution else 48
    fingerprint = {
        "spacings": [[1, 1, 1]],
        "shapes_after_crop": [[side] * 3],
        "foreground_intensity_properties_per_channel": {
            str(channel): {**STATISTICS, "mean": 1.0 + channel} for channel in range(len(described.channels))
        },
        "median_relative_size_after_cropping": 1,
    }
    plans = Planner().plan(Fingerprint.parse(fingerprint, "test"), described, "Dataset001_Test").plans
    return plans, described


@functools.cache
def cascade_file() -> str:
    return json.dumps(plans_to_nnunet(*small_plans(low_resolution=True)))


def cascade_content() -> dict[str, Any]:
    """A complete plans file of nnU-Net with all four configurations, to be damaged."""
    content: dict[str, Any] = json.loads(cascade_file())
    return content


def put(content: dict[str, Any], path: str, value: object) -> None:
    """Set a field; in lists the path has indices; MISSING takes the field away."""
    *parents, last = path.split("/")
    place: Any = content
    for part in parents:
        place = place[int(part) if isinstance(place, list) else part]
    key = int(last) if isinstance(place, list) else last
    if value is MISSING:
        del place[key]
    else:
        place[key] = value


def refusal(content: Any, description: DatasetDescription | None = None) -> str:
    with pytest.raises(SegForgeError) as caught:
        plans_from_nnunet(content, description or description_of(), "their/plans.json")
    message = str(caught.value)
    assert message.startswith("their/plans.json")
    assert "\n" not in message
    return message


# Written


@pytest.mark.parametrize("preset", SETTINGS)
@pytest.mark.parametrize("file", files_or_skip("planner/*.json"))
def test_written_plans_are_those_of_nnunet(file: Path, preset: str) -> None:
    written = plans_to_nnunet(planned(file, preset), golden_description(file))
    assert without(written, NOT_COMPARED) == without(golden(file)["plans"][preset], NOT_COMPARED)


@pytest.mark.parametrize(
    ("ending", "side", "reader"),
    [
        (".png", 1, "NaturalImage2DIO"),
        (".bmp", 1, "NaturalImage2DIO"),
        (".tif", 1, "NaturalImage2DIO"),
        (".tif", 20, "Tiff3DIO"),
        (".tiff", 20, "Tiff3DIO"),
        (".nii.gz", 20, "SimpleITKIO"),
        (".NRRD", 20, "SimpleITKIO"),
        (".mha", 20, "SimpleITKIO"),
        (".nii", 20, "NibabelIO"),
    ],
)
def test_reader_is_the_first_of_nnunet_for_the_file_ending(ending: str, side: int, reader: str) -> None:
    plans, description = small_plans(file_ending=ending)
    if side == 1:
        plans = plans.model_copy(update={"configurations": {"2d": plans.configuration("2d")}})
    assert plans_to_nnunet(plans, description)["image_reader_writer"] == reader


def test_reader_of_the_data_set_or_of_the_caller_comes_first() -> None:
    plans, description = small_plans(overwrite_image_reader_writer="NibabelIO")
    assert plans_to_nnunet(plans, description)["image_reader_writer"] == "NibabelIO"
    assert plans_to_nnunet(plans, description, reader="Own")["image_reader_writer"] == "Own"
    for ours, theirs in (("stored", "SimpleITKIO"), ("canonical", "SimpleITKIOWithReorient")):
        plans, description = small_plans(overwrite_image_reader_writer=ours)
        assert plans_to_nnunet(plans, description)["image_reader_writer"] == theirs


def test_images_that_nnunet_cannot_read_are_refused() -> None:
    with pytest.raises(SegForgeError, match=r"no reader for \.dcm.*overwrite_image_reader_writer"):
        plans_to_nnunet(*small_plans(file_ending=".dcm"))


def test_cascade_inherits_and_low_resolution_names_what_follows() -> None:
    configurations = cascade_content()["configurations"]
    assert configurations["3d_cascade_fullres"] == {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}
    assert configurations["3d_lowres"]["next_stage"] == "3d_cascade_fullres"
    assert "next_stage" not in configurations["3d_fullres"]


def test_several_cascades_after_one_stage_are_a_list() -> None:
    plans, description = small_plans(low_resolution=True)
    cascade = plans.configuration("3d_cascade_fullres")
    own = cascade.model_copy(update={"batch_size": 7})
    plans = plans.model_copy(update={"configurations": {**plans.configurations, "own": own}})
    written = plans_to_nnunet(plans, description)
    assert written["configurations"]["3d_lowres"]["next_stage"] == ["3d_cascade_fullres", "own"]
    assert written["configurations"]["own"]["batch_size"] == 7
    assert plans_from_nnunet(written, description, "written") == plans


def test_cascade_does_not_inherit_the_stage_that_follows_its_parent() -> None:
    # A cascade on top of the very configuration that it equals: inheriting from it would make it its own next stage.
    plans, description = small_plans(low_resolution=True)
    cascade = plans.configuration("3d_cascade_fullres").model_copy(update={"previous_stage": "3d_fullres"})
    both = {"3d_fullres": plans.configuration("3d_fullres"), "own": cascade}
    written = plans_to_nnunet(plans.model_copy(update={"configurations": both}), description)["configurations"]
    assert written["3d_fullres"]["next_stage"] == "own"
    assert "inherits_from" not in written["own"]
    assert "next_stage" not in written["own"]


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"normalization": (NormalizationSpec(name="histogram"),)}, r"normalization\.0\.name is 'histogram'.*zscore"),
        ({"architecture": {"network": "SegResNet"}}, r"architecture\.network is 'SegResNet'.*residual_encoder_unet"),
        ({"architecture": {"output_channels": 5}}, r"output_channels is 5, but nnU-Net would take 3 from dataset.json"),
        ({"architecture": {"input_channels": 2}}, r"input_channels is 2, but nnU-Net would take 1 from dataset.json"),
    ],
)
def test_what_nnunet_does_not_have_is_not_written(update: dict[str, Any], message: str) -> None:
    plans, description = small_plans()
    configuration = plans.configuration("2d")
    if "architecture" in update:
        update = {"architecture": configuration.architecture.model_copy(update=update["architecture"])}
    own = plans.model_copy(update={"configurations": {"2d": configuration.model_copy(update=update)}})
    with pytest.raises(SegForgeError, match=message):
        plans_to_nnunet(own, description)


# Read


@pytest.mark.parametrize("preset", SETTINGS)
@pytest.mark.parametrize("file", files_or_skip("planner/*.json"))
def test_written_plans_are_read_back_unchanged(file: Path, preset: str) -> None:
    plans, description = planned(file, preset), golden_description(file)
    # nnU-Net cannot hold the memory that was planned for; the planner's own is assumed.
    expected = plans.model_copy(update={"gpu_memory": PRESETS[plans.planner].gpu_memory})
    assert plans_from_nnunet(plans_to_nnunet(plans, description), description, "written") == expected


@pytest.mark.parametrize("preset", SETTINGS)
@pytest.mark.parametrize("file", files_or_skip("planner/*.json"))
def test_plans_of_nnunet_are_what_our_planner_makes(file: Path, preset: str) -> None:
    theirs = plans_from_nnunet(golden(file)["plans"][preset], golden_description(file), str(file))
    ours = planned(file, preset)
    assert theirs.model_dump(exclude={"gpu_memory", "configurations"}) == ours.model_dump(
        exclude={"gpu_memory", "configurations"}
    )
    assert {name: configuration.model_copy(update={"data": ""}) for name, configuration in theirs.configurations.items()} == {
        name: configuration.model_copy(update={"data": ""}) for name, configuration in ours.configurations.items()
    }


@pytest.mark.parametrize("file", files_or_skip("models/*/plans.json") + files_or_skip("pipeline/*/*/nnUNetPlans.json"))
def test_files_of_nnunet_survive_reading_and_writing_unchanged(file: Path) -> None:
    folder = file.parent if file.name == "plans.json" else file.parents[1]
    description = DatasetDescription.read(folder / "dataset.json")
    assert plans_to_nnunet(plans_from_nnunet(golden(file), description, str(file)), description) == golden(file)


def test_golden_models_have_the_networks_that_their_names_say(shared: Path) -> None:
    def network(model: str, configuration: str) -> dict[str, Any]:
        folder = shared / "golden" / "models" / model
        content, description = golden(folder / "plans.json"), DatasetDescription.read(folder / "dataset.json")
        return plans_from_nnunet(content, description, model).configuration(configuration).architecture.model_dump()

    residual = network("hippocampus_3d_residual", "3d_fullres")
    assert residual["network"] == "residual_encoder_unet"
    assert (residual["features"], residual["encoder_blocks"]) == ((8, 16, 32, 64), (1, 3, 4, 6))
    assert (residual["input_channels"], residual["output_channels"], residual["dimensions"]) == (1, 3, 3)
    plain = network("hippocampus_2d_plain", "2d")
    assert (plain["network"], plain["dimensions"], plain["decoder_convolutions"]) == ("plain_unet", 2, (2, 2, 2))
    assert plain["strides"] == ((1, 1), (2, 2), (2, 2), (2, 2))


def test_decoder_is_counted_from_the_other_end() -> None:
    content, description = cascade_content(), description_of()
    arguments = content["configurations"]["2d"]["architecture"]["arch_kwargs"]
    from_below = list(range(1, arguments["n_stages"]))
    arguments["n_conv_per_stage_decoder"] = from_below
    plans = plans_from_nnunet(content, description, "test")
    assert plans.configuration("2d").architecture.decoder_convolutions == tuple(reversed(from_below))
    assert plans_to_nnunet(plans, description) == content


def test_regions_and_cascade_decide_channels_and_heads() -> None:
    labels = {"background": 0, "whole": [1, 2, 3], "core": [2, 3]}
    regions = {"labels": labels, "regions_class_order": [1, 2], "channel_names": {"0": "CT", "1": "PET"}}
    plans, description = small_plans(low_resolution=True, **regions)
    read = plans_from_nnunet(plans_to_nnunet(plans, description), description, "written")
    network = read.configuration("3d_cascade_fullres").architecture
    assert (network.input_channels, network.output_channels) == (2 + 3, 2)
    assert read.configuration("3d_fullres").architecture.input_channels == 2


def test_transpose_and_original_sizes_survive() -> None:
    content = cascade_content()
    content |= {"transpose_forward": [1, 2, 0], "transpose_backward": [2, 0, 1]}
    content |= {"original_median_spacing_after_transp": [3.5, 1, 0.5], "original_median_shape_after_transp": [20, 200, 300]}
    plans = plans_from_nnunet(content, description_of(), "test")
    assert plans.transpose_backward == (2, 0, 1)
    assert (plans.original_median_spacing, plans.original_median_shape) == ((3.5, 1, 0.5), (20, 200, 300))
    assert plans_to_nnunet(plans, description_of()) == content


def test_configurations_inherit_over_several_generations() -> None:
    content = cascade_content()
    content["configurations"]["wide"] = {
        "inherits_from": "3d_fullres",
        "data_identifier": "wide",
        "batch_size": 5,
        "spacing": [2, 2, 2],
    }
    content["configurations"]["wider"] = {"inherits_from": "wide", "batch_size": 6}
    plans = plans_from_nnunet(content, description_of(), "test")
    parent, wider = plans.configuration("3d_fullres"), plans.configuration("wider")
    assert wider == parent.model_copy(update={"data": "wide", "batch_size": 6, "spacing": (2.0, 2.0, 2.0)})


def test_plans_without_resampling_go_both_ways() -> None:
    plans, description = small_plans()
    own = plans.configuration("2d").model_copy(update={"resampling": ResamplingSpec(method="none")})
    plans = plans.model_copy(update={"configurations": {"2d": own}})
    written = plans_to_nnunet(plans, description)
    assert written["configurations"]["2d"]["resampling_fn_seg"] == "no_resampling_hack"
    assert written["configurations"]["2d"]["resampling_fn_seg_kwargs"] == {}
    assert plans_from_nnunet(written, description, "written") == plans


def test_spline_orders_go_both_ways() -> None:
    content = cascade_content()
    for kind, order in (("data", 1), ("seg", 0), ("probabilities", 2)):
        put(content, f"configurations/2d/resampling_fn_{kind}_kwargs/order", order)
    plans = plans_from_nnunet(content, description_of(), "test")
    assert plans.configuration("2d").resampling == ResamplingSpec(image_order=1, label_order=0, logits_order=2)
    assert plans_to_nnunet(plans, description_of()) == content


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("continue_training", False),
        ("configurations/2d/comment", "tried on Monday"),
        ("configurations/2d/next_stage", ["3d_fullres"]),
        ("configurations/2d/architecture/network_class_name", "PlainConvUNet"),
        ("configurations/2d/architecture/network_class_name", "dynamic_network_architectures.elsewhere.PlainConvUNet"),
        ("configurations/2d/architecture/arch_kwargs/conv_op", "torch.nn.Conv2d"),
        ("configurations/2d/architecture/arch_kwargs/nonlin_kwargs", {"negative_slope": 0.01}),
        ("configurations/2d/architecture/arch_kwargs/nonlin_kwargs", None),
        ("configurations/2d/architecture/arch_kwargs/deep_supervision", True),
        ("configurations/2d/architecture/arch_kwargs/dropout_op", MISSING),
    ],
)
def test_spellings_that_mean_the_same_are_the_same(path: str, value: object) -> None:
    content = cascade_content()
    put(content, path, value)
    assert plans_from_nnunet(content, description_of(), "test") == plans_from_nnunet(
        cascade_content(), description_of(), "test"
    )


def test_intensities_of_the_first_releases_have_another_name() -> None:
    content = cascade_content()
    statistics = content.pop("foreground_intensity_properties_per_channel")
    content["foreground_intensity_properties_by_modality"] = statistics
    assert plans_from_nnunet(content, description_of(), "test").intensities[0].mean == statistics["0"]["mean"]


def test_reader_that_may_turn_images_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    content = cascade_content()
    with caplog.at_level(logging.WARNING):
        plans_from_nnunet(content, description_of(), "test")
        assert not caplog.records
        plans_from_nnunet(content | {"image_reader_writer": "NibabelIOWithReorient"}, description_of(), "test")
    assert "test: image_reader_writer is NibabelIOWithReorient" in caplog.text


def test_no_foreground_is_no_obstacle_where_intensities_are_not_used() -> None:
    content = cascade_content()
    put(content, "foreground_intensity_properties_per_channel/0/std", None)
    assert "properties_per_channel.0.std is nan, but CTNormalization needs" in refusal(content)
    for name in ("2d", "3d_lowres", "3d_fullres"):
        put(content, f"configurations/{name}/normalization_schemes", ["ZScoreNormalization"])
    assert math.isnan(plans_from_nnunet(content, description_of(), "test").intensities[0].std)


# The layout of before 2.2

OLD = {
    "dataset_name": "Dataset004_Hippocampus",
    "plans_name": "nnUNetPlans",
    "original_median_spacing_after_transp": [1.0, 1.0, 1.0],
    "original_median_shape_after_transp": [36, 50, 35],
    "image_reader_writer": "SimpleITKIO",
    "transpose_forward": [0, 1, 2],
    "transpose_backward": [0, 1, 2],
    "configurations": {
        "3d_fullres": {
            "data_identifier": "nnUNetPlans_3d_fullres",
            "preprocessor_name": "DefaultPreprocessor",
            "batch_size": 9,
            "patch_size": [40, 56, 40],
            "median_image_size_in_voxels": [36.0, 50.0, 35.0],
            "spacing": [1.0, 1.0, 1.0],
            "normalization_schemes": ["ZScoreNormalization"],
            "use_mask_for_norm": [True],
            "UNet_class_name": "PlainConvUNet",
            "UNet_base_num_features": 32,
            "n_conv_per_stage_encoder": [2, 2, 3, 2],
            "n_conv_per_stage_decoder": [4, 2, 1],
            "num_pool_per_axis": [3, 3, 3],
            "pool_op_kernel_sizes": [[1, 1, 1], [2, 2, 2], [2, 2, 2], [2, 2, 2]],
            "conv_kernel_sizes": [[1, 3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3]],
            "unet_max_num_features": 100,
            "resampling_fn_data": "resample_data_or_seg_to_shape",
            "resampling_fn_seg": "resample_data_or_seg_to_shape",
            "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None},
            "resampling_fn_seg_kwargs": {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None},
            "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
            "resampling_fn_probabilities_kwargs": {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None},
            "batch_dice": False,
        },
        "small": {"inherits_from": "3d_fullres", "UNet_base_num_features": 8, "UNet_class_name": "ResidualEncoderUNet"},
    },
    "experiment_planner_used": "ExperimentPlanner",
    "label_manager": "LabelManager",
    "foreground_intensity_properties_per_channel": {"0": STATISTICS},
}


def test_layout_of_before_2_2_is_read() -> None:
    plans = plans_from_nnunet(OLD, description_of(), "old")
    configuration = plans.configuration("3d_fullres")
    network = configuration.architecture
    assert network.network == "plain_unet"
    assert network.features == (32, 64, 100, 100)
    assert network.encoder_blocks == (2, 2, 3, 2)
    assert network.decoder_convolutions == (1, 2, 4)
    assert network.strides == ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2))
    assert network.kernel_sizes == ((1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))
    assert (configuration.batch_size, configuration.patch_size) == (9, (40, 56, 40))
    assert configuration.normalization == (NormalizationSpec(name="zscore", use_mask=True),)


def test_old_network_is_resolved_after_inheritance() -> None:
    network = plans_from_nnunet(OLD, description_of(), "old").configuration("small").architecture
    assert (network.network, network.features) == ("residual_encoder_unet", (8, 16, 32, 64))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("UNet_class_name", "PrivateUNet", r"UNet_class_name: Input should be 'PlainConvUNet' or 'ResidualEncoderUNet'"),
        ("UNet_base_num_features", MISSING, r"configurations.3d_fullres is not valid. UNet_base_num_features is missing"),
        ("pool_op_kernel_sizes", [[1, 1, 1]], r"pool_op_kernel_sizes has 1 entries, n_conv_per_stage_encoder with 4 needs 4"),
        ("n_conv_per_stage_decoder", [2], r"n_conv_per_stage_decoder has 1 entries, .* needs 3"),
        ("n_conv_per_stage_encoder", [], r"n_conv_per_stage_encoder: List should have at least 1 item"),
        ("conv_kernel_sizes", "3x3x3", r'conv_kernel_sizes: Input should be a valid list \(found "3x3x3"\)'),
        ("unet_max_num_features", 0, r"unet_max_num_features: Input should be greater than 0"),
    ],
)
def test_damaged_old_network_is_refused_in_its_own_words(key: str, value: object, message: str) -> None:
    content = copy.deepcopy(OLD)
    put(content, f"configurations/3d_fullres/{key}", value)
    with pytest.raises(SegForgeError, match=message):
        plans_from_nnunet(content, description_of(), "old")


# Foreign and damaged files

NETWORK = "configurations/2d/architecture"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (f"{NETWORK}/network_class_name", "subprocess.Popen", "'subprocess.Popen' is no network that SegForge has"),
        (f"{NETWORK}/network_class_name", "evil.PlainConvUNet", "PlainConvUNet and ResidualEncoderUNet of dynamic_network"),
        (f"{NETWORK}/network_class_name", "dynamic_network_architecturesX.PlainConvUNet", "is no network"),
        (f"{NETWORK}/network_class_name", "dynamic_network_architectures.x.PlainConvUNet\n", "is no network"),
        (f"{NETWORK}/network_class_name", "dynamic_network_architectures.architectures.unet.ResidualUNet", "is no network"),
        (f"{NETWORK}/arch_kwargs/conv_op", "os.system", "arch_kwargs.conv_op: Input should be 'torch.nn.modules.conv.Conv2d'"),
        (f"{NETWORK}/arch_kwargs/conv_op", "torch.nn.Conv3d", "does not go with conv_op torch.nn.Conv3d"),
        (f"{NETWORK}/arch_kwargs/norm_op", "torch.nn.BatchNorm2d", "arch_kwargs.norm_op: Input should be 'torch.nn"),
        (f"{NETWORK}/arch_kwargs/norm_op", None, "arch_kwargs.norm_op: Input should be"),
        (f"{NETWORK}/arch_kwargs/norm_op_kwargs", {"eps": 1e-3, "affine": True}, "norm_op_kwargs.eps: is 0.001"),
        (f"{NETWORK}/arch_kwargs/norm_op_kwargs", {"eps": 1e-5}, "norm_op_kwargs.affine is missing"),
        (f"{NETWORK}/arch_kwargs/norm_op_kwargs/affine", False, "norm_op_kwargs.affine: Input should be True (found false)"),
        (f"{NETWORK}/arch_kwargs/norm_op_kwargs/eps", math.nan, "norm_op_kwargs.eps: is nan"),
        (f"{NETWORK}/arch_kwargs/dropout_op", "torch.nn.Dropout2d", "arch_kwargs.dropout_op: Input should be None"),
        (f"{NETWORK}/arch_kwargs/nonlin", "torch.nn.ReLU", "arch_kwargs.nonlin: Input should be 'torch.nn.LeakyReLU'"),
        (f"{NETWORK}/arch_kwargs/nonlin_kwargs", {"negative_slope": 0.2}, "nonlin_kwargs.negative_slope: is 0.2"),
        (f"{NETWORK}/arch_kwargs/nonlin_first", True, "arch_kwargs.nonlin_first: Input should be False (found true)"),
        (f"{NETWORK}/arch_kwargs/conv_bias", False, "arch_kwargs.conv_bias: Input should be True (found false)"),
        (f"{NETWORK}/arch_kwargs/block", "os.system", "arch_kwargs.block is not known here"),
        (f"{NETWORK}/_kw_requires_import", ["conv_op", "os.system"], "_kw_requires_import.1: Input should be 'conv_op'"),
        ("label_manager", "evil.LabelManager", "label_manager: Input should be 'LabelManager'"),
        ("configurations/2d/preprocessor_name", "OwnPreprocessor", "preprocessor_name: Input should be 'DefaultPreprocessor'"),
        ("configurations/2d/normalization_schemes", ["os.system"], "normalization_schemes.0 is 'os.system'"),
        ("configurations/2d/normalization_schemes", ["os.system"], "known here are CTNormalization, NoNormalization"),
        ("configurations/2d/resampling_fn_data", "resample_torch_simple", "'resample_data_or_seg_to_shape' or 'no_resampling"),
        ("configurations/2d/resampling_fn_seg", "no_resampling_hack", "they must be the same"),
        ("plans_name", "../../etc", "plans_name: String should match pattern"),
        ("dataset_name", "/root", "dataset_name: String should match pattern"),
        ("configurations/2d/data_identifier", "a/../../b", "configurations.2d.data_identifier: String should match"),
        ("configurations/..", {}, "configurations..."),
    ],
)
def test_foreign_code_and_what_we_do_not_have_is_refused(path: str, value: object, message: str) -> None:
    content = cascade_content()
    before = set(sys.modules)
    put(content, path, value)
    assert message in refusal(content)
    assert not {name for name in set(sys.modules) - before if name.startswith(("dynamic_network", "nnunetv2", "torch"))}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("configurations/2d/batch_size", "two", 'configurations.2d.batch_size: Input should be a valid integer (found "two")'),
        ("configurations/2d/batch_size", True, "configurations.2d.batch_size: Input should be a valid integer (found true)"),
        ("configurations/2d/batch_size", 0, "configurations.2d.batch_size: Input should be greater than 0 (found 0)"),
        ("configurations/2d/batch_size", MISSING, "configurations.2d.batch_size is missing"),
        ("configurations/2d/patch_size", [64.0, 64], "configurations.2d.patch_size.0: Input should be a valid integer"),
        ("configurations/2d/patch_size", [64], "configurations.2d: patch_size [64] has 1 axes, the network's conv_op has 2"),
        ("configurations/2d/patch_size", [64, 65], "configurations.2d: patch_size [64, 65] must be divisible by"),
        ("configurations/2d/spacing", [1.0, math.nan], "configurations.2d.spacing.1: Input should be a finite number"),
        ("configurations/2d/spacing", [1.0, -1.0], "configurations.2d.spacing.1: Input should be greater than 0"),
        ("configurations/2d/spacing", [1.0, 10**400], "configurations.2d.spacing.1: Input should be a"),
        ("configurations/2d/median_image_size_in_voxels", [math.inf, 1], "in_voxels.0: Input should be a finite number"),
        ("configurations/2d/use_mask_for_norm", [False, True], "use_mask_for_norm has 2 entries, but dataset.json has 1"),
        ("configurations/2d/normalization_schemes", [], "normalization_schemes has 0 entries, but dataset.json has 1"),
        ("configurations/2d/normalization_schemes", "CTNormalization", "normalization_schemes: Input should be a valid list"),
        ("configurations/2d/batch_dice", "yes", "configurations.2d.batch_dice: Input should be a valid boolean"),
        ("configurations/2d/architecture", MISSING, "configurations.2d.architecture is missing"),
        ("configurations/2d/architecture", [], "configurations.2d.architecture: Input should be a valid dictionary"),
        (f"{NETWORK}/arch_kwargs/strides", [[1, 1]], "arch_kwargs: strides has 1 entries, n_stages"),
        (f"{NETWORK}/arch_kwargs/strides/0", [2, 2], "arch_kwargs: strides begins with [2, 2]"),
        (f"{NETWORK}/arch_kwargs/strides/1", [2, 2, 2], "arch_kwargs: strides holds [2, 2, 2]"),
        (f"{NETWORK}/arch_kwargs/kernel_sizes/1", [2, 3], "arch_kwargs.kernel_sizes.1.0: Input should be 1, 3, 5 or 7"),
        (f"{NETWORK}/arch_kwargs/n_stages", 99, "arch_kwargs: features_per_stage has"),
        (f"{NETWORK}/arch_kwargs/n_conv_per_stage_decoder", [2], "n_conv_per_stage_decoder has 1 entries"),
        (f"{NETWORK}/arch_kwargs/n_conv_per_stage", MISSING, "PlainConvUNet needs arch_kwargs.n_conv_per_stage"),
        ("configurations/2d/resampling_fn_data_kwargs/order", 5, "resampling_fn_data_kwargs is not valid. order: Input"),
        ("configurations/2d/resampling_fn_data_kwargs/is_seg", True, "resampling_fn_data_kwargs.is_seg is true"),
        ("configurations/2d/resampling_fn_seg_kwargs/is_seg", MISSING, "resampling_fn_seg_kwargs.is_seg is false"),
        ("configurations/2d/resampling_fn_seg_kwargs/order_z", 1, "order_z: Input should be 0 (found 1)"),
        ("configurations/2d/resampling_fn_data_kwargs/force_separate_z", False, "force_separate_z: Input should be None"),
        ("configurations/2d/resampling_fn_data_kwargs/force_separate_z", MISSING, "force_separate_z is missing"),
        ("configurations", MISSING, "configurations is missing"),
        ("configurations", [], "configurations: Input should be a valid dictionary (found [])"),
        ("configurations/2d", None, "configurations.2d: Input should be a valid dictionary"),
        ("configurations/3d_cascade_fullres/inherits_from", "3d_fulres", "inherits_from names 3d_fulres, which is not there"),
        (
            "configurations/3d_cascade_fullres/inherits_from",
            ["2d"],
            "3d_cascade_fullres.inherits_from: Input should be a valid",
        ),
        ("configurations/2d/inherits_from", "2d", "configurations.2d.inherits_from goes in a circle, 2d -> 2d"),
        ("configurations/3d_fullres/inherits_from", "3d_cascade_fullres", "goes in a circle, 3d_fullres -> 3d_cascade_fullres"),
        ("configurations/3d_lowres/previous_stage", "3d_cascade_fullres", "3d_lowres.previous_stage goes in a circle"),
        ("configurations/3d_cascade_fullres/previous_stage", "3d_lores", "there is no configuration 3d_lores"),
        ("transpose_forward", [0, 1, 1], "transpose_forward [0, 1, 1] must hold 0, 1 and 2 once each"),
        ("transpose_backward", [1, 0, 2], "transpose_backward [1, 0, 2] must undo it"),
        ("transpose_backward", "012", "transpose_backward: Input should be a valid list"),
        ("original_median_spacing_after_transp", [1, 1], "original_median_spacing_after_transp: List should have at least 3"),
        ("foreground_intensity_properties_per_channel/0/mean", MISSING, "properties_per_channel.0.mean is missing"),
        ("foreground_intensity_properties_per_channel/0/mean", "1", "per_channel.0.mean: Input should be a valid number"),
        ("foreground_intensity_properties_per_channel/0/mean", math.nan, "per_channel.0.mean is nan, but CTNormalization"),
        ("foreground_intensity_properties_per_channel/0", MISSING, "has the channels none, but dataset.json has 0"),
    ],
)
def test_damage_is_refused_with_the_field_and_its_value(path: str, value: object, message: str) -> None:
    content = cascade_content()
    put(content, path, value)
    assert message in refusal(content)


@pytest.mark.parametrize("content", [None, [], 3, "plans", math.nan])
def test_content_that_is_no_object_is_refused(content: object) -> None:
    assert "must hold a JSON object with nnU-Net's plans" in refusal(content)


def test_plans_of_other_channels_are_refused() -> None:
    message = refusal(cascade_content(), description_of(channel_names={"0": "CT", "1": "PET"}))
    assert "Give the dataset.json that the plans were made for" in message


def _paths(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: Any = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [path, *(found for key, value in items for found in _paths(value, (*path, key)))]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([10**400, -(10**400)]) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_the_file_ends_in_plans_or_a_message(data: st.DataObject) -> None:
    content = data.draw(st.sampled_from([cascade_content(), copy.deepcopy(OLD)]))
    *parents, last = data.draw(st.sampled_from(_paths(content)[1:]))
    place: Any = content
    for key in parents:
        place = place[key]
    if data.draw(st.booleans()):
        place[last] = data.draw(JSON_VALUES)
    else:
        del place[last]
    try:
        plans = plans_from_nnunet(content, description_of(), "their/plans.json")
    except SegForgeError as error:
        assert str(error).startswith("their/plans.json")
    else:
        assert isinstance(plans, Plans)


def test_importing_the_translation_imports_no_torch() -> None:
    code = "import sys, segforge.sharing.nnunet_plans; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split() == ["False"]
