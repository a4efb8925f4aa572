"""`summary.json`: the metrics of every case and their means, with nnU-Net's keys."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from segforge.compute.documents import Document
from segforge.dataset.labels import LabelScheme
from segforge.evaluation.intervals import percentile_interval, resampled_means
from segforge.evaluation.overlap import Overlap
from segforge.evaluation.score import Score
from segforge.images.files import ending_of

SUMMARY = "summary.json"

_COUNTS = ("TP", "FP", "FN", "TN", "n_pred", "n_ref")
"""Their mean is kept for nnU-Net's readers; how it is spread says nothing."""

Interval = tuple[Score, Score]


class CaseMetrics(Document):
    """The metrics of one case, by key of the structure."""

    prediction_file: str
    reference_file: str
    metrics: dict[str, Overlap]

    @property
    def case(self) -> str:
        """Name of the case."""
        return case_of(Path(self.reference_file))


class Summary(Document):
    """The metrics of a folder of predictions.

    Attributes:
        version: Version of this schema.
        labels: Name of each structure, by its key.
        metric_per_case: One entry per case.
        mean: By key of the structure, each metric's mean over the cases that have it.
        foreground_mean: Plain mean of those over the structures.
        median: As `mean`, without counts of voxels.
        interval: Bootstrap 95 % interval of each mean, likewise.
        foreground_interval: The same of each foreground mean.
        made_from: Hashes of what the predictions were made from, by file name; empty if that is not known.
    """

    version: Literal[1] = 1
    labels: dict[str, str]
    metric_per_case: tuple[CaseMetrics, ...]
    mean: dict[str, dict[str, Score]]
    foreground_mean: dict[str, Score]
    median: dict[str, dict[str, Score]] = Field(default_factory=dict)
    interval: dict[str, dict[str, Interval]] = Field(default_factory=dict)
    foreground_interval: dict[str, Interval] = Field(default_factory=dict)
    made_from: dict[str, str] = Field(default_factory=dict)

    @property
    def dice(self) -> float:
        """Mean foreground Dice."""
        return self.foreground_mean["Dice"]


def summarize(cases: Sequence[CaseMetrics], labels: LabelScheme, made_from: Mapping[str, str] | None = None) -> Summary:
    """Means over cases, and over structures (METHOD, section 7), of the metrics that all cases have."""
    keys = [target.key for target in labels.targets]
    scored = [{key: case.metrics[key].scores for key in keys} for case in cases]
    first = scored[0][keys[0]] if scored else Overlap.model_fields
    names = [name for name in first if all(name in case[key] for case in scored for key in keys)]
    scores = {key: {name: [case[key][name] for case in scored] for name in names} for key in keys}
    mean = {key: {name: mean_of(values) for name, values in scores[key].items()} for key in keys}
    spread = [name for name in names if name not in _COUNTS]
    interval, foreground_interval = _intervals(scores, spread) if cases else ({}, {})
    return Summary(
        labels={target.key: target.name for target in labels.targets},
        metric_per_case=tuple(cases),
        mean=mean,
        foreground_mean={name: float(np.mean([values[name] for values in mean.values()])) for name in names},
        median={key: {name: _median_of(scores[key][name]) for name in values} for key, values in interval.items()},
        interval=interval,
        foreground_interval=foreground_interval,
        made_from=dict(made_from or {}),
    )


def case_of(path: Path) -> str:
    """Name of the case that a label map is of: the file's, without its ending."""
    return path.name[: len(path.name) - len(ending_of(path) or "")]


def mean_of(values: Sequence[float]) -> float:
    """Mean of the values that are not NaN; NaN if there is none."""
    known = _known(values)
    return float(np.mean(known)) if known else math.nan


def _median_of(values: Sequence[float]) -> float:
    known = _known(values)
    return float(np.median(known)) if known else math.nan


def _known(values: Sequence[float]) -> list[float]:
    return [value for value in values if not math.isnan(value)]


def _intervals(
    scores: Mapping[str, Mapping[str, Sequence[float]]], names: Sequence[str]
) -> tuple[dict[str, dict[str, Interval]], dict[str, Interval]]:
    """The interval of each mean by structure and metric, and of each foreground mean by metric."""
    table = np.array([[scores[key][name] for name in names] for key in scores], float)
    means = resampled_means(np.moveaxis(table, -1, 0))
    low, high = (limit.tolist() for limit in percentile_interval(means))
    foreground_low, foreground_high = (limit.tolist() for limit in percentile_interval(means.mean(1)))
    return (
        {key: dict(zip(names, zip(low[row], high[row], strict=True), strict=True)) for row, key in enumerate(scores)},
        dict(zip(names, zip(foreground_low, foreground_high, strict=True), strict=True)),
    )
