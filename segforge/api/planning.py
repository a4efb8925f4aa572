"""`segforge fingerprint` and `segforge plan` as functions."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segforge.compute.documents import read_json, to_json
from segforge.compute.executor_choice import ExecutorChoice
from segforge.compute.executors import ExecutorFactory, Resources, executor_for
from segforge.compute.files import write_text
from segforge.compute.memory import memory_budget, workers_within
from segforge.compute.wording import counted
from segforge.dataset.cases import RawDataset
from segforge.dataset.decoded import CaseReader
from segforge.dataset.description import FILE_NAME as DESCRIPTION
from segforge.dataset.description import DatasetDescription, read_description
from segforge.dataset.splits import provide_splits
from segforge.dataset.verification.opening import open_checked_dataset
from segforge.errors import SegForgeError
from segforge.planning.extraction import Measured, current_fingerprint
from segforge.planning.fingerprint import Fingerprint
from segforge.planning.planner import Planned, Planner, make_planner
from segforge.planning.plans import Plans, plans_path, read_plans
from segforge.planning.revision import moved_plans, write_revised
from segforge.planning.settings import PlannerSettings
from segforge.preprocessing.normalization import find_normalization
from segforge.preprocessing.resampling import find_resampling
from segforge.preprocessing.run import Preprocessing, preprocess_dataset
from segforge.sharing.nnunet_plans import plans_from_nnunet, plans_to_nnunet
from segforge.workspace import Workspace, checked_name, find_workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """How preprocessing works.

    Attributes:
        workers: Worker processes; None works in threads, one per core, and 0 in this thread.
        max_memory: Memory in GB that it may take; None is four fifths of what is free.
        verify: Whether files are compared by hash even where size and time say that they are the same.
        where: The executor; with another than the local one, `max_memory` is that of all its workers together.
    """

    workers: int | None = None
    max_memory: float | None = None
    verify: bool = False
    where: ExecutorChoice = field(default_factory=ExecutorChoice)

    @property
    def executor(self) -> tuple[ExecutorFactory, Resources]:
        """The executor for the workers."""
        return self.where.factory(self.workers, cores=1)

    @property
    def budget(self) -> int:
        """Bytes that may be taken; what other machines have is not known here."""
        return memory_budget(self.max_memory) if self.where.is_local or self.max_memory else _UNKNOWN

    @property
    def room(self) -> int:
        """Bytes of them that decoded cases may take here."""
        return self.budget // 2 if self.where.is_local else 0


_UNKNOWN = 1 << 62
_BYTES_PER_STORED_BYTE = 12  # compressed to a third, and kept as float32 beside what it was inflated to

PREPROCESSED = ("2d", "3d_fullres", "3d_lowres")


def fingerprint(dataset: int | str, *, workers: int | None = None, workspace: Path | None = None) -> Fingerprint:
    """Measure a data set: shapes, spacings, foreground intensities; what is measured already is not read again.

    Args:
        dataset: Number or name of the data set.
        workers: Worker processes; None works in threads, one per core, and 0 in this thread.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If files are missing or wrong; names them.
        CasesFailed: If cases failed; names each.
    """
    place, raw = _open(dataset, workspace)
    return current_fingerprint(raw, place.preprocessed / raw.folder.name, *executor_for(workers)).fingerprint


def plan(
    dataset: int | str,
    *,
    settings: PlannerSettings | None = None,
    configurations: Sequence[str] | None = None,
    preprocess: bool = True,
    work: Work = Work(),
    workspace: Path | None = None,
) -> Planned:
    """Take a data set's fingerprint, plan the experiment, and preprocess it.

    Configurations that the user added to plans of this name are kept.

    Args:
        dataset: Number or name of the data set.
        settings: What to decide instead of the planner.
        configurations: Configurations to preprocess; None takes 2d, 3d_fullres and 3d_lowres, as far as they are planned.
        preprocess: Whether to preprocess at all.
        work: With how many workers and how much memory.
        workspace: The workspace folder; None finds it.

    Returns:
        The plans, and why each number is what it is.

    Raises:
        SegForgeError: If files are missing or wrong, or a setting cannot work; names them.
        CasesFailed: If cases failed; names each.
    """
    place, raw = _open(dataset, workspace, work)
    folder = place.preprocessed / raw.folder.name
    reader = CaseReader(raw.description, work.room if preprocess else 0)
    measured = _measured(raw, folder, work, reader)
    _provide_splits(place, raw)
    planned = planner_for(settings).plan(measured.fingerprint, raw.description, raw.folder.name)
    for configuration in planned.plans.configurations.values():
        find_resampling(configuration.resampling.method)
    path = plans_path(folder, planned.plans.name)
    plans = write_revised(path, planned.plans)
    write_text(path.with_suffix(".md"), planned.explanation)
    log.info("Plans %s: %s.", path, ", ".join(plans.configurations))
    if preprocess:
        _preprocess(raw, measured, plans, configurations, folder, work, reader)
    return Planned(plans, planned.explanation)


def preprocess(
    dataset: int | str,
    *,
    plans: str = "default",
    configurations: Sequence[str] | None = None,
    work: Work = Work(),
    workspace: Path | None = None,
) -> None:
    """Bring the preprocessed cases of plans that are there up to date.

    Args:
        dataset: Number or name of the data set.
        plans: Name of the plans.
        configurations: Configurations to preprocess; None takes 2d, 3d_fullres and 3d_lowres, as far as they are planned.
        work: With how many workers and how much memory.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If files are missing or wrong, or there are no such plans.
        CasesFailed: If cases failed; names each.
    """
    place, raw = _open(dataset, workspace, work)
    folder = place.preprocessed / raw.folder.name
    chosen = read_plans(folder, plans)
    reader = CaseReader(raw.description, work.room)
    measured = _measured(raw, folder, work, reader)
    _preprocess(raw, measured, chosen, configurations, folder, work, reader)


def plan_without_data(
    fingerprint: Path, description: Path, *, settings: PlannerSettings | None = None
) -> tuple[Planned, DatasetDescription]:
    """Plan from a fingerprint and a `dataset.json`, where the images are not at hand.

    Raises:
        SegForgeError: If a file is wrong, or a setting cannot work.
    """
    facts = read_description(description)
    name = description.resolve().parent.name
    return planner_for(settings).plan(Fingerprint.read(fingerprint), facts, name), facts


def check_plans(path: Path) -> Plans:
    """Read plans that were edited by hand and refuse what cannot work.

    Raises:
        SegForgeError: With the path of the field, what was found, and what is allowed.
    """
    plans = Plans.parse(read_json(path), str(path))
    _check_names(plans)
    if path.stem != plans.name:
        raise SegForgeError(f"{path} holds the plans {plans.name}; name the file {plans.name}.json.")
    return plans


def planner_for(settings: PlannerSettings | None) -> Planner:
    """The planner, or the one for a network of MONAI's."""
    if settings is None or settings.network is None:
        return make_planner(settings or PlannerSettings())
    from segforge.networks.planner import MonaiPlanner  # torch, which planning itself needs not

    return MonaiPlanner(settings)


def _check_names(plans: Plans) -> None:
    """Refuse networks, normalizations and resamplings that are not installed, and patches that a network does not take."""
    from segforge.networks.build import find_network  # torch, which planning itself needs not
    from segforge.networks.measuring import check_patch

    for configuration in plans.configurations.values():
        for spec in configuration.normalization:
            find_normalization(spec.name)
        find_resampling(configuration.resampling.method)
        find_network(configuration.architecture.network)
        check_patch(configuration)


def move_plans(
    source: int | str,
    target: int | str,
    *,
    name: str,
    source_name: str = "default",
    configurations: Sequence[str] | None = None,
    preprocess: bool = True,
    work: Work = Work(),
    workspace: Path | None = None,
) -> Plans:
    """Use the plans of one data set for another one, for pre-training: the same networks on the same spacing.

    Args:
        source: Number or name of the data set whose plans are used.
        target: The data set that gets them.
        name: Name of the plans for the target.
        source_name: Their name at the source.
        configurations: Configurations to preprocess; None takes 2d, 3d_fullres and 3d_lowres, as far as they are planned.
        preprocess: Whether to preprocess at all.
        work: With how many workers and how much memory.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If the numbers of channels differ, or there are no such plans.
    """
    place, raw = _open(target, workspace, work)
    source_dataset = place.dataset_name(str(source))
    plans = read_plans(place.preprocessed / source_dataset, source_name)
    folder = place.preprocessed / raw.folder.name
    path = plans_path(folder, checked_name(name, "plans' name"))
    if path.is_file():
        raise SegForgeError(f"{path} exists already. Choose another --name, or remove it.")
    reader = CaseReader(raw.description, work.room if preprocess else 0)
    measured = _measured(raw, folder, work, reader)
    _provide_splits(place, raw)
    moved = moved_plans(plans, measured.fingerprint, raw.description, dataset=raw.folder.name, name=name)
    moved.write(path)
    write_text(
        path.with_suffix(".md"),
        f"# Plans {name} of {moved.dataset}\n\nMoved from the plans {source_name} of {plans.dataset}.\n",
    )
    there = read_description(place.raw_folder(source_dataset) / DESCRIPTION).channels
    if there != raw.description.channels:
        log.warning(
            "The channels of %s are %s, those of %s are %s; they are normalized as the first were. If that is not meant, plan "
            "the data set by itself.",
            source_dataset, ", ".join(there), raw.folder.name, ", ".join(raw.description.channels),
        )  # fmt: skip
    if preprocess:
        _preprocess(raw, measured, moved, configurations, folder, work, reader)
    return moved


def import_plans(
    path: Path,
    dataset: int | str,
    *,
    name: str | None = None,
    configurations: Sequence[str] | None = None,
    preprocess: bool = True,
    work: Work = Work(),
    workspace: Path | None = None,
) -> Plans:
    """Use plans from a file, nnU-Net's or ours, for a data set.

    Plans that were made for a data set of another name get this one's intensities, as `move_plans` gives them.

    Args:
        path: The file, nnU-Net's of any release of version 2.
        dataset: Number or name of the data set.
        name: Name of the plans here; None takes that in the file.
        configurations: Configurations to preprocess; None takes 2d, 3d_fullres and 3d_lowres, as far as they are planned.
        preprocess: Whether to preprocess at all.
        work: With how many workers and how much memory.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If the file is damaged, does not fit the data set, or asks for what SegForge does not have.
    """
    place, raw = _open(dataset, workspace, work)
    folder = place.preprocessed / raw.folder.name
    content = read_json(path)
    is_nnunet = isinstance(content, dict) and "plans_name" in content
    read = plans_from_nnunet(content, raw.description, str(path)) if is_nnunet else Plans.parse(content, str(path))
    _check_names(read)
    own_name = checked_name(name or read.name, "plans' name")
    target = plans_path(folder, own_name)
    reader = CaseReader(raw.description, work.room if preprocess else 0)
    measured = _measured(raw, folder, work, reader)
    plans = moved_plans(read, measured.fingerprint, raw.description, dataset=raw.folder.name, name=own_name)
    if read.dataset == raw.folder.name:
        plans = plans.model_copy(update={"intensities": read.intensities})
    if target.is_file() and Plans.read(target) != plans:
        raise SegForgeError(f"{target} exists already and is different. Choose another --name, or remove it.")
    _provide_splits(place, raw)
    plans.write(target)
    origin = f"of nnU-Net's, {path.name}" if is_nnunet else path.name
    write_text(target.with_suffix(".md"), f"# Plans {own_name} of {plans.dataset}\n\nImported from the plans {origin}.\n")
    log.info("Plans %s: %s.", target, ", ".join(plans.configurations))
    if preprocess:
        _preprocess(raw, measured, plans, configurations, folder, work, reader)
    return plans


def read_planned(
    dataset: int | str, *, settings: PlannerSettings | None = None, workers: int | None = None, workspace: Path | None = None
) -> Planned:
    """Plans to look at; nothing is written but the fingerprint if it is missing.

    Args:
        dataset: Number or name of the data set.
        settings: What to decide instead of the planner; with nothing but a name or a planner, plans that are there are read.
        workers: Worker processes, as for `plan`.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If files are missing or wrong, or a setting cannot work.
    """
    place, raw = _open(dataset, workspace)
    folder = place.preprocessed / raw.folder.name
    planner = planner_for(settings)
    path = plans_path(folder, planner.name)
    if path.is_file() and path.with_suffix(".md").is_file() and not planner.settings.changes_plans:
        return Planned(Plans.read(path), path.with_suffix(".md").read_text(encoding="utf-8"))
    measured = current_fingerprint(raw, folder, *executor_for(workers))
    log.info("These plans are not written; leave out --show and --explain to write them.")
    return planner.plan(measured.fingerprint, raw.description, raw.folder.name)


def write_plans(plans: Plans, description: DatasetDescription, path: Path, *, layout: str) -> None:
    """Write plans to a file, in SegForge's layout or, for nnU-Net to read, in nnU-Net's."""
    if layout == "nnunet":
        write_text(path, to_json(plans_to_nnunet(plans, description)), durable=True)
    else:
        plans.write(path)


def _provide_splits(place: Workspace, raw: RawDataset) -> None:
    name = raw.folder.name
    elsewhere = place.more_preprocessed / name if place.more_preprocessed else None
    provide_splits(raw.folder, place.preprocessed / name, [case.id for case in raw.cases], elsewhere)


def _measured(raw: RawDataset, folder: Path, work: Work, reader: CaseReader) -> Measured:
    factory, resources = work.executor
    largest = max(sum(file.stat().st_size for file in case.files) for case in raw.cases)
    workers = workers_within(resources, work.budget, _BYTES_PER_STORED_BYTE * largest)
    return current_fingerprint(raw, folder, factory, workers, reader, verify=work.verify)


def _preprocess(
    raw: RawDataset,
    measured: Measured,
    plans: Plans,
    configurations: Sequence[str] | None,
    folder: Path,
    work: Work,
    reader: CaseReader | None = None,
) -> None:
    chosen = list(configurations or [name for name in PREPROCESSED if name in plans.configurations])
    factory, resources = work.executor
    job = Preprocessing(raw, measured, plans, chosen, folder, factory, resources, work.budget, work.verify)
    count = preprocess_dataset(job, reader)
    log.info("Preprocessed %s for %s.", counted(count, "case"), ", ".join(chosen))


def _open(dataset: int | str, workspace: Path | None, work: Work = Work()) -> tuple[Workspace, RawDataset]:
    place = find_workspace(workspace)
    if not work.where.is_local:  # whose current folders are others
        place = place.absolute
    return place, open_checked_dataset(place.raw_folder(place.dataset_name(str(dataset))))
