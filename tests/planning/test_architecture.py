"""Descriptions of networks: by stages for SegForge's own, by arguments for MONAI's."""

import json
from typing import Any

import pytest
from monai_samples import spec_of
from samples import plans_for

from segforge.errors import SegForgeError
from segforge.planning.architecture import STAGES, ArchitectureSpec
from segforge.planning.plans import Plans


def plans_with(**configurations: Any) -> Plans:
    content = plans_for((1.0, 1.0)).model_dump(mode="json")
    content["configurations"] |= configurations
    return Plans.parse(content, "test")


def test_json_has_what_a_network_is_described_by_alone() -> None:
    theirs = spec_of("SegResNet", 2, {"init_filters": 8})
    ours = plans_for((1.0, 1.0)).configurations["2d"].architecture
    assert set(json.loads(theirs.to_json())) == {
        "network", "dimensions", "input_channels", "output_channels", "arguments", "deep_supervision",
    }  # fmt: skip
    assert "arguments" not in json.loads(ours.to_json())
    for spec in (theirs, ours):
        assert ArchitectureSpec.parse(json.loads(spec.to_json()), "test") == spec


def test_networks_with_other_arguments_are_others() -> None:
    one, other = spec_of("SegResNet", 2, {"init_filters": 8}), spec_of("SegResNet", 2, {"init_filters": 16})
    assert one != other
    assert len({one, other, one.model_copy()}) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": [4]}, "features describe no network of MONAI's; give monai:SegResNet arguments instead"),
        ({"network": "plain_unet"}, r"arguments are for networks of MONAI's \(monai:NAME\); plain_unet has none"),
        ({"network": "plain_unet", "arguments": {}}, "plain_unet needs features, strides, kernel_sizes"),
        ({"arguments": {"init_filters": 10**9}}, "arguments has the number 1000000000, beyond the 10000 of any network"),
        ({"arguments": {"norm": ["GROUP", {"num_groups": -(10**5)}]}}, "arguments has the number -100000"),
        ({"arguments": {"dropout_prob": float("nan")}}, "arguments has the number inf"),
        ({"arguments": ["init_filters"]}, "arguments: Input should be a valid dictionary"),
        ({"class": "subprocess.Popen"}, "class is not known here"),
    ],
)
def test_what_describes_no_network_is_refused(changes: dict[str, Any], message: str) -> None:
    content = {"network": "monai:SegResNet", "dimensions": 3, "input_channels": 1, "output_channels": 2}
    with pytest.raises(SegForgeError, match=message):
        ArchitectureSpec.parse(content | {"arguments": {"init_filters": 8}} | changes, "test")


def test_a_network_of_monais_inherits_channels_but_no_stages() -> None:
    network = {"network": "monai:SegResNet", "arguments": {"init_filters": 8}}
    plans = plans_with(small={"inherits_from": "2d", "architecture": network})
    spec, parent = plans.configurations["small"].architecture, plans.configurations["2d"].architecture
    assert (spec.dimensions, spec.input_channels, spec.output_channels) == (2, 1, parent.output_channels)
    assert not any(getattr(spec, name) for name in STAGES)


def test_arguments_are_inherited_by_the_same_network_alone() -> None:
    network = {"network": "monai:SegResNet", "arguments": {"init_filters": 8}}
    plans = plans_with(
        small={"inherits_from": "2d", "architecture": network},
        same={"inherits_from": "small", "batch_size": 4, "architecture": {"deep_supervision": False}},
        other={"inherits_from": "small", "architecture": {"network": "monai:SwinUNETR"}},
    )
    assert plans.configurations["same"].architecture.arguments == {"init_filters": 8}
    assert plans.configurations["other"].architecture.arguments == {}
