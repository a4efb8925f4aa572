"""Probabilities of a case on disk: nnU-Net's `.npz`, written and read head by head, and JSON beside it that says what it is."""

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from segforge.compute.documents import Document
from segforge.compute.files import whole_file
from segforge.errors import SegForgeError
from segforge.images.image import Geometry

Array = npt.NDArray[Any]

ProbabilityType = Literal["float32", "float16", "uint8"]

KEY = "probabilities"
_MEMBER = f"{KEY}.npy"
_LEVEL = 1  # of deflate: the highest makes it a tenth smaller and takes ten times as long
_LARGEST = 255  # of uint8, stands for 1


class ProbabilityFacts(Document):
    """What `CASE.npz` holds; it stands beside it as `CASE.npz.json`.

    Attributes:
        version: Version of this schema.
        heads: Names of the heads: of the labels, background first, or of the regions.
        dtype: Type of the numbers; 255 of uint8 stands for 1.
        geometry: The grid.
    """

    version: Literal[1] = 1
    heads: tuple[str, ...]
    dtype: ProbabilityType
    geometry: Geometry


def write_probabilities(path: Path, heads: Iterable[Array], facts: ProbabilityFacts) -> None:
    """Write `CASE.npz` with the array `probabilities` (heads, Z, Y, X), and `CASE.npz.json`; one head is held at a time.

    Args:
        path: The `.npz` file.
        heads: Probabilities `(Z, Y, X)` of each head in turn.
        facts: What they are.

    Raises:
        SegForgeError: If the disk is full.
    """
    shape = (len(facts.heads), *facts.geometry.shape)
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(facts.dtype)), "fortran_order": False, "shape": shape}
    with (
        whole_file(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive,
        archive.open(_MEMBER, "w", force_zip64=True) as file,
    ):
        np.lib.format.write_array_header_1_0(file, header)
        for head in heads:
            stored = np.rint(head * _LARGEST) if facts.dtype == "uint8" else head
            file.write(np.ascontiguousarray(stored, facts.dtype).data)
    facts.write(facts_path(path), durable=False)


def read_facts(path: Path) -> ProbabilityFacts:
    """What a file of probabilities holds, from the JSON beside it.

    Raises:
        SegForgeError: If it is missing or not valid.
    """
    described = facts_path(path)
    if not described.is_file():
        raise SegForgeError(f"{described} is missing, which says what {path.name} holds. Predict it again.")
    return ProbabilityFacts.read(described)


def are_written(path: Path, dtype: ProbabilityType) -> bool:
    """Whether there are probabilities of that type."""
    try:
        return path.is_file() and read_facts(path).dtype == dtype
    except SegForgeError:
        return False


def read_probabilities(path: Path) -> Iterator[Array]:
    """The probabilities `(Z, Y, X)` float32 of each head of a file in turn; also of nnU-Net's files.

    Raises:
        SegForgeError: If the file is missing, damaged or something else.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_MEMBER) as file:
            shape, dtype = _header(file)
            size = int(np.prod(shape[1:])) * dtype.itemsize
            for _ in range(shape[0]):
                content = file.read(size)
                if len(content) != size:
                    raise SegForgeError(f"{path} is truncated. Predict it again.")
                head = np.frombuffer(content, dtype).reshape(shape[1:])
                yield head / np.float32(_LARGEST) if dtype == np.uint8 else head.astype(np.float32)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SegForgeError(f"{path} holds no probabilities that can be read: {error}. Predict it again.") from error


def facts_path(path: Path) -> Path:
    """The JSON beside a file of probabilities."""
    return path.with_name(f"{path.name}.json")


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if fortran or len(shape) != 4 or dtype.name not in ("float32", "float16", "float64", "uint8"):
        raise ValueError(f"an array of {dtype} with the shape {shape}")
    return shape, dtype
