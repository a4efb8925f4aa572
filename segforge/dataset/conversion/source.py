"""What a converter works on: the cases of a source, and what it leaves."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from segforge.dataset.conversion.listing import all_files
from segforge.errors import SegForgeError

_NOT_IN_IDS = re.compile(r"[^\w.-]")


@dataclass(frozen=True)
class SourceCase:
    """A case of the source.

    Attributes:
        id: Its name in the data set.
        images: Its image files: one or more with the channels in order, or the slices of a stack.
        labels: Its label map, or the slices of one; empty if it has none.
    """

    id: str
    images: tuple[Path, ...]
    labels: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that it is read from."""
        return all_files((*self.images, *self.labels))


@dataclass(frozen=True)
class Pairing:
    """The cases of a source.

    Attributes:
        cases: Those with a label map.
        unlabelled: Those without.
        left: Files that no case uses, by the reason.
    """

    cases: tuple[SourceCase, ...]
    unlabelled: tuple[SourceCase, ...] = ()
    left: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)


def without_unlabelled(pairing: Pairing) -> Pairing:
    """The pairing with the cases that have no label map among what is left."""
    images = tuple(path for case in pairing.unlabelled for path in case.images)
    left = {"images without a label map, which --unlabelled test takes as test cases": images} if images else {}
    return Pairing(pairing.cases, (), {**left, **pairing.left})


def with_ids(
    cases: Iterable[SourceCase], other_way: str = ", or name the cases in a list with --pairs FILE.csv (image,label,case)"
) -> tuple[SourceCase, ...]:
    """The cases, in order, with names that files can have everywhere: letters without accents, digits, dots, `-`, `_`.

    Args:
        cases: The cases.
        other_way: What the user can do besides renaming if two would be called alike.

    Raises:
        SegForgeError: If two would be called alike.
    """
    named: dict[str, SourceCase] = {}
    for case in cases:
        renamed = replace(case, id=portable_name(case.id))
        other = named.setdefault(renamed.id, renamed)
        if other is not renamed:
            raise SegForgeError(
                f"{other.images[0]} and {case.images[0]} would both be the case {renamed.id}. Rename one{other_way}."
            )
    return tuple(named.values())


def portable_name(name: str) -> str:
    """A name that files can have everywhere; accents are left out because file systems differ in how they encode them."""
    letters = (letter for letter in unicodedata.normalize("NFKD", name) if unicodedata.category(letter) != "Mn")
    return _NOT_IN_IDS.sub("_", unicodedata.normalize("NFC", "".join(letters)))
