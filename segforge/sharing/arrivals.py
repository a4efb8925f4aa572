"""Models from elsewhere, whatever they come in -> model folders that are checked and ready to be moved to their place."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from segforge.errors import SegForgeError
from segforge.experiment.selection import FILE_NAME as SELECTION
from segforge.sharing.archive import MOST_BYTES, unpack
from segforge.sharing.nnunet_model import ALL, Wanted, import_nnunet_model, nnunet_models
from segforge.sharing.package import is_package, unpack_package

_OF_NNUNET = (".json", ".pth")


@dataclass(frozen=True)
class Arrival:
    """A model's folder, or a selection, that is ready.

    Attributes:
        path: Where it lies now.
        dataset: Folder name of the data set that it belongs to.
        is_chosen: Whether it is a model to predict with, not one of a previous stage alone.
    """

    path: Path
    dataset: str
    is_chosen: bool = True

    @property
    def is_model(self) -> bool:
        """Whether it is a model's folder."""
        return self.path.is_dir()


def stage_models(
    source: Path,
    staging: Path,
    *,
    origin: str = "",
    name: str | None = None,
    wanted: Wanted = ALL,
    most_bytes: int = MOST_BYTES,
) -> Iterator[Arrival]:
    """Unpack and import models into an empty folder, with all checks.

    Args:
        source: A folder or zip file of nnU-Net's, or a package.
        staging: The empty folder.
        origin: What the card of a model of nnU-Net's says that it came from; empty takes the folder's name.
        name: For models of nnU-Net's: name of the training; None takes the trainer's.
        wanted: For models of nnU-Net's: what is imported.
        most_bytes: What an archive may unpack to.

    Raises:
        SegForgeError: If something is missing, damaged or refused.
    """
    if not source.exists():
        raise SegForgeError(f"{source} is missing, a model's folder, a zip file or a package.")
    if source.is_file() and is_package(source):
        yield from _of_package(source, staging, most_bytes)
        return
    folder = source
    if source.is_file():
        folder, origin = staging / "unpacked", origin or source.name
        unpack(source, folder, wanted=lambda entry: entry.endswith(_OF_NNUNET), most_bytes=most_bytes)
    for number, model in enumerate(nnunet_models(folder)):
        imported = import_nnunet_model(model, staging / str(number), name=name, wanted=wanted, origin=origin)
        yield Arrival(imported.path, imported.plans.dataset)


def _of_package(source: Path, staging: Path, most_bytes: int) -> Iterator[Arrival]:
    manifest, models = unpack_package(source, staging, most_bytes=most_bytes)
    for model in models:
        yield Arrival(staging / model, manifest.dataset, model in manifest.models)
    if (staging / SELECTION).is_file():
        yield Arrival(staging / SELECTION, manifest.dataset)
