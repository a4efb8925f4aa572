"""A folder of arrays, one per case, each with a record of what it was made from, by which it is known to be current."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from segforge.compute.documents import Document
from segforge.compute.files import whole_file
from segforge.errors import SegForgeError

Array = npt.NDArray[Any]


class ArrayRecord(Document):
    """`CASE.json` beside `CASE.npy`: it exists only if the array is complete.

    Attributes:
        version: Version of this schema.
        made_from: Hashes of what the array was made from, and what else decides on it.
        size: Of the array's file, in bytes.
    """

    version: Literal[1] = 1
    made_from: dict[str, str]
    size: int


class RecordedArrays:
    """The arrays of a folder.

    Attributes:
        folder: The folder; it need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, case: str, made_from: Mapping[str, str]) -> bool:
        """Whether the array of a case is there, whole, and made from just that."""
        try:
            record = ArrayRecord.read(self._record(case))
        except SegForgeError:
            return False
        path = self._path(case)
        return record.made_from == made_from and path.is_file() and path.stat().st_size == record.size

    def open(self, case: str) -> Array:
        """Map the array of a case into memory."""
        mapped: Array = np.load(self._path(case), mmap_mode="r", allow_pickle=False)
        return mapped

    def write(self, case: str, array: Array, made_from: Mapping[str, str]) -> None:
        """Write the array of a case; it counts only once all of it is there."""
        self._record(case).unlink(missing_ok=True)
        with whole_file(self._path(case)) as path:
            np.save(path, array)
        record = ArrayRecord(made_from=dict(made_from), size=self._path(case).stat().st_size)
        record.write(self._record(case), durable=False)

    def remove(self, case: str) -> None:
        """Remove the array of a case, its record first."""
        for path in (self._record(case), self._path(case)):
            path.unlink(missing_ok=True)

    @property
    def bytes(self) -> int:
        """What the arrays take on the disk."""
        return sum(path.stat().st_size for path in self.folder.glob("*.npy"))

    def _path(self, case: str) -> Path:
        return self.folder / f"{case}.npy"

    def _record(self, case: str) -> Path:
        return self.folder / f"{case}.json"
