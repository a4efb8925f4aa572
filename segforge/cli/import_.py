"""`segforge import`."""

import argparse
from pathlib import Path

from segforge.cli.parser import byte_size, path_or_none

_EXAMPLES = """\
Bring trained models in: of nnU-Net, or a package that segforge export made; or the weights of a MONAI bundle, to begin with.

  segforge import nnunet nnUNet_results/Dataset004_X/nnUNetTrainer__nnUNetPlans__3d_fullres
  segforge import nnunet exported_by_nnunet.zip
  segforge import model.segforge.zip
  segforge import https://example.org/model.segforge.zip
  segforge import monai-bundle brats_mri_segmentation
"""
_NNUNET, _BUNDLE = "nnunet", "monai-bundle"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = _EXAMPLES
    parser.add_argument(
        "source",
        nargs="+",
        metavar="[nnunet | monai-bundle] SOURCE",
        help="folder, zip file, package, or address of a file",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the models' folders (default: the workspace's results; of a bundle's weights: its pretrained)",
    )
    parser.add_argument(
        "--name", metavar="NAME", help="name of nnU-Net's trainings here, or of a bundle's weights (default: their own)"
    )
    parser.add_argument("--force", action="store_true", help="replace models that are there (default: refuse)")
    group = parser.add_argument_group("downloads")
    group.add_argument("--sha256", metavar="HASH", help="hash that the downloaded file must have (default: not compared)")
    group.add_argument("--max-size", type=byte_size, metavar="SIZE", help="of it, and unpacked: 20G, 500M (default: 64G)")


def run(options: argparse.Namespace) -> None:
    """Import, and say where the models are."""
    if options.source[0] == _BUNDLE and len(options.source) > 1:
        _import_bundle(options)
        return
    from segforge.api.sharing import ImportOptions, import_models

    limit = {} if options.max_size is None else {"most_bytes": options.max_size}
    chosen = ImportOptions(name=options.name, force=options.force, sha256=options.sha256, **limit)
    folders = import_models(
        _source(options.source), output=options.output, options=chosen, workspace=path_or_none(options.workspace)
    )
    print(f"Try: segforge predict -i IMAGES -o OUT -m {folders[0]}")


def _import_bundle(options: argparse.Namespace) -> None:
    from segforge.api.sharing import import_bundle

    path = import_bundle(
        Path(_source(options.source[1:])),
        output=options.output,
        name=options.name,
        force=options.force,
        workspace=path_or_none(options.workspace),
    )
    print(
        f"Try: segforge plan -d DATASET --network {path} --name {path.stem}\n"
        f"     segforge train DATASET 3d_fullres 0 -p {path.stem} --pretrained {path} --adapt-channels"
    )


def _source(words: list[str]) -> str:
    """The one source; the word `nnunet` before it changes nothing, as files say what they are."""
    from segforge.errors import SegForgeError

    sources = words[1:] if words[0] == _NNUNET and len(words) > 1 else words
    if len(sources) != 1:
        raise SegForgeError(f"Give one source; found {' '.join(words)}. Try: segforge import --help")
    return sources[0]
