"""The folder of preprocessed cases: plain `.npy` files, each case committed last by its `CASE.json`."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
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
_OPEN_AT_ONCE = 200  # two or three files each; many systems allow a process 1024


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
    """The preprocessed cases of one data folder, for one recipe."""

    def __init__(self, folder: Path, recipe: str, previous: Path | None = None) -> None:
        """Name the folder.

        Args:
            folder: Of the cases.
            recipe: What its cases must have been made by (`preprocessing.recipe`).
            previous: For a cascade the folder of the previous stage's maps on these cases' grids, `CASE.npy` and
                `CASE.json`, which are made elsewhere.
        """
        self.folder = folder
        self.previous = previous
        self._recipe = recipe

    def inside(self, folder: Path) -> "CaseStore":
        """A store of the same name and recipe inside another folder."""
        return CaseStore(folder / self.folder.name, self._recipe)

    def cases(self) -> list[str]:
        """Ids of the cases that are there, sorted."""
        return sorted(path.stem for path in self.folder.glob("*.json") if self._part(path.stem, ".npy").is_file())

    def is_current(self, case: str, sources: Iterable[Path], *, verify: bool = False) -> bool:
        """Whether the case is complete and would come out the same from these files.

        Args:
            case: Its id.
            sources: Its raw files.
            verify: Whether to compare all files by hash, though their sizes and times say that they are the same.
        """
        try:
            record = CaseRecord.read(self.record(case))
        except SegForgeError:
            return False
        is_whole = self._is_intact if verify else self._has_size
        complete = all(is_whole(case, part, record.seals.get(part)) for part in _PARTS)
        return complete and record.recipe == self._recipe and are_unchanged(record.sources, sources, verify=verify)

    def write(self, case: str, preprocessed: PreprocessedCase, sources: Iterable[Path]) -> None:
        """Write a case; it counts only once all of it is there."""
        self.record(case).unlink(missing_ok=True)
        assert preprocessed.classes is not None
        with whole_file(self._part(case, ".npy")) as path:
            np.save(path, preprocessed.image)
        with whole_file(self._part(case, "_seg.npy")) as path:
            np.save(path, preprocessed.classes)
        with whole_file(self._part(case, "_locations.npz")) as path:
            np.savez(path, **preprocessed.locations)  # type: ignore[arg-type]
        CaseRecord(
            recipe=self._recipe,
            sources=tuple(Source.of(path) for path in sources),
            properties=preprocessed.properties,
            seals={part: _seal(self._part(case, part)) for part in _PARTS},
        ).write(self.record(case), durable=False)

    def open(self, case: str, *, verify: bool = True) -> PreprocessedCase:
        """Map a case into memory.

        Args:
            case: Its id.
            verify: Whether to compare its files with their hashes first.

        Raises:
            SegForgeError: If the case is missing, damaged, or was made for other plans; says how to make it again.
        """
        path = self.record(case)
        if not path.is_file():
            raise SegForgeError(f"{self.folder} has no preprocessed case {case}. Run segforge plan again.")
        record = CaseRecord.read(path)
        if record.recipe != self._recipe:
            raise SegForgeError(
                f"{path} was made for other plans or labels than this training's. "
                "Run segforge plan again with the same options, without --no-preprocess."
            )
        for part in _PARTS if verify else ():
            if not self._is_intact(case, part, record.seals.get(part)):
                damaged = self._part(case, part)
                raise SegForgeError(f"{damaged} is damaged or missing. Remove {path} and run segforge plan again.")
        with np.load(self._part(case, "_locations.npz"), allow_pickle=False) as file:
            locations = {key: file[key] for key in file.files}
        image, classes = self._map(case, ".npy"), self._map(case, "_seg.npy")
        return PreprocessedCase(image, classes, locations, record.properties, self._map_of_previous_stage(case, image.shape))

    def properties(self, case: str) -> CaseProperties:
        """How a case lies in its original grid; its arrays are not looked at.

        Raises:
            SegForgeError: If the case is missing.
        """
        return CaseRecord.read(self.record(case)).properties

    def inputs(self, case: str) -> tuple[Path, ...]:
        """The files by whose hashes a network's input of this case is recognised."""
        return (self.record(case), *([self.previous / f"{case}.json"] if self.previous else []))

    def remove(self, case: str) -> None:
        """Remove a case, its record first."""
        for path in (self.record(case), *(self._part(case, part) for part in _PARTS)):
            path.unlink(missing_ok=True)

    def record(self, case: str) -> Path:
        """The file whose existence means that a case is complete."""
        return self.folder / f"{case}.json"

    def _part(self, case: str, part: str) -> Path:
        return self.folder / f"{case}{part}"

    def _map_of_previous_stage(self, case: str, shape: tuple[int, ...]) -> npt.NDArray[Any] | None:
        if self.previous is None:
            return None
        path = self.previous / f"{case}.npy"
        if not path.is_file():
            raise SegForgeError(f"{path}, the previous stage's map, is missing. Type the command again, which makes it.")
        mapped: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        if mapped.shape != (1, *shape[1:]):
            raise SegForgeError(f"{path} has the shape {mapped.shape}, the case {shape}. Remove it; it is made again.")
        return mapped

    def _map(self, case: str, part: str) -> npt.NDArray[Any]:
        mapped: npt.NDArray[Any] = np.load(self._part(case, part), mmap_mode="r", allow_pickle=False)
        return mapped

    def _has_size(self, case: str, part: str, seal: Seal | None) -> bool:
        path = self._part(case, part)
        return seal is not None and path.is_file() and path.stat().st_size == seal.size

    def _is_intact(self, case: str, part: str, seal: Seal | None) -> bool:
        return self._has_size(case, part, seal) and _seal(self._part(case, part)) == seal


class MappedCases(Mapping[str, PreprocessedCase]):
    """Cases of a store by id, mapped when they are used; only so many at once as a process may have files open."""

    def __init__(self, store: CaseStore, cases: Iterable[str]) -> None:
        """Name the cases; nothing is opened yet."""
        self._store = store
        self._cases = tuple(cases)
        self._verified: set[str] = set()
        self._open = lru_cache(_OPEN_AT_ONCE)(self._open_case)

    def __getitem__(self, case: str) -> PreprocessedCase:
        return self._open(case)

    def __iter__(self) -> Iterator[str]:
        return iter(self._cases)

    def __len__(self) -> int:
        return len(self._cases)

    def _open_case(self, case: str) -> PreprocessedCase:
        opened = self._store.open(case, verify=case not in self._verified)
        self._verified.add(case)
        return opened


def _seal(path: Path) -> Seal:
    with path.open("rb") as file:
        blocks = [hashlib.blake2b(block, digest_size=8).hexdigest() for block in iter(lambda: file.read(_BLOCK), b"")]
    return Seal(size=path.stat().st_size, blocks=tuple(blocks))
