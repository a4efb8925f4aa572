"""Fingerprints and plans of made-up data sets."""

from collections.abc import Callable, Sequence

import pytest

from segforge.dataset.description import DatasetDescription
from segforge.planning.fingerprint import Fingerprint, IntensityProperties
from segforge.planning.planner import Planned, Planner
from segforge.planning.settings import PlannerSettings

INTENSITIES = IntensityProperties(max=9, mean=1, median=1, min=0, percentile_00_5=0, percentile_99_5=8, std=2)


@pytest.fixture(scope="session")
def fingerprint_of() -> Callable[..., Fingerprint]:
    def make(
        spacings: Sequence[Sequence[float]], shapes: Sequence[Sequence[int]], *, channels: int = 1, kept: float = 1.0
    ) -> Fingerprint:
        return Fingerprint.parse(
            {
                "spacings": spacings,
                "shapes_after_crop": shapes,
                "foreground_intensity_properties_per_channel": {str(channel): INTENSITIES for channel in range(channels)},
                "median_relative_size_after_cropping": kept,
            },
            "test",
        )

    return make


@pytest.fixture(scope="session")
def description_of() -> Callable[..., DatasetDescription]:
    def make(
        *, channels: Sequence[str] = ("MRI",), labels: int | dict[str, object] = 1, cases: int = 20, **more: object
    ) -> DatasetDescription:
        if isinstance(labels, int):
            labels = {"background": 0, **{f"label{value}": value for value in range(1, labels + 1)}}
        content = {"labels": labels, "numTraining": cases, "file_ending": ".nii.gz", **more}
        return DatasetDescription.parse({"channel_names": {str(n): name for n, name in enumerate(channels)}, **content}, "test")

    return make


@pytest.fixture(scope="session")
def plan(
    fingerprint_of: Callable[..., Fingerprint], description_of: Callable[..., DatasetDescription]
) -> Callable[..., Planned]:
    """Plans of equal cases: `plan(spacing, shape, PlannerSettings(...), kept=..., **description)`."""

    def make(
        spacing: Sequence[float],
        shape: Sequence[int],
        settings: PlannerSettings | None = None,
        *,
        kept: float = 1.0,
        planner: type[Planner] = Planner,
        **description: object,
    ) -> Planned:
        described = description_of(**description)
        fingerprint = fingerprint_of([spacing], [shape], channels=len(described.channels), kept=kept)
        return planner(settings).plan(fingerprint, described, "Dataset001_Test")

    return make
