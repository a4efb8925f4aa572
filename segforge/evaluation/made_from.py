"""What a validation was made from, by which it is recognised."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from segforge.compute.files import file_hash


def made_from(checkpoint: Path, references: Mapping[str, Path]) -> dict[str, str]:
    """Hashes of the weights and of the label maps of some cases.

    Raises:
        SegForgeError: If a file cannot be read.
    """
    labels = "\n".join(f"{case} {file_hash(path)}" for case, path in sorted(references.items()))
    return {checkpoint.name: file_hash(checkpoint), "labels": hashlib.sha256(labels.encode()).hexdigest()}


def pairs_hash(pairs: Iterable[tuple[Path, Path]]) -> str:
    """One hash of the references and predictions of some cases.

    Raises:
        SegForgeError: If a file cannot be read.
    """
    lines = sorted(f"{prediction.name} {file_hash(reference)} {file_hash(prediction)}" for reference, prediction in pairs)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
