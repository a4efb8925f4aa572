"""Folders that appear whole or not at all: made beside their place, and renamed at the end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from segforge.compute.files import temporary_folder
from segforge.errors import SegForgeError


@contextmanager
def staging_folder(place: Path) -> Iterator[Path]:
    """Lend an empty folder inside `place`, hidden, which is gone when the block ends; and `place` too, if it was not there."""
    made = [folder for folder in (place, *place.parents) if not folder.exists()]
    try:
        with temporary_folder(place) as folder:
            yield folder
    except OSError as error:
        raise SegForgeError(f"{place} cannot be written to: {error.strerror or error}. Check its permissions.") from error
    finally:
        for empty in made:
            with suppress(OSError):
                empty.rmdir()


def arrive(staged: Sequence[tuple[Path, Path]], *, force: bool) -> None:
    """Rename files and folders to their places.

    Args:
        staged: What is ready, on the same file system, and its place.
        force: Whether what is there is replaced.

    Raises:
        SegForgeError: If something is there and is not to be replaced; nothing has been renamed then.
    """
    if not force and (there := [str(target) for _, target in staged if target.exists()]):
        raise SegForgeError(f"{' and '.join(there)} exists already. Remove it, or replace it with --force.")
    for ready, target in staged:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir() and not target.is_symlink():
            target.replace(ready.with_name(f"{ready.name}.replaced"))
        ready.replace(target)
