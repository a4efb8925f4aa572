"""The pictures and volumes below a folder, each with its name in parts."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from segforge.compute.sources import short_name
from segforge.errors import SegForgeError
from segforge.images.files import ending_of, files_of

MORE_PICTURES = (".gif", ".ppm", ".pgm", ".pbm", ".webp", ".jp2")
"""Endings of pictures that only conversion reads, besides those that SegForge reads."""

LOSSY = (".jpg",)

_SAME = {".tiff": ".tif", ".jpeg": ".jpg"}


@dataclass(frozen=True)
class SourceFile:
    """A picture or a volume of the source.

    Attributes:
        path: Where it is.
        parts: The folders below the source that it lies in, and last its name without the ending.
    """

    path: Path
    parts: tuple[str, ...]

    @property
    def stem(self) -> str:
        """Its name without the ending."""
        return self.parts[-1]


def list_files(folder: Path) -> tuple[list[SourceFile], list[Path]]:
    """The pictures and volumes below a folder, and the other files there; hidden ones are passed over.

    Raises:
        SegForgeError: If the folder is missing or has no picture.
    """
    if not folder.is_dir():
        raise SegForgeError(f"{folder} is no folder. Name the folder that the images lie in.")
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not _is_hidden(path.relative_to(folder)))
    files = [
        SourceFile(path, (*path.relative_to(folder).parts[:-1], without_ending(path.name)))
        for path in paths
        if picture_ending(path)
    ]
    if not files:
        raise SegForgeError(
            f"{folder} has no image in a format that SegForge knows. "
            "Are the images in another folder? DICOM series: segforge convert dicom."
        )
    known = {path for file in files for path in all_files([file.path])}
    return files, [path for path in paths if path not in known]


def picture_ending(path: Path) -> str | None:
    """The ending of a picture or volume, one spelling for each format; None for other files."""
    ending = ending_of(path) or next((known for known in MORE_PICTURES if path.name.lower().endswith(known)), None)
    return _SAME.get(ending, ending) if ending else None


def without_ending(name: str) -> str:
    """The name of a file without the ending of its format; other names stay as they are."""
    ending = ending_of(Path(name)) or picture_ending(Path(name)) or ""
    return name[: len(name) - len(ending)]


def all_files(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Images with the files beside them that belong to them: the voxels of `.mhd`, the voxel size of `.tif`."""
    return tuple(file for path in paths for file in (files_of(path) if ending_of(path) else (path,)))


def natural_order(path: Path) -> tuple[tuple[bool, int, str], ...]:
    """Key that sorts `2.png` before `10.png`."""
    words = re.findall(r"\d+|\D+", path.as_posix())
    return tuple((word.isdecimal(), int(word) if word.isdecimal() else 0, word) for word in words)


def examples(paths: Iterable[Path | str], most: int = 3) -> str:
    """Up to three names, and how many more there are."""
    found = list(paths)
    names = [path.name if isinstance(path, Path) else path for path in found]
    if len(set(names)) < len(names):
        names = [short_name(path) if isinstance(path, Path) else path for path in found]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
