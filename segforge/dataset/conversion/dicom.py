"""DICOM series and the segmentations that refer to them, as a raw data set."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from segforge.compute.executors import ExecutorFactory, Resources
from segforge.dataset.conversion.choosing import refuse_differing
from segforge.dataset.conversion.contents import Facts
from segforge.dataset.conversion.describing import Names, describe_cases
from segforge.dataset.conversion.recipe import Recipe
from segforge.dataset.conversion.record import ConversionFolder, Origin
from segforge.dataset.conversion.run import Conversion
from segforge.dataset.conversion.series import NOTHING, inspect_series, write_series
from segforge.dataset.conversion.studies import Studies
from segforge.dataset.description import DatasetDescription
from segforge.dataset.labels import BACKGROUND

log = logging.getLogger(__name__)

KIND = "dicom"

_ENDING = ".nii.gz"


def convert_studies(
    source: Path, folder: Path, studies: Studies, names: Names, factory: ExecutorFactory, resources: Resources
) -> None:
    """Make a raw data set of series; without any segmentation only `imagesTs`, and no `dataset.json`.

    Args:
        source: The folder that the series lie in.
        folder: The data set's folder.
        studies: The series.
        names: What the channel and labels are called; by default the channel like the modality, labels like the segments.
        factory: Opens an executor.
        resources: Its workers.

    Raises:
        SegForgeError: If the series do not fit together, or the folder holds something else.
        CasesFailed: If some cases failed; names each with its reason. The others are done.
    """
    origin = Origin(kind=KIND, source=(str(source.resolve()),))
    conversion = Conversion(
        ConversionFolder(folder, origin), studies.cases, factory, resources, write=write_series, failures=dict(studies.damaged)
    )
    facts = conversion.inspect(inspect_series)
    recipe = Recipe(ending=_ENDING, segments=_segments_in_order(facts.values()))
    refuse_differing([case for case in studies.cases if case.id in facts], facts, recipe)
    channels = names.channels or (studies.modality,)
    if recipe.segments:
        description = describe_cases(list(facts.values()), recipe, replace(names, channels=channels))
    else:
        description = DatasetDescription(
            channel_names={"0": channels[0]}, labels={BACKGROUND: 0}, num_training=0, file_ending=_ENDING
        )
        log.info("No segmentation (SEG) refers to these series: they become test cases, and no dataset.json is written.")
    conversion.finish(recipe, description, studies.left)


def _segments_in_order(facts: Iterable[Facts]) -> tuple[str, ...]:
    """The label of the segments of each label value: by their lowest number anywhere, then by the alphabet."""
    numbers: dict[str, int] = {}
    segmented = [item.segments for item in facts if item.segments is not None]
    for label, number in (pair for segments in segmented for pair in segments.items()):
        numbers[label] = min(number, numbers.get(label, number))
    return (NOTHING, *sorted(numbers, key=lambda label: (numbers[label], label))) if segmented else ()
