"""Model packages, `.segforge.zip`: models with all that prediction needs, and a hash of every file."""

import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from segforge.compute.documents import Document
from segforge.compute.files import file_hash, whole_file
from segforge.dataset.description import FILE_NAME as DESCRIPTION
from segforge.errors import SegForgeError
from segforge.experiment.selection import FILE_NAME as SELECTION
from segforge.experiment.selection import Selection
from segforge.networks.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from segforge.networks.model_folder import BEST, FINAL, LATEST, PLANS, FoldFolder, ModelFolder
from segforge.sharing import card
from segforge.sharing.archive import names_in, unpack
from segforge.sharing.card import ModelCard, card_of
from segforge.sharing.checking import check_model

ENDING = ".segforge.zip"
MANIFEST = "manifest.json"
CHECKPOINTS = {"final": FINAL, "best": BEST, "latest": LATEST}

_PART = r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*"
_FOLD = r"fold_(?:0|[1-9][0-9]*|all)"
_FILE = re.compile(
    rf"(?P<model>{_PART}__[A-Za-z0-9][A-Za-z0-9_.-]*__[A-Za-z0-9][A-Za-z0-9_.-]*)/"
    r"(?:(?:plans|dataset|settings|dataset_fingerprint|model_card)\.json"
    rf"|{_FOLD}/(?:cases\.json|checkpoint_(?:final|best|latest)\.safetensors|validation(?:_best)?/[^/]+))"
)
_STORED = (".safetensors", ".gz", ".png", ".npz")
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same models give the same bytes
_REMEDY = "Nothing was imported. Get it again from where it came from."

Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Manifest(Document):
    """What a package holds.

    Attributes:
        version: Version of this schema.
        kind: What the file is.
        program: What wrote it.
        dataset: Folder name of the data set.
        models: Names of the models' folders to predict with; others are of previous stages.
        files: SHA-256 of each file by its name in the package.
    """

    version: Literal[1] = 1
    kind: Literal["SegForge models"] = "SegForge models"
    program: str
    dataset: str = Field(pattern=rf"^Dataset\d{{3,}}_{_PART}$")
    models: tuple[str, ...] = Field(min_length=1)
    files: dict[str, Hash]


@dataclass(frozen=True)
class Contents:
    """What goes into a package.

    Attributes:
        models: The models to predict with, each with its folds, None for all.
        previous: Models of previous stages, with all their folds.
        checkpoints: Some of `final`, `best`, `latest`.
        selection: The selection that names the models.
        validation: Whether the validations' label maps go along.
        licence: Of the weights; empty keeps what the card says.
        notes: For whoever gets it; likewise.
    """

    models: Sequence[tuple[ModelFolder, Sequence[str] | None]]
    previous: Sequence[ModelFolder] = ()
    checkpoints: Sequence[str] = ("final",)
    selection: Selection | None = None
    validation: bool = False
    licence: str = ""
    notes: str = ""


def is_package(path: Path) -> bool:
    """Whether a file is a package, by what it holds."""
    return MANIFEST in names_in(path)


def write_package(path: Path, contents: Contents, staging: Path) -> None:
    """Write a package.

    Args:
        path: The file.
        contents: What goes into it.
        staging: An empty folder on the same disk, for checkpoints without optimizer state.

    Raises:
        SegForgeError: If a model is damaged, or lacks a checkpoint.
    """
    everything = [*contents.models, *((model, None) for model in contents.previous)]
    files = {name: file for model, folds in everything for name, file in _files_of(model, folds, contents, staging)}
    if contents.selection is not None:
        contents.selection.write(staging / SELECTION)
        files[SELECTION] = staging / SELECTION
    hashes = {name: file_hash(file) for name, file in sorted(files.items())}
    names = [model.path.name for model, _ in contents.models]
    facts = {"program": f"SegForge {version('segforge')}", "dataset": contents.models[0][0].plans.dataset}
    manifest = Manifest.parse(facts | {"models": names, "files": hashes}, f"The manifest of {path}")
    with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w") as file:
        file.writestr(_entry(MANIFEST), manifest.to_json())
        for name in hashes:
            with file.open(_entry(name), "w", force_zip64=True) as target:
                target.writelines(_chunks(files[name]))


def unpack_package(path: Path, folder: Path, *, most_bytes: int) -> tuple[Manifest, list[str]]:
    """Unpack a package into an empty folder, and check everything in it.

    Returns:
        Its manifest, and the names of its models' folders.

    Raises:
        SegForgeError: If a file is not listed, has another hash, is nothing that a model consists of, or does not fit.
    """
    names = set(unpack(path, folder, most_bytes=most_bytes)) - {MANIFEST}
    manifest = Manifest.read(folder / MANIFEST)
    if differing := sorted(names ^ set(manifest.files)):
        raise SegForgeError(f"{path} is refused: its manifest and its files differ in {differing[0]!a}. {_REMEDY}")
    for name, expected in manifest.files.items():
        if name != SELECTION and not _FILE.fullmatch(name):
            raise SegForgeError(f"{path} is refused: {name!a} is no part of a model. {_REMEDY}")
        if file_hash(folder / name) != expected:
            raise SegForgeError(f"{path} is refused: {name} has another hash than the manifest says. {_REMEDY}")
    models = sorted({found["model"] for name in manifest.files if (found := _FILE.fullmatch(name))})
    for model in models:
        _check(ModelFolder(folder / model), manifest, path)
    if SELECTION in manifest.files:
        _check_selection(Selection.read(folder / SELECTION), manifest, models, path)
    if missing := sorted(set(manifest.models) - set(models)):
        raise SegForgeError(f"{path} is refused: it lacks the model {missing[0]!a}. {_REMEDY}")
    return manifest, models


def _files_of(model: ModelFolder, asked: Sequence[str] | None, contents: Contents, staging: Path) -> Iterator[tuple[str, Path]]:
    """Name in the package, and file, of all that a model consists of."""
    kinds = [CHECKPOINTS[kind] for kind in contents.checkpoints]
    folds = model.folds_to_use(None if asked is None else list(asked), kinds[0])
    own = staging / model.path.name
    for path in (model.path / PLANS, model.path / DESCRIPTION, model.settings_path, model.fingerprint_path):
        if path.is_file():
            yield f"{model.path.name}/{path.name}", path
    yield f"{model.path.name}/{card.FILE_NAME}", _written_card(model, folds, contents, own / card.FILE_NAME)
    for fold in folds:
        for name, path in _files_of_fold(model.fold(fold), kinds, own / f"fold_{fold}", validation=contents.validation):
            yield f"{model.path.name}/fold_{fold}/{name}", path


def _files_of_fold(
    folder: FoldFolder, checkpoints: Sequence[str], staging: Path, *, validation: bool
) -> Iterator[tuple[str, Path]]:
    for kind in checkpoints:
        loaded = load_checkpoint(folder.path / kind)
        save_checkpoint(staging / kind, Checkpoint(loaded.weights, {}, loaded.facts))
        yield kind, staging / kind
    if folder.cases_path.is_file():
        yield folder.cases_path.name, folder.cases_path
    if validation and folder.validation.is_dir():
        for path in sorted(path for path in folder.validation.iterdir() if path.is_file()):
            yield f"{folder.validation.name}/{path.name}", path


def _written_card(model: ModelFolder, folds: Sequence[str], contents: Contents, path: Path) -> Path:
    own = card_of(model)
    said = {"licence": contents.licence or own.licence, "notes": contents.notes or own.notes}
    chosen = {"folds": tuple(folds), "dice": {fold: dice for fold, dice in own.dice.items() if fold in folds}}
    own.model_copy(update=said | chosen).write(path)
    return path


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _LONG_AGO)
    entry.external_attr = 0o100644 << 16
    entry.compress_type = zipfile.ZIP_STORED if name.endswith(_STORED) else zipfile.ZIP_DEFLATED
    return entry


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            yield chunk


def _check(model: ModelFolder, manifest: Manifest, path: Path) -> None:
    check_model(model)
    plans = model.plans
    name, _ = model.configuration(plans)
    if model.path.name.split("__", maxsplit=1)[1] != f"{plans.name}__{name}" or plans.dataset != manifest.dataset:
        raise SegForgeError(f"{path} is refused: {model.path.name} holds {plans.name}, {name} of {plans.dataset}. {_REMEDY}")
    if (model.path / card.FILE_NAME).is_file():
        ModelCard.read(model.path / card.FILE_NAME)


def _check_selection(selection: Selection, manifest: Manifest, models: Sequence[str], path: Path) -> None:
    if selection.dataset != manifest.dataset or not set(selection.models) <= set(models):
        raise SegForgeError(f"{path} is refused: its selection names {', '.join(selection.models)}, which it lacks. {_REMEDY}")
