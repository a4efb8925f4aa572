"""What a result was made from: raw files, recognised by content."""

from collections.abc import Iterable
from pathlib import Path

from segforge.compute.documents import Document
from segforge.compute.files import file_hash


class Source(Document):
    """A raw file that a preprocessed case came from."""

    name: str
    size: int
    modified: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Source":
        """Describe a file."""
        facts = path.stat()
        return cls(name=short_name(path), size=facts.st_size, modified=facts.st_mtime_ns, sha256=file_hash(path))

    def is_unchanged(self, path: Path, *, verify: bool = False) -> bool:
        """Whether the file still has this content; it is read only if its time of change is another, or to verify it."""
        facts = path.stat()
        if not verify and (facts.st_size, facts.st_mtime_ns) == (self.size, self.modified):
            return True
        return facts.st_size == self.size and file_hash(path) == self.sha256


def are_unchanged(sources: Iterable[Source], paths: Iterable[Path], *, verify: bool = False) -> bool:
    """Whether these are the same files with the same content, in any order."""
    found = {short_name(path): path for path in paths}
    known = list(sources)
    same_names = {source.name for source in known} == set(found)
    return same_names and all(source.is_unchanged(found[source.name], verify=verify) for source in known)


def short_name(path: Path) -> str:
    """`imagesTr/CASE_0000.nii.gz`: a workspace may be moved as a whole."""
    return f"{path.parent.name}/{path.name}"
