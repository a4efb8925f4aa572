"""Reads cases, and keeps some of them decoded until they are needed again."""

from dataclasses import dataclass
from threading import Lock

from segforge.dataset.cases import Case, read_case_classes, read_case_image
from segforge.dataset.description import DatasetDescription
from segforge.images.image import Array, Image


@dataclass(frozen=True)
class DecodedCase:
    """A training case in memory.

    Attributes:
        image: `(C, Z, Y, X)` float32.
        classes: `(1, Z, Y, X)`.
    """

    image: Image
    classes: Array

    @property
    def nbytes(self) -> int:
        """Bytes of both."""
        return self.image.array.nbytes + self.classes.nbytes


class CaseReader:
    """Reads the training cases of a data set; what is read stays in memory as long as there is room.

    In other processes it has no room: what they read does not come back.
    """

    def __init__(self, description: DatasetDescription, room: int = 0) -> None:
        """Set the bytes that kept cases may take."""
        self._description = description
        self._room = room
        self._kept: dict[str, DecodedCase] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[type["CaseReader"], tuple[DatasetDescription]]:
        return CaseReader, (self._description,)

    def __contains__(self, case: object) -> bool:
        """Whether the case of that id is kept."""
        return case in self._kept

    @property
    def kept(self) -> int:
        """Bytes of the cases that are kept."""
        return sum(decoded.nbytes for decoded in self._kept.values())

    def read(self, case: Case) -> DecodedCase:
        """A case that is kept, or else read now, and kept if there is room.

        Raises:
            SegForgeError: If a file is unreadable or wrong.
        """
        if case.id in self._kept:
            return self._kept[case.id]
        decoded = self._decoded(case)
        with self._lock:
            if decoded.nbytes <= self._room:
                self._room -= decoded.nbytes
                self._kept[case.id] = decoded
        return decoded

    def take(self, case: Case) -> DecodedCase:
        """A case that was kept, which makes room for another, or else read now.

        Raises:
            SegForgeError: If a file is unreadable or wrong.
        """
        with self._lock:
            decoded = self._kept.pop(case.id, None)
            self._room += decoded.nbytes if decoded else 0
        return decoded or self._decoded(case)

    def _decoded(self, case: Case) -> DecodedCase:
        image = read_case_image(case, self._description)
        return DecodedCase(image, read_case_classes(case, image, self._description))
