"""`segforge evaluate` as functions: a folder of predictions against references, or the cross-validation of trained models."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segforge.api.labels import labels_to_score
from segforge.compute.executor_choice import HERE, ExecutorChoice
from segforge.compute.executors import ExecutorFactory, Resources
from segforge.compute.files import write_text
from segforge.dataset.cases import RawDataset, open_dataset
from segforge.dataset.description import FILE_NAME, read_description
from segforge.dataset.scenes import images_of_cases
from segforge.errors import SegForgeError
from segforge.evaluation.case_table import CASES, case_table
from segforge.evaluation.evaluate import evaluate_pairs, median_spacing, pair_folders
from segforge.evaluation.measure import Measures
from segforge.evaluation.pictures import FIGURES, draw_extremes
from segforge.evaluation.summary import SUMMARY, Summary, case_of
from segforge.experiment.cross_validation import Gathered, gather_folds, summarize_folds
from segforge.networks.model_folder import ModelFolder
from segforge.workspace import find_workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Wishes:
    """What a user asked to measure; a surface without a tolerance gets one from the data."""

    measures: Measures
    surface: bool
    executor: tuple[ExecutorFactory, Resources]

    def measures_for(self, pairs: Sequence[tuple[Path, Path]]) -> Measures:
        """What to measure of these references and predictions."""
        if not self.surface or self.measures.tolerances:
            return self.measures
        tolerance = _default_tolerance(pairs, *self.executor)
        return Measures((tolerance,), self.measures.lesions, self.measures.own)


def evaluate(
    references: Path,
    predictions: Path,
    *,
    dataset: int | str | None = None,
    description: Path | None = None,
    labels: Sequence[int] | None = None,
    ignore_label: int | None = None,
    surface: bool = False,
    tolerances: Sequence[float] | None = None,
    lesions: bool = False,
    metrics: Sequence[str] | None = None,
    output: Path | None = None,
    figures: int = 0,
    images: Path | None = None,
    workers: int | None = None,
    where: ExecutorChoice = HERE,
    workspace: Path | None = None,
) -> Summary:
    """Compare a folder of predictions with a folder of references; write `summary.json` and `cases.csv`.

    Args:
        references: Folder of the true label maps.
        predictions: Folder of the predicted ones.
        dataset: Number or name of the data set; None reads `dataset.json` beside the references.
        description: A `dataset.json`, instead.
        labels: Values in the files to score, instead; all others count as background.
        ignore_label: With `labels`: the value of voxels in the references that do not count.
        surface: Whether to measure distances of surfaces.
        tolerances: Distances in mm within which surfaces agree, for their Dice; None takes the median voxel size.
        lesions: Whether to count lesions, the connected components of each structure.
        metrics: Names of further metrics, of plug-ins or `PACKAGE:FUNCTION`.
        output: File to write; None writes `summary.json` beside the predictions. The other file lies beside it.
        figures: How many of the worst and of the best cases to draw into `figures/` beside the summary.
        images: Folder of the images for these pictures; None looks for it beside the references and in the data set.
        workers: Worker processes; None works in threads, one per core, and 0 in this thread.
        where: The executor.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If a folder or `dataset.json` is missing, a prediction has no reference, or there is no such metric.
        CasesFailed: If cases could not be compared or drawn; names each.
    """
    path = _checked_output(output or predictions / SUMMARY)
    scheme = labels_to_score(
        references,
        dataset=dataset,
        description=description,
        values=labels,
        ignore=ignore_label,
        workspace=workspace,
    )
    wishes = _wishes(surface, tolerances, lesions, metrics, where.factory(workers, cores=1))
    pairs = pair_folders(references, predictions)
    homes = [references.resolve().parent, *([] if dataset is None else [_raw_folder(dataset, workspace)])]
    shown = _images(homes, images) if figures else {}
    summary = evaluate_pairs(pairs, scheme, *wishes.executor, measures=wishes.measures_for(pairs))
    _write(summary, path)
    if figures:
        names, folder = _channel_names([home / FILE_NAME for home in homes], description), path.parent / FIGURES
        draw_extremes(summary, scheme, folder, shown, figures, *wishes.executor, names=names)
        log.info("Pictures: %s", folder)
    return summary


def cross_validate(
    dataset: int | str,
    *,
    configurations: Sequence[str] | None = None,
    plans: str | None = None,
    name: str | None = None,
    folds: Sequence[int | str] | None = None,
    surface: bool = False,
    tolerances: Sequence[float] | None = None,
    lesions: bool = False,
    metrics: Sequence[str] | None = None,
    output: Path | None = None,
    figures: int = 0,
    workers: int | None = None,
    where: ExecutorChoice = HERE,
    workspace: Path | None = None,
) -> dict[str, Summary]:
    """Gather the validations of the folds of trained models; write `cv_results/summary.json` and `cases.csv` for each.

    Args:
        dataset: Number or name of the data set.
        configurations: The configurations; None takes all that are trained.
        plans: Name of the plans; None takes all.
        name: Name of the training; None takes all.
        folds: The folds; None takes those that are trained.
        surface: As for `evaluate`; what the trainings' validations have not measured is measured now.
        tolerances: As for `evaluate`.
        lesions: As for `evaluate`.
        metrics: As for `evaluate`.
        output: File to write, for a single model.
        figures: How many of the worst and of the best cases to draw into `figures/` beside the summary.
        workers: Worker processes; None works in threads, one per core, and 0 in this thread.
        where: The executor.
        workspace: The workspace folder; None finds it.

    Returns:
        The summary of each model, by the name of its folder.

    Raises:
        SegForgeError: If nothing fitting is trained, a fold is not validated, or two folds hold out the same case.
        CasesFailed: If cases could not be compared or drawn; names each.
    """
    from segforge.experiment.choice import fitting_models  # torch, which comparing folders needs not

    raw = open_dataset(_raw_folder(dataset, workspace))
    results = find_workspace(workspace).results / raw.folder.name
    wishes = _wishes(surface, tolerances, lesions, metrics, where.factory(workers, cores=1))
    models = [
        model
        for configuration in (configurations or (None,))
        for model in fitting_models(results, configuration=configuration, plans=plans, name=name)
    ]
    if output is not None and len(models) > 1:
        raise SegForgeError(f"-o is for one model; {len(models)} fit: {_listed(models)}. Choose with -c, -p, --name.")
    asked = None if folds is None else [str(fold) for fold in folds]
    gathered = [gather_folds(model, raw, asked) for model in models]
    return {one.model.path.name: _summary_of_folds(one, raw, wishes, output, figures) for one in gathered}


def _summary_of_folds(gathered: Gathered, raw: RawDataset, wishes: _Wishes, output: Path | None, figures: int) -> Summary:
    path = _checked_output(output or gathered.path)
    summary = summarize_folds(gathered, raw, *wishes.executor, measures=wishes.measures_for(gathered.pairs))
    summary.write(path)
    write_text(case_table_path(path), case_table(summary))
    log.info("All numbers: %s; a row per case: %s", path, case_table_path(path))
    if figures:
        images = {case_of(case.label): case.images for case in raw.cases if case.label}
        scheme, folder = raw.description.label_scheme, path.parent / FIGURES
        draw_extremes(summary, scheme, folder, images, figures, *wishes.executor, names=raw.description.channels)
        log.info("Pictures: %s", folder)
    return summary


def case_table_path(summary: Path) -> Path:
    """Where the table of all cases lies: `cases.csv` beside `summary.json`, `NAME_cases.csv` beside `NAME.json`."""
    return summary.with_name(CASES if summary.name == SUMMARY else f"{summary.stem}_{CASES}")


def _wishes(
    surface: bool,
    tolerances: Sequence[float] | None,
    lesions: bool,
    metrics: Sequence[str] | None,
    executor: tuple[ExecutorFactory, Resources],
) -> _Wishes:
    measures = Measures(tuple(tolerances or ()), lesions, tuple(metrics or ()))
    measures.check()
    return _Wishes(measures, surface, executor)


def _raw_folder(dataset: int | str, workspace: Path | None) -> Path:
    place = find_workspace(workspace)
    return place.raw_folder(place.dataset_name(str(dataset)))


def _images(homes: Sequence[Path], named: Path | None) -> Mapping[str, tuple[Path, ...]]:
    """The images by case: of the folder that is named, else of those in the folders that may be data sets."""
    if named is not None:
        return images_of_cases(named)
    found: dict[str, tuple[Path, ...]] = {}
    for folder in (home / kind for home in homes for kind in ("imagesTr", "imagesTs")):
        found |= images_of_cases(folder) if folder.is_dir() else {}
    if not found:
        log.warning("There are no images beside the references: the pictures show the label maps alone. Name them with -i.")
    return found


def _channel_names(beside: Sequence[Path], named: Path | None) -> tuple[str, ...]:
    """What the channels are called, if a `dataset.json` says it."""
    found = [path for path in ([named] if named else beside) if path.is_file()]
    return read_description(found[-1]).channels if found else ()


def _listed(models: Sequence[ModelFolder]) -> str:
    return ", ".join(model.path.name for model in models)


def _write(summary: Summary, path: Path) -> None:
    if _is_validation(path):
        log.info("%s is a training's validation and stays as it is. Write these numbers elsewhere with -o FILE.json.", path)
        return
    summary.write(path)
    write_text(case_table_path(path), case_table(summary))
    log.info("All numbers: %s; a row per case: %s", path, case_table_path(path))


def _checked_output(path: Path) -> Path:
    if path.suffix != ".json":
        raise SegForgeError(f"The results are JSON; found {path}. Name a file like {path.name}.json.")
    return path


def _is_validation(path: Path) -> bool:
    """Whether a summary was written by a training, which recognises it by what it was made from."""
    try:
        return path.is_file() and bool(Summary.read(path).made_from)
    except SegForgeError:  # nnU-Net's, for example
        return False


def _default_tolerance(pairs: Sequence[tuple[Path, Path]], factory: ExecutorFactory, resources: Resources) -> float:
    tolerance = median_spacing([reference for reference, _ in pairs], factory, resources)
    log.info("Surfaces agree within %g mm, the median voxel size; choose another distance with --tolerance.", tolerance)
    return tolerance
