"""The folder of preprocessed cases: plain `.npy` files, each case committed last by its `CASE.json`."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from segforge.compute.documents import Document
from segforge.compute.files import whole_file
from segforge.compute.sources import Source, are_unchanged
from segforge.errors import SegForgeError
from segforge.preprocessing.preprocessor import CaseProperties, PreprocessedCase

_BLOCK = 1 << 23
_PARTS = (".npy", "_seg.npy", "_locations.npz")


class Seal(Document):
    """Size and the hash of each block of one of the case's files."""

    size: int
    blocks: tuple[str, ...]


class CaseRecord(Document):
    """`CASE.json`: it exists only if the case is complete.

    Attributes:
        version: Version of this schema.
        recipe: Hash of everything in the plan that shaped the case.
        sources: The raw files.
        properties: The way back to the original grid.
        seals: One per file of the case, by ending.
    """

    version: Literal[1] = 1
    recipe: str
    sources: tuple[Source, ...]
    properties: CaseProperties
    seals: dict[str, Seal]


class CaseStore:
    """The preprocessed cases of one data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def cases(self) -> list[str]:
        """Ids of the complete cases, sorted."""
        return sorted(path.stem for path in self.folder.glob("*.json") if not path.name.startswith("."))

    def is_current(self, case: str, recipe: str, sources: Iterable[Path]) -> bool:
        """Whether the case is complete and would come out the same from these files and this recipe."""
        try:
            record = CaseRecord.read(self._record(case))
        except SegForgeError:
            return False
        complete = all(self._has_size(case, part, record.seals.get(part)) for part in _PARTS)
        return complete and record.recipe == recipe and are_unchanged(record.sources, sources)

    def write(self, case: str, preprocessed: PreprocessedCase, recipe: str, sources: Iterable[Path]) -> None:
        """Write a case; it counts only once all of it is there."""
        self._record(case).unlink(missing_ok=True)
        assert preprocessed.classes is not None
        with whole_file(self._part(case, ".npy")) as path:
            np.save(path, preprocessed.image)
        with whole_file(self._part(case, "_seg.npy")) as path:
            np.save(path, preprocessed.classes)
        with whole_file(self._part(case, "_locations.npz")) as path:
            np.savez(path, **preprocessed.locations)  # type: ignore[arg-type]
        CaseRecord(
            recipe=recipe,
            sources=tuple(Source.of(path) for path in sources),
            properties=preprocessed.properties,
            seals={part: _seal(self._part(case, part)) for part in _PARTS},
        ).write(self._record(case), durable=False)

    def open(self, case: str) -> PreprocessedCase:
        """Map a case into memory after its hashes are checked.

        Raises:
            SegForgeError: If the case is missing, incomplete or damaged; names the file and how to make it again.
        """
        path = self._record(case)
        if not path.is_file():
            raise SegForgeError(f"{self.folder} has no preprocessed case {case}. Run segforge plan again.")
        record = CaseRecord.read(path)
        for part in _PARTS:
            if not self._has_size(case, part, record.seals.get(part)) or _seal(self._part(case, part)) != record.seals[part]:
                damaged = self._part(case, part)
                raise SegForgeError(f"{damaged} is damaged or missing. Remove {path} and run segforge plan again.")
        with np.load(self._part(case, "_locations.npz"), allow_pickle=False) as file:
            locations = {key: file[key] for key in file.files}
        image, classes = self._map(case, ".npy"), self._map(case, "_seg.npy")
        return PreprocessedCase(image, classes, locations, record.properties)

    def remove(self, case: str) -> None:
        """Remove a case, its record first."""
        for path in (self._record(case), *(self._part(case, part) for part in _PARTS)):
            path.unlink(missing_ok=True)

    def _record(self, case: str) -> Path:
        return self.folder / f"{case}.json"

    def _part(self, case: str, part: str) -> Path:
        return self.folder / f"{case}{part}"

    def _map(self, case: str, part: str) -> npt.NDArray[Any]:
        mapped: npt.NDArray[Any] = np.load(self._part(case, part), mmap_mode="r", allow_pickle=False)
        return mapped

    def _has_size(self, case: str, part: str, seal: Seal | None) -> bool:
        path = self._part(case, part)
        return seal is not None and path.is_file() and path.stat().st_size == seal.size


def _seal(path: Path) -> Seal:
    with path.open("rb") as file:
        blocks = [hashlib.blake2b(block, digest_size=8).hexdigest() for block in iter(lambda: file.read(_BLOCK), b"")]
    return Seal(size=path.stat().st_size, blocks=tuple(blocks))
