"""What the planner makes of its settings, and where subclasses come in."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

from segforge.planning.architecture import Axes
from segforge.planning.planner import Planned, Planner
from segforge.planning.plans import Plans
from segforge.planning.presets import PRESETS, Preset
from segforge.planning.settings import PlannerSettings

REGIONS = {"background": 0, "whole": [1, 2, 3], "core": [2, 3]}


def data_folders(planned: Planned) -> list[str]:
    return [configuration.data for configuration in planned.plans.configurations.values()]


def test_2d_images_have_no_3d_configuration(plan: Callable[..., Planned]) -> None:
    planned = plan((999, 1, 1), (1, 300, 200))
    assert list(planned.plans.configurations) == ["2d"]
    assert planned.plans.configuration("2d").patch_size == (320, 224)
    assert "the median case has a single slice" in planned.explanation


def test_coarse_axis_is_brought_to_the_front(plan: Callable[..., Planned]) -> None:
    plans = plan((0.5, 0.6, 4.0), (200, 250, 30)).plans
    assert plans.transpose_forward == (2, 0, 1)
    assert plans.original_median_shape == (30, 200, 250)
    assert plans.configuration("3d_fullres").spacing == (4.0, 0.5, 0.6)
    assert plans.configuration("2d").spacing == (0.5, 0.6)


def test_axes_stay_as_stored_on_demand(plan: Callable[..., Planned]) -> None:
    planned = plan((0.5, 0.6, 4.0), (200, 250, 30), PlannerSettings(transpose=False))
    assert planned.plans.transpose_forward == (0, 1, 2)
    assert planned.plans.configuration("3d_fullres").median_shape == (200, 250, 30)
    assert "stay in their stored order, z y x, as asked for" in planned.explanation


def test_cascade_takes_one_input_channel_for_each_label_not_region(plan: Callable[..., Planned]) -> None:
    plans = plan((1, 1, 1), (400, 400, 400), channels=("T1", "T2"), labels=REGIONS, regions_class_order=(1, 2)).plans
    full, cascade = plans.configuration("3d_fullres").architecture, plans.configuration("3d_cascade_fullres").architecture
    assert full.input_channels == 2
    assert cascade.input_channels == 2 + 3
    assert full.output_channels == 2
    assert cascade.strides == full.strides


def test_ignore_label_has_no_head_but_counts_for_memory(plan: Callable[..., Planned]) -> None:
    plain = plan((1, 1, 1), (40, 40, 40), labels=1, cases=10**6)
    ignoring = plan((1, 1, 1), (40, 40, 40), labels={"background": 0, "a": 1, "ignore": 2}, cases=10**6)
    assert ignoring.plans.configuration("2d").architecture.output_channels == 2
    assert ignoring.plans.configuration("2d").batch_size < plain.plans.configuration("2d").batch_size


@pytest.mark.parametrize(
    ("channel", "kept", "name", "use_mask"),
    [
        ("CT", 0.5, "ct", False),
        ("noNorm", 0.5, "none", False),
        ("zScore", 0.75, "zscore", False),
        ("T1", 0.74, "zscore", True),
        ("rescale_to_0_1", 0.5, "rescale_to_0_1", False),
        ("RGB_to_0_1", 0.5, "rgb_to_0_1", False),
    ],
)
def test_channel_name_chooses_the_normalization(
    plan: Callable[..., Planned], channel: str, kept: float, name: str, use_mask: bool
) -> None:
    (spec,) = plan((1, 1, 1), (40, 40, 40), channels=(channel,), kept=kept).plans.configuration("2d").normalization
    assert (spec.name, spec.use_mask) == (name, use_mask)


def test_without_resampling_cases_stay_as_they_are(plan: Callable[..., Planned]) -> None:
    planned = plan((5.0, 1, 1), (40, 600, 600), PlannerSettings(resampling="none"))
    assert list(planned.plans.configurations) == ["2d", "3d_fullres"]
    full = planned.plans.configuration("3d_fullres")
    assert not full.resampling.enabled
    assert full.median_shape == (40, 600, 600)
    assert full.spacing == (5.0, 1, 1)
    assert "Nothing is resampled, as asked for" in planned.explanation


def test_without_resampling_no_axis_gets_a_finer_spacing() -> None:
    spacings, shapes = np.array([[z, 1.0, 1.0] for z in (4.0, 5.0, 6.0)]), np.array([[40.0, 600.0, 600.0]] * 3)
    assert Planner().target_spacing(spacings, shapes).anisotropic
    unresampled = Planner(PlannerSettings(resampling="none")).target_spacing(spacings, shapes)
    assert (unresampled.spacing, unresampled.anisotropic) == ((5.0, 1.0, 1.0), False)


class TestDataFolders:
    volume: ClassVar = ((1, 1, 1), (400, 400, 400))

    def test_configurations_at_full_resolution_share_the_default_planners_data(self, plan: Callable[..., Planned]) -> None:
        planned = plan(*self.volume, PlannerSettings(planner="resenc-m"))
        assert data_folders(planned) == ["default_2d", "default_3d_fullres", "resenc-m_3d_lowres", "default_3d_fullres"]

    def test_another_spacing_has_its_own_data(self, plan: Callable[..., Planned]) -> None:
        planned = plan(*self.volume, PlannerSettings(name="fine", spacing=(0.9, 1, 1)))
        assert data_folders(planned)[:2] == ["fine_2d", "fine_3d_fullres"]

    def test_own_data_never_take_the_name_that_others_share(self, plan: Callable[..., Planned]) -> None:
        planned = plan(*self.volume, PlannerSettings(resampling="none"))
        assert data_folders(planned) == ["default_custom_2d", "default_custom_3d_fullres"]

    def test_the_spacing_of_the_rule_shares_though_it_was_given(self, plan: Callable[..., Planned]) -> None:
        assert data_folders(plan(*self.volume, PlannerSettings(spacing=(1, 1, 1))))[0] == "default_2d"


class OwnPlanner(Planner):
    def choose_preset(self) -> Preset:
        return replace(PRESETS["resenc-m"], name="own", network="own_network")

    def divisible_by(self, dimensions: int) -> Axes:
        return (14,) * dimensions


def test_a_subclass_may_bring_its_own_network_and_what_it_divides_by(plan: Callable[..., Planned]) -> None:
    plans = plan((1, 1, 1), (90, 90, 90), planner=OwnPlanner).plans
    assert (plans.name, plans.planner) == ("own", "own")
    full = plans.configuration("3d_fullres")
    assert full.architecture.network == "own_network"
    assert [size % 14 for size in full.patch_size] == [0, 0, 0]


def test_plans_survive_their_file(plan: Callable[..., Planned]) -> None:
    plans = plan((1, 1, 1), (400, 400, 400)).plans
    assert Plans.model_validate_json(plans.to_json()) == plans


def test_planning_imports_neither_torch_nor_scipy() -> None:
    code = "import sys, segforge.planning.planner; print([name for name in ('torch', 'scipy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
