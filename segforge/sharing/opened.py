"""Whatever holds a model -> a folder that prediction reads: nnU-Net's models and packages are brought into one on the fly."""

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from segforge.errors import SegForgeError
from segforge.sharing.arrivals import stage_models
from segforge.sharing.nnunet_model import Wanted, import_nnunet_model, is_nnunet_model


@contextmanager
def opened_model(source: Path, *, checkpoint: str = "final", folds: Collection[str] | None = None) -> Iterator[Path]:
    """Lend the folder of a model of ours, of nnU-Net's, or of a package, as long as the block lasts.

    What is not ours is imported, with all checks, into a temporary folder that is gone afterwards; nothing is kept, so
    nothing can become outdated.

    Args:
        source: A model's folder, a data set's results, nnU-Net's model folder, or a package.
        checkpoint: `final`, `best` or `latest`.
        folds: The folds that are needed; None takes all.

    Raises:
        SegForgeError: If it cannot be imported.
    """
    if source.is_dir() and not is_nnunet_model(source):
        yield source
        return
    wanted = Wanted((checkpoint,), folds)
    with tempfile.TemporaryDirectory(prefix="segforge-") as place:
        if not source.is_dir():
            yield _of_archive(source, Path(place), wanted)
            return
        model = import_nnunet_model(source, Path(place), wanted=wanted)
        name = model.path.name.split("__", maxsplit=1)[0]
        for stage in list(model.plans.configurations)[1:]:
            if (before := _beside(source, stage)) is not None:
                import_nnunet_model(before, Path(place), name=name, wanted=Wanted((checkpoint,)))
        yield model.path


def _of_archive(source: Path, place: Path, wanted: Wanted) -> Path:
    """The folder to predict with of what a file holds: a model's, or that of a selection and its models."""
    arrivals = list(stage_models(source, place, wanted=wanted))
    models = [arrival for arrival in arrivals if arrival.is_model and arrival.is_chosen]
    if any(not arrival.is_model for arrival in arrivals):
        return arrivals[0].path.parent
    if len(models) > 1:
        names = ", ".join(model.path.name for model in models)
        raise SegForgeError(
            f"{source} holds several models, {names}. Bring them in with segforge import {source}, and name one of their "
            "folders."
        )
    return models[0].path


def _beside(source: Path, stage: str) -> Path | None:
    """The model of a previous stage by the same trainer and plans."""
    parts = source.resolve().name.split("__")
    folder = source.resolve().with_name("__".join((*parts[:-1], stage)))
    return folder if len(parts) == 3 and is_nnunet_model(folder) else None
