"""Describes a folder that has images and label maps in place, but no `dataset.json`."""

import logging
import re
from functools import partial
from pathlib import Path

from segforge.compute.executors import ExecutorFactory, Resources, Task, run_all
from segforge.compute.files import move_aside
from segforge.dataset.cases import IMAGES, LABELS, list_cases
from segforge.dataset.conversion.choosing import refuse_differing
from segforge.dataset.conversion.contents import inspect_case
from segforge.dataset.conversion.describing import Names, describe_cases
from segforge.dataset.conversion.listing import examples, without_ending
from segforge.dataset.conversion.recipe import Recipe
from segforge.dataset.conversion.shades import refuse_shades
from segforge.dataset.conversion.source import SourceCase
from segforge.dataset.conversion.summary import counted, describe_images, describe_labels, describe_left
from segforge.dataset.description import FILE_NAME, DatasetDescription
from segforge.errors import CasesFailed, SegForgeError
from segforge.images.files import ending_of, read_labels

log = logging.getLogger(__name__)

_CHANNEL = re.compile(r".+_(\d{4})")


def describe_folder(
    folder: Path, names: Names, factory: ExecutorFactory, resources: Resources, *, force: bool = False
) -> DatasetDescription:
    """Look at all cases in `imagesTr` and `labelsTr` and write `dataset.json`.

    Args:
        folder: The data set's folder.
        names: What channels and labels are called.
        factory: Opens an executor.
        resources: Its workers.
        force: Whether to write it although there is one, which is kept aside.

    Raises:
        SegForgeError: If there is one, or files are missing or do not fit together; names them.
        CasesFailed: If cases cannot be read; names each with its reason, and nothing is written.
    """
    target = folder / FILE_NAME
    if target.exists() and not force:
        raise SegForgeError(f"{target} is there already. Write another one with --force; this one is then kept aside.")
    cases, ending, left = _cases(folder)
    tasks = [Task(case.id, partial(inspect_case, read_labels=read_labels), (case,)) for case in cases]
    outcome = run_all(factory, tasks, resources=resources, description="reading")
    if outcome.failures:
        raise CasesFailed(
            f"{len(outcome.failures)} of {len(cases)} cases cannot be read, nothing was written. Mend their files and type the "
            f"command again:\n{outcome.reasons}"
        )
    recipe = Recipe(ending=ending)
    facts = [outcome.results[case.id] for case in cases]
    refuse_differing(cases, outcome.results, recipe)
    refuse_shades(cases, outcome.results, threshold=None, are_labels=names.are_labels_by_value)
    description = describe_cases(facts, recipe, names)
    if target.exists():
        log.info("The old one is kept as %s.", move_aside(target).name)
    description.write(target)
    log.info("%s: %s.", target, counted(len(cases), "training case"))
    for line in (
        describe_images(facts, recipe, description),
        *describe_labels(facts, recipe, description),
        *describe_left(left),
    ):
        log.info("%s", line)
    return description


def _cases(folder: Path) -> tuple[list[SourceCase], str, dict[str, tuple[Path, ...]]]:
    """The cases, the ending of the label maps, and the label maps without an image."""
    ending = _ending(folder / LABELS)
    listing = list_cases(folder, _draft(folder / IMAGES, ending))
    lacking = [path for paths in (*listing.missing.values(), *listing.doubled.values()) for path in paths]
    if lacking or not listing.cases:
        raise SegForgeError(
            f"{folder} has {counted(len(listing.cases), 'complete case')}; missing or there twice: "
            f"{examples(map(str, lacking))}. Add or take away files so that a case is imagesTr/CASE_0000, a file for each "
            "channel, and labelsTr/CASE."
        )
    cases = [SourceCase(case.id, case.images, (case.label,) if case.label else ()) for case in listing.cases]
    return cases, ending, {"label maps without an image": listing.without_image} if listing.without_image else {}


def _draft(images: Path, ending: str) -> DatasetDescription:
    """A description with as many channels as there are file names."""
    names = (without_ending(path.name) for path in images.iterdir()) if images.is_dir() else ()
    numbers = [int(match[1]) for name in names if (match := _CHANNEL.fullmatch(name))]
    channels = {str(index): "" for index in range(max(numbers, default=0) + 1)}
    return DatasetDescription(channel_names=channels, labels={}, num_training=0, file_ending=ending)


def _ending(labels: Path) -> str:
    endings = sorted({ending for path in labels.iterdir() if (ending := ending_of(path))}) if labels.is_dir() else []
    if len(endings) == 1:
        return endings[0]
    found = f"has label maps of several formats ({', '.join(endings)})" if endings else "has no label maps"
    raise SegForgeError(
        f"{labels} {found}. A data set has imagesTr/CASE_0000 and labelsTr/CASE; make one of other folders with: "
        "segforge convert images"
    )
