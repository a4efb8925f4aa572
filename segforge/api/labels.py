"""The labels that a command scores: those of a data set, of a `dataset.json`, or some values."""

from collections.abc import Sequence
from pathlib import Path

from segforge.dataset.description import FILE_NAME, read_description
from segforge.dataset.labels import LabelScheme
from segforge.errors import SegForgeError
from segforge.evaluation.chosen_labels import ChosenLabels
from segforge.workspace import find_workspace


def labels_to_score(
    references: Path,
    *,
    dataset: int | str | None = None,
    description: Path | None = None,
    values: Sequence[int] | None = None,
    ignore: int | None = None,
    workspace: Path | None = None,
) -> LabelScheme:
    """The labels that a user means, with as few words as they gave.

    Args:
        references: Folder of true label maps; `dataset.json` beside it says what their values mean, if nothing else does.
        dataset: Number or name of the data set.
        description: A `dataset.json`.
        values: Values in the files; all others count as background.
        ignore: With `values`: the value of voxels that do not count.
        workspace: The workspace folder; None finds it.

    Raises:
        SegForgeError: If they are given in two ways, or `dataset.json` is missing.
    """
    given = [word for word, value in (("-d", dataset), ("-djfile", description), ("-l", values)) if value is not None]
    if len(given) > 1:
        raise SegForgeError(f"{' and '.join(given)} each say what the labels are. Give one of them.")
    if values is not None:
        return ChosenLabels.of(values, ignore)
    if ignore is not None:
        raise SegForgeError(
            f"-il {ignore} goes with -l VALUE; without it {FILE_NAME} names the ignore label. Leave -il out, or add -l."
        )
    if description is not None:
        return read_description(description).label_scheme
    if dataset is not None:
        place = find_workspace(workspace)
        return read_description(place.raw_folder(place.dataset_name(str(dataset))) / FILE_NAME).label_scheme
    beside = references.resolve().parent / FILE_NAME
    if not beside.is_file():
        raise SegForgeError(
            f"{beside} is missing, which says what the label values mean. "
            "Name the data set with -d or the file with -djfile; segforge evaluate also takes the values, with -l."
        )
    return read_description(beside).label_scheme
