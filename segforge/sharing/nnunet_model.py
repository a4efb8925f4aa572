"""A model that nnU-Net trained -> a model folder of ours."""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from segforge.compute.documents import read_json, to_json
from segforge.compute.files import file_hash, write_text
from segforge.dataset.description import FILE_NAME as DESCRIPTION
from segforge.dataset.description import DatasetDescription, read_description
from segforge.dataset.splits import FILE_NAME as SPLITS
from segforge.dataset.splits import Fold, Splits
from segforge.errors import SegForgeError
from segforge.evaluation.summary import SUMMARY
from segforge.networks.batch_norm import with_norm
from segforge.networks.checkpoint import Checkpoint, CheckpointFacts, save_checkpoint
from segforge.networks.model_folder import BEST, FINAL, LATEST, PLANS, ModelFolder
from segforge.planning.architecture import ArchitectureSpec
from segforge.planning.fingerprint import Fingerprint
from segforge.sharing import card
from segforge.sharing.card import ModelCard, Provenance, card_of, foreground_dice
from segforge.sharing.nnunet_checkpoint import CHECKPOINTS, NnunetCheckpoint, read_nnunet_checkpoint
from segforge.sharing.nnunet_plans import plans_from_nnunet, with_reader
from segforge.sharing.nnunet_weights import has_batch_norm, weights_from_nnunet
from segforge.workspace import checked_name

log = logging.getLogger(__name__)

_OURS = {"final": FINAL, "best": BEST, "latest": LATEST}
_DEPTHS = ("", "*", "*/*")  # a model, a data set's results, all results


@dataclass(frozen=True)
class Wanted:
    """What is imported of a model.

    Attributes:
        checkpoints: Of each fold: some of `final`, `best`, `latest`.
        folds: The folds; None takes all.
    """

    checkpoints: Collection[str] = tuple(CHECKPOINTS)
    folds: Collection[str] | None = None


ALL = Wanted()
"""All checkpoints of all folds."""


def is_nnunet_model(folder: Path) -> bool:
    """Whether a folder is a model of nnU-Net's: plans, and checkpoints in folders of folds."""
    return (folder / PLANS).is_file() and any(folder.glob("fold_*/checkpoint_*.pth"))


def nnunet_models(source: Path) -> list[Path]:
    """The models of nnU-Net's in a folder: itself, or those in a data set's results or in all results.

    Raises:
        SegForgeError: If there is none.
    """
    for depth in _DEPTHS:
        found = sorted(folder for folder in (source.glob(depth) if depth else (source,)) if is_nnunet_model(folder))
        if found:
            return found
    raise SegForgeError(
        f"{source} holds no model of nnU-Net's. Name a folder with {PLANS}, {DESCRIPTION} and "
        f"fold_0/{CHECKPOINTS['final']}, or the one that such folders lie in."
    )


def folds_of(folder: Path) -> list[str]:
    """The folds of a model of nnU-Net's that have a checkpoint, in order."""
    return [fold for path in sorted(folder.glob("fold_*")) if (fold := _fold(path)) and any(path.glob("checkpoint_*.pth"))]


def dice_of_folds(folder: Path) -> dict[str, float]:
    """Mean foreground Dice of the validation of each fold of a model of nnU-Net's that has one."""
    summaries = {fold: folder / f"fold_{fold}" / "validation" / SUMMARY for fold in folds_of(folder)}
    return {fold: foreground_dice(path) for fold, path in summaries.items() if path.is_file()}


def import_nnunet_model(
    source: Path, place: Path, *, name: str | None = None, wanted: Wanted = ALL, origin: str = ""
) -> ModelFolder:
    """Write a model of nnU-Net's as one of ours.

    Args:
        source: The folder that nnU-Net made.
        place: Folder in which the model's folder is made.
        name: Name of the training; None takes the trainer's.
        wanted: What is imported.
        origin: What its card says that it came from; empty takes the folder's name.

    Raises:
        SegForgeError: If a file is missing, damaged, or asks for what SegForge does not have or would not run.
    """
    content = read_json(source / PLANS)
    description = with_reader(read_description(source / DESCRIPTION), content)
    plans = plans_from_nnunet(content, description, str(source / PLANS))
    files = _checkpoint_files(source, wanted)
    first = read_nnunet_checkpoint(files[0])
    own_name = checked_name(name or first.trainer, "training's name")
    model = ModelFolder(place / ModelFolder.name_of(own_name, plans.name, first.configuration))
    chain = plans.with_previous_stages(first.configuration)
    for path in files:
        checkpoint = first if path == files[0] else read_nnunet_checkpoint(path)
        if checkpoint.configuration != first.configuration:
            raise SegForgeError(
                f"{path} is of {checkpoint.configuration}, {files[0]} of {first.configuration}; a model has one. Take one of "
                "the two out."
            )
        _write_checkpoint(model, path, checkpoint, chain[first.configuration].architecture)
    description.write(model.path / DESCRIPTION)
    plans.model_copy(update={"configurations": chain}).write(model.path / PLANS)
    _write_facts(model, source, description)
    hashes = {path.relative_to(source).as_posix(): file_hash(path) for path in (source / PLANS, *files)}
    provenance = Provenance(program=f"nnU-Net, {first.trainer}", source=origin or source.resolve().name, files=hashes)
    _card(model, source, provenance).write(model.path / card.FILE_NAME)
    return model


def _checkpoint_files(source: Path, wanted: Wanted) -> list[Path]:
    """The checkpoints that are there; as a rule one of a kind is enough for prediction."""
    kinds = [CHECKPOINTS[kind] for kind in wanted.checkpoints]
    folders = [path for path in sorted(source.glob("fold_*")) if _fold(path) is not None]
    found = [
        folder / kind
        for folder in folders
        if wanted.folds is None or _fold(folder) in wanted.folds
        for kind in kinds
        if (folder / kind).is_file()
    ]
    if not found:
        raise SegForgeError(
            f"{source} has none of {', '.join(kinds)} in the folds that are asked for. Choose others with -f or -chk."
        )
    return found


def _fold(folder: Path) -> str | None:
    fold = folder.name.removeprefix("fold_")
    is_fold = fold == "all" or (fold.isascii() and fold.isdigit() and str(int(fold)) == fold)
    return fold if is_fold and folder.is_dir() else None


def _write_checkpoint(model: ModelFolder, path: Path, checkpoint: NnunetCheckpoint, planned: ArchitectureSpec) -> None:
    spec = with_norm(planned, "batch") if has_batch_norm(checkpoint.weights) else planned
    if any(axis >= spec.dimensions for axis in checkpoint.mirror_axes):
        raise SegForgeError(
            f"{path}: inference_allowed_mirroring_axes {checkpoint.mirror_axes} are no axes of {model.path.name}. Get the "
            "checkpoint again from where it came from."
        )
    fold = path.parent.name.removeprefix("fold_")
    facts = CheckpointFacts(
        configuration=checkpoint.configuration,
        fold=fold,
        architecture=spec,
        epoch=checkpoint.epoch,
        ema=checkpoint.ema,
        best_ema=checkpoint.best_ema,
        mirror_axes=checkpoint.mirror_axes,
        threads=1,
    )
    weights = weights_from_nnunet(checkpoint.weights, spec, str(path))
    kind = next(kind for kind, name in CHECKPOINTS.items() if name == path.name)
    save_checkpoint(model.fold(fold).path / _OURS[kind], Checkpoint(weights, {}, facts))


def _write_facts(model: ModelFolder, source: Path, description: DatasetDescription) -> None:
    """The fingerprint, and the cases of each fold, where nnU-Net's files are there."""
    fingerprint = source / model.fingerprint_path.name
    if fingerprint.is_file():
        try:
            Fingerprint.read(fingerprint).write(model.fingerprint_path)
        except SegForgeError as error:
            log.warning("%s It is left out.", error)
    for fold, cases in _cases_of_folds(source).items():
        if fold in model.begun_folds():
            write_text(model.fold(fold).cases_path, to_json(cases.model_dump(mode="json")))


def _cases_of_folds(source: Path) -> dict[str, Fold]:
    """The cases of each fold, if nnU-Net's splits lie in the model's folder or in the one above."""
    path = next((folder / SPLITS for folder in (source, source.parent) if (folder / SPLITS).is_file()), None)
    if path is None:
        return {}
    try:
        splits = Splits.model_validate(read_json(path))
    except ValueError as error:
        raise SegForgeError(f'{path} must hold a list of {{"train": [...], "val": [...]}} with case names.') from error
    return {str(number): fold for number, fold in enumerate(splits)}


def _card(model: ModelFolder, source: Path, provenance: Provenance) -> ModelCard:
    dice = {fold: value for fold, value in dice_of_folds(source).items() if fold in model.begun_folds()}
    return card_of(model).model_copy(update={"provenance": provenance, "dice": dice})
