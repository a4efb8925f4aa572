"""A summary of scores as text for the terminal: each structure, then what else was measured, then the worst cases."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from segforge.cli.table import aligned
from segforge.compute.wording import counted

if TYPE_CHECKING:
    from segforge.evaluation.summary import CaseMetrics, Summary

_WORST = 5
_COLUMNS = 6


WHERE_NOTHING_IS_FOUND = (
    "Most often the training is too short (segforge train ... --extend EPOCHS goes on), or the label maps do not lie on their "
    "images (segforge plot -d DATASET). More: docs/how-to/low-scores.md"
)
_NOTHING = 0.01  # mean Dice


def finds_nothing(dice: float) -> bool:
    """Whether a mean Dice says that next to nothing is found; that of no structure at all (nan) says nothing."""
    return dice < _NOTHING


def table(summary: "Summary") -> str:
    """Mean Dice with its 95 % interval and median of each structure, means of other metrics, and the worst cases first."""
    further = _further_metrics(summary)
    blocks = [_structures(summary), *([_means(summary, further)] if further else []), _worst_cases(summary)]
    end = f"Mean foreground Dice {summary.dice:.4f} over {counted(len(summary.metric_per_case), 'case')}."
    return "\n\n".join([*(aligned(rows) for rows in blocks), end])


def _structures(summary: "Summary") -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [("", "mean Dice", "95 % interval", "median", "cases")]
    for key, name in summary.labels.items():
        scores = [case.metrics[key].Dice for case in summary.metric_per_case]
        counted = sum(not math.isnan(score) for score in scores)
        interval, median = summary.interval.get(key, {}).get("Dice"), summary.median.get(key, {}).get("Dice", math.nan)
        rows.append((name, _number(summary.mean[key]["Dice"]), _limits(interval), _number(median), str(counted)))
    if len(summary.labels) > 1:
        interval = summary.foreground_interval.get("Dice")
        rows.append(("mean of all", _number(summary.dice), _limits(interval), "", str(len(summary.metric_per_case))))
    return rows


def _means(summary: "Summary", metrics: Sequence[str]) -> list[Sequence[str]]:
    """Means of further metrics, by structure if they are few."""
    shown = list(summary.labels) if len(summary.labels) <= _COLUMNS else []
    is_averaged = len(summary.labels) > 1
    rows: list[Sequence[str]] = [("mean", *(summary.labels[key] for key in shown), *(["of all"] if is_averaged else []))]
    for metric in metrics:
        cells = [_mean(summary.mean[key][metric], summary.median.get(key, {}).get(metric, math.nan)) for key in shown]
        rows.append((metric, *cells, *([_number(summary.foreground_mean[metric])] if is_averaged else [])))
    return rows


def _worst_cases(summary: "Summary") -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [("worst cases", "Dice", "of", "mean of the case")]
    for case in sorted(summary.metric_per_case, key=_worst)[:_WORST]:
        dice = {key: overlap.Dice for key, overlap in case.metrics.items() if not math.isnan(overlap.Dice)}
        worst = min(dice, key=lambda key: dice[key], default="")
        mean = sum(dice.values()) / len(dice) if dice else math.nan
        rows.append((case.case, _number(_worst(case)), summary.labels.get(worst, ""), _number(mean)))
    return rows


def _worst(case: "CaseMetrics") -> float:
    return min((overlap.Dice for overlap in case.metrics.values() if not math.isnan(overlap.Dice)), default=math.inf)


def _further_metrics(summary: "Summary") -> list[str]:
    """The metrics that were asked for besides those that are always there."""
    from segforge.evaluation.overlap import Overlap
    from segforge.evaluation.rates import rates

    always = Overlap(Dice=0, IoU=0, TP=0, FP=0, FN=0, TN=0, n_pred=0, n_ref=0)
    return [name for name in summary.foreground_mean if name not in always.scores | rates(always, 1.0)]


def _limits(interval: tuple[float, float] | None) -> str:
    return "-" if interval is None or math.isnan(interval[0]) else f"{interval[0]:.4f} - {interval[1]:.4f}"


def _mean(mean: float, median: float) -> str:
    """A mean; where a single case makes it infinite the median beside it."""
    return f"{_number(mean)}, median {_number(median)}" if math.isinf(mean) else _number(mean)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else format(value, ".4f")
