"""Tables that users write: a line of titles, then rows, separated by commas, semicolons or tabs."""

import csv
import io
from pathlib import Path

from segforge.errors import SegForgeError

Row = dict[str, str]


def read_table(path: Path, option: str) -> tuple[list[str], list[tuple[int, Row]]]:
    """The titles of the columns, and each row that is not empty with the number of its line.

    Args:
        path: The file, text in UTF-8.
        option: What named it, for errors.

    Raises:
        SegForgeError: If it is missing, cannot be read, or is no such text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise SegForgeError(f"{path} is missing, which {option} names.") from error
    except OSError as error:
        raise SegForgeError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise SegForgeError(f"{path} is no text in UTF-8. Save it as CSV in UTF-8.") from error
    header = text.partition("\n")[0]
    separator = next((mark for mark in "\t;" if mark in header), ",")
    reader = csv.DictReader(io.StringIO(text), delimiter=separator, restval="", skipinitialspace=True)
    try:
        reader.fieldnames = titles = [title.strip().lower() for title in reader.fieldnames or ()]
        rows = [(reader.line_num, {title: (cell or "").strip() for title, cell in row.items() if title}) for row in reader]
    except csv.Error as error:
        raise SegForgeError(f"{path}, line {reader.reader.line_num}: {error}. Save it as CSV in UTF-8.") from error
    return [title for title in titles if title], [(line, row) for line, row in rows if any(row.values())]
