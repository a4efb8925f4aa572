"""Folders of images and label maps, in any format that can be read, as a raw data set."""

from functools import partial
from pathlib import Path

from segforge.compute.executors import ExecutorFactory, Resources
from segforge.dataset.conversion.choosing import Wishes, choose_recipe
from segforge.dataset.conversion.contents import inspect_case, inspect_stack
from segforge.dataset.conversion.describing import Names, describe_cases
from segforge.dataset.conversion.record import ConversionFolder, Origin
from segforge.dataset.conversion.run import Conversion
from segforge.dataset.conversion.source import Pairing
from segforge.dataset.conversion.stacking import stacked

KIND = "images"


def convert_pictures(
    pairing: Pairing,
    folder: Path,
    source: tuple[Path, ...],
    wishes: Wishes,
    names: Names,
    factory: ExecutorFactory,
    resources: Resources,
) -> None:
    """Make a raw data set of cases that were found in folders or a table.

    Args:
        pairing: The cases; those without a label map become test cases.
        folder: The data set's folder.
        source: The folders or the table.
        wishes: What is to be done to the files.
        names: What channels and labels are called.
        factory: Opens an executor.
        resources: Its workers.

    Raises:
        SegForgeError: If cases do not fit together, label maps hold no labels, or the folder holds something else.
        CasesFailed: If some cases failed; names each with its reason. The others are done.
    """
    if wishes.stack:
        pairing = stacked(pairing)
    cases = (*pairing.cases, *pairing.unlabelled)
    origin = Origin(kind=KIND, source=tuple(str(path.resolve()) for path in source))
    conversion = Conversion(ConversionFolder(folder, origin), cases, factory, resources)
    inspect = partial(inspect_stack if wishes.stack else inspect_case, threshold=wishes.threshold)
    facts = conversion.inspect(inspect, threshold=wishes.threshold)
    recipe = choose_recipe(cases, facts, wishes)
    description = describe_cases(list(facts.values()), recipe, names)
    conversion.finish(recipe, description, pairing.left)
