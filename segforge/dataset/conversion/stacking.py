"""Slices that lie in one folder as one case."""

from collections import defaultdict
from os.path import commonpath
from pathlib import Path

from segforge.dataset.conversion.listing import SourceFile, examples, natural_order
from segforge.dataset.conversion.naming import names_of
from segforge.dataset.conversion.source import Pairing, SourceCase, with_ids
from segforge.errors import SegForgeError


def stacked(pairing: Pairing) -> Pairing:
    """One case for each folder of images, its slices in the order of the numbers in their names.

    A case is called after its folder; the only one after the folder that holds images and label maps.

    Raises:
        SegForgeError: If only some slices of a folder have a label map.
    """
    slices = defaultdict[Path, list[SourceCase]](list)
    for case in sorted((*pairing.cases, *pairing.unlabelled), key=lambda case: natural_order(case.images[0])):
        slices[case.images[0].parent].append(case)
    names = _names(slices)
    cases = with_ids(_stack(names[folder], members) for folder, members in slices.items())
    return Pairing(tuple(case for case in cases if case.labels), tuple(case for case in cases if not case.labels), pairing.left)


def _stack(name: str, slices: list[SourceCase]) -> SourceCase:
    without = [case.images[0] for case in slices if not case.labels]
    if without and len(without) < len(slices):
        raise SegForgeError(
            f"{without[0].parent}: {examples(without)} without a label map, which other slices there have. Add what is "
            "missing, or take these slices out."
        )
    images = tuple(path for case in slices for path in case.images)
    return SourceCase(name, images, tuple(path for case in slices for path in case.labels))


def _names(slices: dict[Path, list[SourceCase]]) -> dict[Path, str]:
    if len(slices) == 1:
        ((folder, members),) = slices.items()
        return {folder: Path(commonpath([folder, *(path.parent for case in members for path in case.labels)])).name}
    top = Path(commonpath(slices))
    return {file.path: name for file, name in names_of([_as_file(folder, top) for folder in slices], with_folders=True).items()}


def _as_file(folder: Path, top: Path) -> SourceFile:
    return SourceFile(folder, folder.relative_to(top).parts or (top.name,))
