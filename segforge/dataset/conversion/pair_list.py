"""Which image belongs to which label map, by a table that the user wrote."""

from pathlib import Path

from segforge.dataset.conversion.listing import without_ending
from segforge.dataset.conversion.source import Pairing, SourceCase, with_ids
from segforge.dataset.tables import read_table
from segforge.errors import SegForgeError

_COLUMNS = ("image", "label", "case")


def read_pairs(path: Path) -> Pairing:
    """The cases of a table with the columns `image`, `label` and, if wanted, `case`; paths are taken from its folder on.

    A row without a label is a case without one.

    Raises:
        SegForgeError: If the table is missing, has other columns, or names a file that does not exist; names the line.
    """
    cases = with_ids(_case(path, line, row) for line, row in _rows(path))
    if not any(case.labels for case in cases):
        raise SegForgeError(f"{path} has no row with an image and a label. Give at least one.")
    return Pairing(tuple(case for case in cases if case.labels), tuple(case for case in cases if not case.labels))


def _case(path: Path, line: int, row: dict[str, str]) -> SourceCase:
    if not row.get("image"):
        raise SegForgeError(f"{path}, line {line}: names no image. Fill its column, or take the line out.")
    image, label = path.parent / row["image"], path.parent / row.get("label", "")
    has_label = bool(row.get("label"))
    for file in (image, *([label] if has_label else [])):
        if not file.is_file():
            raise SegForgeError(f"{path}, line {line}: {file} is missing. Paths are taken from the folder of the table on.")
    return SourceCase(row.get("case") or without_ending(image.name), (image,), (label,) if has_label else ())


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    titles, rows = read_table(path, "--pairs")
    if not {"image", "label"} <= set(titles) or set(titles) - set(_COLUMNS):
        found = ",".join(titles) or "nothing"
        raise SegForgeError(f"{path} must begin with a line image,label or image,label,case; found {found}.")
    return rows
