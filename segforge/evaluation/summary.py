"""`summary.json`: the metrics of every case and their means, with nnU-Net's keys; and the same as a table."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from segforge.compute.documents import Document, NanFloat
from segforge.dataset.labels import LabelScheme
from segforge.evaluation.overlap import Overlap

SUMMARY = "summary.json"
MEAN_KEYS = tuple(Overlap.model_fields)


class CaseMetrics(Document):
    """The metrics of one case, by key of the structure."""

    prediction_file: str
    reference_file: str
    metrics: dict[str, Overlap]


class Summary(Document):
    """The metrics of a folder of predictions.

    Attributes:
        version: Version of this schema.
        labels: Name of each structure, by its key.
        metric_per_case: One entry per case.
        mean: By key of the structure, each metric's mean over the cases that have it.
        foreground_mean: Plain mean of those over the structures.
        made_from: Hashes of what the predictions were made from, by file name; empty if that is not known.
    """

    version: Literal[1] = 1
    labels: dict[str, str]
    metric_per_case: tuple[CaseMetrics, ...]
    mean: dict[str, dict[str, NanFloat]]
    foreground_mean: dict[str, NanFloat]
    made_from: dict[str, str] = Field(default_factory=dict)

    @property
    def dice(self) -> float:
        """Mean foreground Dice."""
        return self.foreground_mean["Dice"]


def summarize(cases: Sequence[CaseMetrics], labels: LabelScheme, made_from: Mapping[str, str] | None = None) -> Summary:
    """Means over cases, and over structures (METHOD, section 7)."""
    mean = {
        target.key: {name: _mean_of([getattr(case.metrics[target.key], name) for case in cases]) for name in MEAN_KEYS}
        for target in labels.targets
    }
    foreground = {name: float(np.mean([values[name] for values in mean.values()])) for name in MEAN_KEYS}
    return Summary(
        labels={target.key: target.name for target in labels.targets},
        metric_per_case=tuple(cases),
        mean=mean,
        foreground_mean=foreground,
        made_from=dict(made_from or {}),
    )


def table(summary: Summary) -> str:
    """Dice and IoU of each case, the worst first, and their means, in aligned text."""
    keys, names = list(summary.labels), list(summary.labels.values())
    width = max(12, *(len(name) + 2 for name in names))
    cases = sorted(summary.metric_per_case, key=_worst_dice)
    first = max(len("mean"), *(len(_case_name(case)) for case in cases))
    lines = [" " * first + "".join(f"{name:>{width}}" for name in names), "Dice".ljust(first)]
    lines += [_row(_case_name(case), [case.metrics[key].Dice for key in keys], first, width) for case in cases]
    lines.append("-" * (first + width * len(names)))
    lines.append(_row("mean Dice", [summary.mean[key]["Dice"] for key in keys], first, width))
    lines.append(_row("mean IoU", [summary.mean[key]["IoU"] for key in keys], first, width))
    lines.append(f"Mean foreground Dice {summary.dice:.4f} over {len(cases)} cases.")
    return "\n".join(lines)


def _row(name: str, values: Sequence[float], first: int, width: int) -> str:
    return name.ljust(first) + "".join(f"{'-' if math.isnan(value) else format(value, '.4f'):>{width}}" for value in values)


def _case_name(case: CaseMetrics) -> str:
    return Path(case.reference_file).name.split(".")[0]


def _worst_dice(case: CaseMetrics) -> float:
    values = [overlap.Dice for overlap in case.metrics.values() if not math.isnan(overlap.Dice)]
    return min(values, default=math.inf)


def _mean_of(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
