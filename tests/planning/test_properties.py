"""For any fingerprint there is a plan, and it is valid."""

import math
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from segforge.dataset.description import DatasetDescription
from segforge.planning.drafts import CASCADE
from segforge.planning.fingerprint import Fingerprint
from segforge.planning.memory import estimate
from segforge.planning.planner import Planned, Planner
from segforge.planning.plans import Configuration
from segforge.planning.settings import PlannerSettings

# METHOD section 3: GB, estimate that fills them in 3D and in 2D.
REFERENCES = {
    "default": (8, 5.6e8, 8.5e7),
    "resenc-m": (8, 6.8e8, 1.35e8),
    "resenc-l": (24, 2.1e9, 3.8e8),
    "resenc-xl": (40, 3.6e9, 5.6e8),
}

axis_spacing = st.floats(math.log(0.05), math.log(20)).map(math.exp)
axis_size = st.integers(2, 4000) | st.integers(2, 40)
case = st.tuples(st.tuples(*[axis_spacing] * 3), st.tuples(*[axis_size] * 3))


def too_large(configuration: Configuration, planner: str, gpu_memory: float, label_entries: int) -> bool:
    """METHOD's shrink condition."""
    reference_memory, in_3d, in_2d = REFERENCES[planner]
    volumes = configuration.dimensions == 3
    limit = (in_3d if volumes else in_2d) * gpu_memory / reference_memory
    if planner == "default" and not volumes:
        limit *= 6
    return estimate(configuration.architecture, configuration.patch_size, label_entries) > limit * (1 + 1e-12)


def assert_valid(name: str, configuration: Configuration) -> None:
    network = configuration.architecture
    for size, divisor in zip(configuration.patch_size, network.divisor, strict=True):
        assert size % divisor == 0
        assert divisor == 1 or size // divisor >= 4, "no axis is pooled below four voxels"
    assert configuration.batch_size >= 2
    assert set(network.strides[0]) == {1}
    assert set(network.kernel_sizes[-1]) == {3}
    assert min(configuration.median_shape) >= 1
    assert (configuration.previous_stage is not None) == (name == CASCADE)


@settings(deadline=None, max_examples=80)
@given(
    cases=st.lists(case, min_size=1, max_size=4),
    channels=st.integers(1, 8),
    labels=st.integers(1, 150),
    planner=st.sampled_from(sorted(REFERENCES)),
    gpu_memory=st.sampled_from([None, None, 0.001, 0.1, 80]),
)
def test_every_fingerprint_has_a_valid_plan(
    fingerprint_of: Callable[..., Fingerprint],
    description_of: Callable[..., DatasetDescription],
    cases: list[tuple[Any, Any]],
    channels: int,
    labels: int,
    planner: str,
    gpu_memory: float | None,
) -> None:
    fingerprint = fingerprint_of([spacing for spacing, _ in cases], [shape for _, shape in cases], channels=channels)
    description = description_of(channels=["MRI"] * channels, labels=labels, cases=len(cases))
    planned = Planner(PlannerSettings(planner=planner, gpu_memory=gpu_memory)).plan(fingerprint, description, "Dataset001_Any")
    for name, configuration in planned.plans.configurations.items():
        assert_valid(name, configuration)
        if too_large(configuration, planner, planned.plans.gpu_memory, labels + 1):
            assert says_that_nothing_can_shrink(planned, "3d_fullres" if name == CASCADE else name)


def says_that_nothing_can_shrink(planned: Planned, name: str) -> bool:
    section = planned.explanation.split(f"## Configuration {name}\n")[1].split("\n## ")[0]
    return "no axis is left that can shrink" in section
