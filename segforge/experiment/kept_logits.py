"""The logits of a fold's held-out cases on the network's grid, kept for ensembles and for the next stage of a cascade."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.compute.arrays import on_host
from segforge.compute.files import file_hash
from segforge.compute.wording import size
from segforge.experiment.recorded_arrays import RecordedArrays
from segforge.networks.model_folder import FINAL, FoldFolder
from segforge.preprocessing.store import CaseStore

Array = npt.NDArray[Any]

log = logging.getLogger(__name__)

FOLDER = "logits"

DEFAULT_LIMIT = 20 * 10**9
"""Bytes that the kept logits of a data set may take where nothing else is said."""

_HALF = np.dtype(np.float16)


class KeptLogits:
    """The logits of a fold's held-out cases by its final checkpoint; those that are missing or outdated are made again.

    Attributes:
        is_keeping: Whether all of them fit beside the others that the data set keeps; else they are made whenever asked for.
    """

    def __init__(
        self, fold: FoldFolder, store: CaseStore, heads: int, make: Callable[[str], Any], *, limit: int = DEFAULT_LIMIT
    ) -> None:
        """Look at what is there.

        Args:
            fold: The trained fold.
            store: The preprocessed cases.
            heads: Heads of the network.
            make: Predicts a case: logits `(heads, Z, Y, X)` of the final checkpoint, an array or a tensor.
            limit: Bytes that the logits of all the data set's models may take together.

        Raises:
            SegForgeError: If the fold is not trained, or a case is not preprocessed.
        """
        self._arrays = RecordedArrays(fold.validation / FOLDER)
        self._weights = file_hash(fold.path / FINAL)
        self._store = store
        self._make = make
        needed = sum(heads * int(np.prod(store.properties(case).new_shape)) * _HALF.itemsize for case in fold.cases().val)
        taken = kept_bytes(fold.path.parent.parent) - self._arrays.bytes
        self.is_keeping = needed + taken <= limit
        if limit and not self.is_keeping:
            log.info(
                "The logits of fold %s are not kept: they take %s, others %s, and --keep-logits is %s.",
                fold.fold, *map(size, (needed, taken, limit)),
            )  # fmt: skip

    def has(self, case: str) -> bool:
        """Whether the logits of a case are there, whole, and would come out the same."""
        return self._arrays.has(case, self.made_from(case))

    def open(self, case: str) -> Array:
        """The logits of a case, `(heads, Z, Y, X)` float16: mapped from the disk, or in memory where they are not kept."""
        return self._arrays.open(case) if self.has(case) else self.keep(case, self._make(case))

    def keep(self, case: str, logits: Any) -> Array:
        """Write the logits of a case if they are to be kept, and return what `open` would."""
        half = np.empty(logits.shape, _HALF)
        largest = np.finfo(_HALF).max
        for head, kept in zip(logits, half, strict=True):
            kept[...] = np.clip(on_host(head), -largest, largest)
        if not self.is_keeping:
            self._arrays.remove(case)
            return half
        self._arrays.write(case, half, self.made_from(case))
        return self._arrays.open(case)

    def made_from(self, case: str) -> dict[str, str]:
        """Hashes of the weights, and of what the preprocessed case is recognised by."""
        return {"weights": self._weights, "case": " ".join(map(file_hash, self._store.inputs(case)))}


def kept_folders(results: Path) -> list[Path]:
    """The folders of kept logits below a data set's results, those of results that were moved aside too."""
    return sorted(results.glob(f"*/fold_*/validation/{FOLDER}"))


def kept_bytes(results: Path) -> int:
    """What all logits that a data set keeps take on the disk."""
    return sum(RecordedArrays(folder).bytes for folder in kept_folders(results))
