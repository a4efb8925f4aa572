"""The only place that unpacks archives: zip files, each entry checked before the first byte is written."""

import itertools
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from segforge.compute.files import write_chunks
from segforge.compute.wording import size
from segforge.errors import SegForgeError

MOST_ENTRIES = 20_000
MOST_BYTES = 64 * 10**9
"""What an archive may hold, unpacked."""

_HIGHEST_RATIO = 200
_SMALL = 1 << 20  # files of no more may be compressed to nothing
_LONGEST = 200
_CHUNK = 1 << 20
_REMEDY = "Nothing was unpacked. Get it again from where it came from."
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')


def unpack(
    path: Path,
    folder: Path,
    *,
    wanted: Callable[[str], bool] = lambda name: True,
    most_bytes: int = MOST_BYTES,
) -> list[str]:
    """Unpack a zip file into an empty folder.

    Args:
        path: The zip file.
        folder: The folder.
        wanted: Which entries are unpacked, by their names; all are checked.
        most_bytes: What the entries may take together.

    Returns:
        The names of what was unpacked, from the folder on.

    Raises:
        SegForgeError: If it is damaged, or an entry leads out of the folder, is no file, is there twice, or grows too much.
    """
    try:
        with zipfile.ZipFile(path) as file:
            entries = file.infolist()
            _check(entries, path, most_bytes)
            files = [entry for entry in entries if not entry.is_dir() and wanted(entry.filename)]
            for entry in files:
                write_chunks(folder / entry.filename, _chunks(file, entry, path))
    except (zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise SegForgeError(f"{path} is damaged, or no zip file: {error}. {_REMEDY}") from error
    except FileNotFoundError as error:
        raise SegForgeError(f"{path} is missing.") from error
    return [entry.filename for entry in files]


def names_in(path: Path) -> list[str]:
    """Names of the entries of a zip file, unchecked; none if it is no zip file."""
    try:
        with zipfile.ZipFile(path) as file:
            return file.namelist()
    except (zipfile.BadZipFile, OSError):
        return []


def _chunks(file: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> Iterator[bytes]:
    left = entry.file_size
    with file.open(entry) as content:  # compares the check sum at its end
        while chunk := content.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise SegForgeError(f"{path} is refused: {entry.filename} is larger than it says. {_REMEDY}")
            yield chunk
    if left:
        raise SegForgeError(f"{path} is damaged: {entry.filename} is shorter than it says. {_REMEDY}")


def _check(entries: Sequence[zipfile.ZipInfo], path: Path, most_bytes: int) -> None:
    if len(entries) > MOST_ENTRIES:
        raise SegForgeError(f"{path} is refused: it holds {len(entries)} files, more than {MOST_ENTRIES}. {_REMEDY}")
    for entry in entries:
        if problem := _problem(entry):
            raise SegForgeError(f"{path} is refused: the entry {_shown(entry.filename)} {problem}. {_REMEDY}")
    if (total := sum(entry.file_size for entry in entries)) > most_bytes:
        raise SegForgeError(
            f"{path} is refused: it would unpack to {size(total)}, more than {size(most_bytes)}. Nothing was unpacked. If you "
            "trust it, allow more with segforge import --max-size."
        )
    _refuse_twins(entries, path)
    _refuse_overlaps(entries, path)


def _problem(entry: zipfile.ZipInfo) -> str | None:
    """What is wrong with an entry by itself."""
    name, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
    if problem := _problem_of_name(name):
        return problem
    if kind not in (0, stat.S_IFDIR if entry.is_dir() else stat.S_IFREG):
        return "is a link or a device, no file"
    if entry.flag_bits & 1:
        return "is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is compressed in an unusual way"
    if entry.file_size > max(_SMALL, _HIGHEST_RATIO * entry.compress_size):
        return f"would grow from {entry.compress_size} to {entry.file_size} bytes, as only a bomb does"
    return None


def _problem_of_name(name: str) -> str | None:
    parts = name.removesuffix("/").split("/")
    if PurePosixPath(name).is_absolute() or re.match(r"[A-Za-z]:|\\\\", name):
        return "is an absolute path"
    if ".." in parts:
        return "leads out of the folder"
    if _FORBIDDEN.search(name) or any(part in ("", ".") or part != part.rstrip(". ") or len(part) > _LONGEST for part in parts):
        return "has a name that not every system can write"
    if any(_RESERVED.fullmatch(part) for part in parts):
        return "has a name that Windows reserves"
    return None


def _refuse_twins(entries: Sequence[zipfile.ZipInfo], path: Path) -> None:
    """Names that are the same file somewhere, and files that are also folders."""
    seen: dict[str, str] = {}
    for entry in entries:
        name = entry.filename.removesuffix("/")
        if (folded := _folded(name)) in seen:
            raise SegForgeError(f"{path} is refused: {_shown(seen[folded])} and {_shown(name)} are the same file. {_REMEDY}")
        seen[folded] = name
    files = {_folded(entry.filename) for entry in entries if not entry.is_dir()}
    for entry in entries:
        if any(_folded(str(parent)) in files for parent in PurePosixPath(entry.filename).parents):
            raise SegForgeError(f"{path} is refused: {_shown(entry.filename)} lies in a file. {_REMEDY}")


def _refuse_overlaps(entries: Sequence[zipfile.ZipInfo], path: Path) -> None:
    """Entries that share bytes, by which a small file becomes a large one."""
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    for entry, following in itertools.pairwise(ordered):
        if entry.header_offset + entry.compress_size >= following.header_offset:
            raise SegForgeError(f"{path} is refused: {_shown(following.filename)} overlaps the entry before. {_REMEDY}")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 80 else name[:77] + "...")
