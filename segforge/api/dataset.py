"""`segforge verify` and `segforge split` as functions."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from segforge.compute.executors import executor_for
from segforge.compute.files import move_aside
from segforge.dataset.cases import RawDataset, open_dataset
from segforge.dataset.grouping import Division, make_grouped_splits, read_groups
from segforge.dataset.labels import LabelScheme
from segforge.dataset.splits import FILE_NAME as SPLITS
from segforge.dataset.splits import FOLDS, Splits, make_splits, read_splits, write_splits
from segforge.dataset.strata import LabelContent, make_strata, read_contents
from segforge.dataset.verification.report import Verification
from segforge.dataset.verification.run import verify_dataset
from segforge.errors import SegForgeError
from segforge.networks.model_folder import ModelFolder
from segforge.workspace import Workspace, find_workspace

log = logging.getLogger(__name__)


def verify(dataset: int | str, *, workers: int | None = None, workspace: Path | None = None) -> Verification:
    """Look through all training cases of a data set and find everything that is wrong, each with its remedy.

    Args:
        dataset: Number or name of the data set.
        workers: Worker processes; None works in threads, one per core, and 0 in this thread.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If there is no such data set, or its `dataset.json` is missing or wrong.
    """
    place = find_workspace(workspace)
    return verify_dataset(place.raw_folder(place.dataset_name(str(dataset))), *executor_for(workers))


def split(
    dataset: int | str,
    *,
    folds: int = FOLDS,
    group_by: str | None = None,
    stratify: bool = False,
    restart: bool = False,
    workers: int | None = None,
    workspace: Path | None = None,
) -> Division:
    """Divide a data set into cross-validation folds and write `splits_final.json` into its preprocessed folder.

    Args:
        dataset: Number or name of the data set.
        folds: Folds wanted; there are fewer if there are fewer cases or groups.
        group_by: What belongs together and stays on one side: a regular expression for the names of the cases, or the
            path of a table `.csv` with the columns `case` and `group`; None takes each case for itself.
        stratify: Whether to spread labels and foreground volumes evenly over the folds.
        restart: Whether to write other folds than those that models were trained on; the old file is moved aside.
        workers: Worker processes for reading label maps; None works in threads, one per core, and 0 in this thread.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If the data set brings folds of its own, a case has no group, there are fewer than two groups, or
            models were trained on other folds.
        CasesFailed: If label maps could not be read; names each.
    """
    place, raw = _open(dataset, workspace)
    if (brought := raw.folder / SPLITS).is_file():
        raise SegForgeError(f"{brought} came with the data and is used as it is. Leave it so, or remove it to have folds made.")
    division = _divide(raw, folds, group_by, stratify=stratify, workers=workers)
    _keep(division.splits, place, raw, restart=restart)
    return division


def check_splits(dataset: int | str, *, group_by: str | None = None, workspace: Path | None = None) -> Division:
    """Read the folds that a data set has, and check them against its cases and groups.

    Args:
        dataset: Number or name of the data set.
        group_by: What belongs together, as for `split`.
        workspace: The workspace folder; None finds it.

    Returns:
        The folds; its `leaks` are the groups that a fold has on both sides.

    Raises:
        SegForgeError: If there are no folds, or a case is unknown, doubled, or on both sides of a fold.
    """
    place, raw = _open(dataset, workspace)
    names = [case.id for case in raw.cases]
    brought = raw.folder / SPLITS
    splits = read_splits(brought if brought.is_file() else place.preprocessed / raw.folder.name / SPLITS, names)
    return Division(splits, read_groups(group_by, names) if group_by else None)


def _divide(raw: RawDataset, folds: int, group_by: str | None, *, stratify: bool, workers: int | None) -> Division:
    names = [case.id for case in raw.cases]
    groups = read_groups(group_by, names) if group_by else None
    if stratify:
        scheme = raw.description.label_scheme
        contents = read_contents(raw.cases, scheme, *executor_for(workers))
        splits = make_grouped_splits(names, folds, groups=groups, strata=make_strata(contents, folds))
        return Division(splits, groups, _holders(contents, scheme))
    return Division(make_grouped_splits(names, folds, groups=groups) if groups else make_splits(names, folds), groups)


def _holders(contents: Mapping[str, LabelContent], labels: LabelScheme) -> dict[str, frozenset[str]]:
    """The cases that hold each label or region."""
    return {
        target.name: frozenset(case for case, content in contents.items() if content.classes.intersection(target.classes))
        for target in labels.targets
    }


def _keep(splits: Splits, place: Workspace, raw: RawDataset, *, restart: bool) -> None:
    """Write the folds, unless they are there; other ones are moved aside if no model depends on them."""
    path = place.preprocessed / raw.folder.name / SPLITS
    if path.is_file():
        with suppress(SegForgeError):  # a wrong file holds other folds
            if read_splits(path, [case.id for case in raw.cases]) == splits:
                log.info("%s has these folds already.", path)
                return
        if not restart:
            _refuse_if_trained(place.results / raw.folder.name, path)
        log.info("Other folds were there; they are kept in %s.", move_aside(path))
    write_splits(path, splits)
    log.info("Folds %s.", path)


def _refuse_if_trained(results: Path, path: Path) -> None:
    models = (ModelFolder(folder) for folder in sorted(results.glob("*__*__*")))
    if begun := next((model for model in models if model.begun_folds()), None):
        raise SegForgeError(
            f"{begun.path} was trained on the folds in {path}, and the new ones are others: its cross-validation would "
            "mix both. Keep the folds, or write the new ones with --restart and train anew."
        )


def _open(dataset: int | str, workspace: Path | None) -> tuple[Workspace, RawDataset]:
    place = find_workspace(workspace)
    return place, open_dataset(place.raw_folder(place.dataset_name(str(dataset))))
