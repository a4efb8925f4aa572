"""Pictures of predictions: image, reference, prediction and where they differ; the worst and the best cases; all scores."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segforge.compute.executors import ExecutorFactory, Resources, Task, run_all
from segforge.compute.files import make_folder
from segforge.dataset.labels import LabelScheme
from segforge.dataset.scenes import Look, scene_of, toward_of
from segforge.errors import CasesFailed, SegForgeError
from segforge.evaluation.evaluate import read_pair
from segforge.evaluation.overlap import Array
from segforge.evaluation.summary import CaseMetrics, Summary, mean_of
from segforge.figures.errors import ERRORS, error_map
from segforge.figures.overlay import Panel, Scene, draw_case
from segforge.figures.planes import Plane, planes_to_show
from segforge.figures.strips import Strip, draw_strips
from segforge.images.files import read_channels, read_labels
from segforge.images.image import Geometry, geometry_difference

FIGURES = "figures"
SCORES = "scores.png"

_MOST_STRUCTURES = 60


@dataclass(frozen=True)
class PredictedCase:
    """What there is of a case to look at.

    Attributes:
        title: Above the picture.
        prediction: The predicted label map.
        reference: The true one, if it is known.
        images: The images, one file for each channel or all in one; empty if they are not known.
    """

    title: str
    prediction: Path
    reference: Path | None = None
    images: tuple[Path, ...] = ()


def draw_prediction(path: Path, case: PredictedCase, labels: LabelScheme, look: Look, names: Sequence[str] = ()) -> None:
    """Draw image, reference, prediction and errors, as far as they are known, in the slices that matter.

    Args:
        path: The PNG file.
        case: The case.
        labels: What the values mean.
        look: What the user chose.
        names: Names of the channels, if they are known.

    Raises:
        SegForgeError: If a file is unreadable, holds unknown labels, or they are not on one grid.
    """
    reference, prediction, geometry = _read(case, labels)
    errors = None if reference is None else error_map(reference, prediction, labels.ignore_class)
    scene = _scene(case, geometry, prediction if reference is None else reference, labels, look, names)
    panels = [
        *([] if scene.image is None else [Panel(scene.name)]),
        *([] if reference is None else [Panel("reference", reference)]),
        Panel("prediction", prediction),
        *([] if errors is None else [Panel("errors", errors=errors)]),
    ]
    structures = look.structures(labels)
    planes = _planes(errors, prediction if reference is None else reference, structures.groups, scene.spacing)
    draw_case(path, scene, panels, planes, structures, title=case.title)


def draw_extremes(
    summary: Summary,
    labels: LabelScheme,
    folder: Path,
    images: Mapping[str, tuple[Path, ...]],
    count: int,
    factory: ExecutorFactory,
    resources: Resources,
    *,
    names: Sequence[str] = (),
) -> None:
    """Draw the cases with the lowest and with the highest mean Dice, and the scores of all; older ones of these go.

    Args:
        summary: The scores, and where the label maps lie.
        labels: What the values mean.
        folder: Where the pictures go.
        images: The images of each case, as far as they are known.
        count: How many of the worst, and of the best.
        factory: Opens an executor.
        resources: What to ask of it.
        names: Names of the channels, if they are known.

    Raises:
        CasesFailed: If cases could not be drawn; names each. The others are drawn.
    """
    make_folder(folder)
    for old in (path for kind in ("worst", "best") for path in folder.glob(f"{kind}_[0-9]*_*.png")):
        old.unlink()
    draw_scores(summary, folder / SCORES)
    tasks = []
    for name, title, case in _extremes(summary, count):
        shown = PredictedCase(title, Path(case.prediction_file), Path(case.reference_file), images.get(case.case, ()))
        tasks.append(Task(case.case, draw_prediction, (folder / f"{name}.png", shown, labels, Look(), names)))
    outcome = run_all(factory, tasks, resources=resources, description="pictures")
    if outcome.failures:
        raise CasesFailed(f"{len(outcome.failures)} of {len(tasks)} cases could not be drawn:\n{outcome.reasons}")


def draw_scores(summary: Summary, path: Path) -> None:
    """Draw the distribution of Dice over the cases, a row for each structure, its worst case named."""
    strips = []
    for key, name in list(summary.labels.items())[:_MOST_STRUCTURES]:
        scores = {case.case: case.metrics[key].Dice for case in summary.metric_per_case}
        known = {case: score for case, score in scores.items() if not math.isnan(score)}
        worst = min(known, key=lambda case: known[case], default="")
        interval = summary.interval.get(key, {}).get("Dice")
        strips.append(Strip(name, list(known.values()), summary.mean[key]["Dice"], interval, worst))
    left_out = len(summary.labels) - len(strips)
    title = f"Dice of {len(summary.metric_per_case)} cases" + (f" ({left_out} more structures)" if left_out else "")
    label = "Dice: a point for each case, median and quartiles, the mean with its 95 % interval; the worst case is named"
    draw_strips(path, strips, title=title, label=label, boxes=True)


def _extremes(summary: Summary, count: int) -> list[tuple[str, str, CaseMetrics]]:
    """File name, title and case, of the worst from the worst on and of the best from the best on, none of them twice."""
    ordered = sorted((case for case in summary.metric_per_case if not math.isnan(_dice(case))), key=_dice)
    worst, rest = ordered[:count], ordered[count:]
    found = []
    for kind, cases in (("worst", worst), ("best", rest[: -count - 1 : -1])):
        for place, case in enumerate(cases, start=1):
            found.append((f"{kind}_{place}_{case.case}", f"{kind} {place}: {_described(case, summary)}", case))
    return found


def _described(case: CaseMetrics, summary: Summary) -> str:
    dice = {key: overlap.Dice for key, overlap in case.metrics.items() if not math.isnan(overlap.Dice)}
    if len(dice) == 1:
        return f"{case.case}, Dice {_dice(case):.3f}"
    lowest = min(dice, key=lambda key: dice[key])
    return f"{case.case}, mean Dice {_dice(case):.3f}, lowest {summary.labels[lowest]} {dice[lowest]:.3f}"


def _dice(case: CaseMetrics) -> float:
    return mean_of([overlap.Dice for overlap in case.metrics.values()])


def _read(case: PredictedCase, labels: LabelScheme) -> tuple[Array | None, Array, Geometry]:
    """Class maps of reference and prediction `(Z, Y, X)`, and their grid."""
    if case.reference is not None:
        pair = read_pair(case.reference, case.prediction, labels)
        return pair.reference, pair.prediction, pair.geometry
    image = read_labels(case.prediction)
    try:
        return None, labels.to_classes(image.array[0]), image.geometry
    except SegForgeError as error:
        raise SegForgeError(f"{case.prediction} {error}. Correct the file, or name the label in dataset.json.") from error


def _scene(
    case: PredictedCase, geometry: Geometry, classes: Array, labels: LabelScheme, look: Look, names: Sequence[str]
) -> Scene:
    toward = toward_of(case.images[0] if case.images else case.prediction, geometry)
    if not case.images:
        return Scene(None, (0.0, 1.0), geometry.spacing, toward)
    image = read_channels(case.images)
    difference = geometry_difference(image.geometry, geometry)
    if difference and difference.startswith("shape"):
        raise SegForgeError(f"{case.images[0]} and {case.prediction} differ in {difference}. Name the images of it with -i.")
    foreground = (classes > 0) & (classes != labels.ignore_class)
    return scene_of(image.array, image.geometry, look, foreground=foreground, names=names, toward=toward)


def _planes(errors: Array | None, classes: Array, groups: Sequence[Sequence[int]], spacing: Sequence[float]) -> list[Plane]:
    """The slices where most is wrong; where nothing is, those that show most of the structures."""
    if errors is not None and np.any(errors):
        return planes_to_show(errors, [range(1, len(ERRORS) + 1)], spacing)
    return planes_to_show(classes, groups, spacing)
