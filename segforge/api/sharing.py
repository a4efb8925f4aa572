"""`segforge import`, `export`, `models` and `show` as functions."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segforge.errors import SegForgeError
from segforge.experiment.candidates import trained_models
from segforge.experiment.choice import Choice, choose, previous_model_of
from segforge.experiment.selection import read_selection
from segforge.networks.checkpoint import save_checkpoint
from segforge.sharing.archive import MOST_BYTES
from segforge.sharing.arrivals import Arrival, stage_models
from segforge.sharing.card import ModelCard, card_of
from segforge.sharing.download import download, is_address
from segforge.sharing.nnunet_export import export_to_nnunet
from segforge.sharing.nnunet_results import cards_in_place
from segforge.sharing.opened import opened_model
from segforge.sharing.package import CHECKPOINTS, ENDING, Contents, write_package
from segforge.sharing.staging import arrive, staging_folder
from segforge.workspace import Workspace, checked_name, find_workspace

log = logging.getLogger(__name__)

Format = Literal["segforge", "nnunet", "onnx"]

_DATASET = re.compile(r"Dataset(\d{3,})_[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")


@dataclass(frozen=True)
class ImportOptions:
    """How models are imported.

    Attributes:
        name: For models of nnU-Net's: name of the training; None takes the trainer's.
        force: Whether models that are there are replaced.
        sha256: The hash that a downloaded file must have.
        most_bytes: What a package, or a download, may take.
    """

    name: str | None = None
    force: bool = False
    sha256: str | None = None
    most_bytes: int = MOST_BYTES


@dataclass(frozen=True)
class ExportOptions:
    """What is exported, and as what.

    Attributes:
        format: `segforge` for a package, `nnunet` for a folder that nnU-Net predicts with, `onnx` for one of networks as ONNX.
        folds: The folds; None takes those that prediction would.
        checkpoints: Of each fold: some of `final`, `best`, `latest`.
        validation: Whether a package holds the validations' label maps.
        licence: Of the weights; empty takes what the model's card or `dataset.json` says.
        notes: For whoever gets the package.
        force: Whether a file or folder that is there is replaced.
    """

    format: Format = "segforge"
    folds: Sequence[str] | None = None
    checkpoints: Sequence[str] = ("final",)
    validation: bool = False
    licence: str = ""
    notes: str = ""
    force: bool = False

    def __post_init__(self) -> None:
        if unknown := [kind for kind in self.checkpoints if kind not in CHECKPOINTS]:
            raise SegForgeError(f"There is no checkpoint {unknown[0]}. Choose from {', '.join(CHECKPOINTS)}.")


def import_models(
    source: Path | str,
    *,
    output: Path | None = None,
    options: ImportOptions = ImportOptions(),
    workspace: Path | None = None,
) -> list[Path]:
    """Bring models from elsewhere into the workspace's results: nnU-Net's, or a package of SegForge's.

    Everything is checked before it is moved to its place; nothing in the files is run.

    Args:
        source: A folder or zip file of nnU-Net's, a package, or the address of such a file.
        output: Folder for the models' folders, instead of the data set's results; no workspace is needed then.
        options: How.
        workspace: The workspace folder; None finds it.

    Returns:
        The models' folders.

    Raises:
        SegForgeError: If something is damaged, refused, or there already; nothing has changed then.
    """
    place = output or find_workspace(workspace).results
    with staging_folder(place) as staging:
        path, origin = Path(source), Path(source).name if is_address(str(source)) else ""
        if is_address(str(source)):
            path = download(str(source), place, most_bytes=options.most_bytes, sha256=options.sha256)
        try:
            arrivals = list(stage_models(path, staging, origin=origin, name=options.name, most_bytes=options.most_bytes))
        finally:
            if is_address(str(source)):
                path.unlink(missing_ok=True)
        targets = [_target(arrival, output, workspace) for arrival in arrivals]
        if len(set(targets)) < len(targets):
            raise SegForgeError(f"{source} holds models of the same name. Import one after the other, with another --name.")
        imported = [target for arrival, target in zip(arrivals, targets, strict=True) if arrival.is_model]
        arrive([(arrival.path, target) for arrival, target in zip(arrivals, targets, strict=True)], force=options.force)
    log.info("Imported %s.", ", ".join(map(str, imported)))
    return imported


def import_bundle(
    source: Path, *, output: Path | None = None, name: str | None = None, force: bool = False, workspace: Path | None = None
) -> Path:
    """Bring the network and the weights of a MONAI bundle in, to begin trainings with; nothing in it is run.

    Args:
        source: The bundle's folder.
        output: Folder for the file, instead of the workspace's `pretrained/`; no workspace is needed then.
        name: Its name; None takes the bundle's.
        force: Whether a file that is there is replaced.
        workspace: The workspace folder; None finds it.

    Returns:
        The file, a checkpoint; what it was made from stands beside it as JSON.

    Raises:
        SegForgeError: If something is missing, damaged, refused, or there already; nothing has changed then.
    """
    from segforge.sharing.monai_bundle import read_bundle

    place = output or find_workspace(workspace).pretrained
    target = place / f"{checked_name(name or source.resolve().name, 'name of the weights')}.safetensors"
    bundle = read_bundle(source)
    with staging_folder(place) as staging:
        ready = staging / target.name
        save_checkpoint(ready, bundle.checkpoint)
        bundle.provenance.write(ready.with_suffix(".json"))
        pairs = [(ready, target), (ready.with_suffix(".json"), target.with_suffix(".json"))]
        arrive(pairs, force=force)
    log.info("Imported %s.", bundle.described)
    return target


def export_model(
    model: Path | str | int,
    output: Path,
    *,
    configuration: str | None = None,
    plans: str | None = None,
    name: str | None = None,
    options: ExportOptions = ExportOptions(),
    workspace: Path | None = None,
) -> Path:
    """Write a model for others.

    Args:
        model: A model's folder, a data set's results folder, or the number or name of a data set of the workspace.
        output: The package's file, or the folder for nnU-Net.
        configuration: Which of the data set's models; None takes the selection of `find_best`, else the only one.
        plans: Name of its plans.
        name: Name of its training.
        options: What, and as what.
        workspace: The workspace folder; None finds it.

    Returns:
        The file or folder.

    Raises:
        SegForgeError: If none or several models fit, or the format cannot hold it.
    """
    folder = _folder_of(model, workspace)
    choice = choose(folder, configuration=configuration, plans=plans, name=name)
    if options.format == "segforge" and not output.name.endswith(ENDING):
        output = output.with_name(output.name.removesuffix(".zip") + ENDING)
    with staging_folder(output.resolve().parent) as staging:
        ready = staging / "exported"
        if options.format != "segforge":
            _write_folder(choice, ready, options)
        else:
            write_package(ready, _contents(choice, folder, options), staging / "files")
        arrive([(ready, output)], force=options.force)
    log.info("Exported %s to %s.", " and ".join(each.path.name for each in choice.models), output)
    return output


def list_models(workspace: Path | None = None) -> dict[Path, ModelCard]:
    """The cards of all trained models of a workspace, and of nnU-Net's in `nnUNet_results`, by folder."""
    place = find_workspace(workspace)
    folders = sorted(folder for folder in place.results.glob("Dataset*") if folder.is_dir())
    ours = {model.path: card_of(model) for folder in folders for model in trained_models(folder)}
    return ours | dict(cards_in_place(place.more_results))


def show_model(model: Path | str) -> ModelCard:
    """The card of a model: of its folder, or of a package with one model.

    Raises:
        SegForgeError: If there is no model.
    """
    with opened_model(Path(model)) as folder:
        return card_of(choose(folder).models[0])


def _target(arrival: Arrival, output: Path | None, workspace: Path | None) -> Path:
    if output is not None:
        return output / arrival.path.name
    place, name = find_workspace(workspace), arrival.dataset
    found = _DATASET.fullmatch(name)
    others = [] if found is None else [other for other in place.dataset_names() if other.startswith(f"Dataset{found[1]}_")]
    if found is None or (others and name not in others):
        reason = f"the number belongs to {others[0]} here" if others else "such a name is no data set's here"
        raise SegForgeError(f"The model was trained on {name}; {reason}. Give a folder for it with -o.")
    return place.results / name / arrival.path.name


def _folder_of(model: Path | str | int, workspace: Path | None) -> Path:
    """The folder that is meant; a folder comes before a data set of that name."""
    folder = Path(str(model))
    if folder.is_dir():
        return folder
    place: Workspace = find_workspace(workspace)
    return place.results / place.dataset_name(str(model))


def _contents(choice: Choice, folder: Path, options: ExportOptions) -> Contents:
    folds = options.folds or choice.folds
    names = [model.path.name for model in choice.models]
    previous = {before.path.name: before for model in choice.models if (before := previous_model_of(model)) is not None}
    selection = read_selection(folder) if choice.postprocessing is not None else None
    if selection is not None and options.folds:
        selection = selection.model_copy(update={"folds": tuple(options.folds)})
    return Contents(
        models=[(model, folds) for model in choice.models],
        previous=[model for name, model in previous.items() if name not in names],
        checkpoints=options.checkpoints,
        selection=selection,
        validation=options.validation,
        licence=options.licence,
        notes=options.notes,
    )


def _write_folder(choice: Choice, folder: Path, options: ExportOptions) -> None:
    if len(choice.models) > 1:
        names = ", ".join(model.path.name for model in choice.models)
        raise SegForgeError(f"Such a folder holds one model, the selection has {names}. Choose one with -c, -p, --name.")
    if choice.postprocessing is not None and choice.postprocessing.steps:
        log.warning("Such a folder holds no postprocessing; that of the selection is left out. A package holds it.")
    (model,) = choice.models
    folds = options.folds or choice.folds
    chosen = model.folds_to_use(list(folds) if folds else None, CHECKPOINTS[options.checkpoints[0]])
    if options.format == "nnunet":
        export_to_nnunet(model, chosen, options.checkpoints, folder)
        return
    from segforge.sharing.onnx_export import export_to_onnx

    export_to_onnx(model, chosen, CHECKPOINTS[options.checkpoints[0]], folder)
