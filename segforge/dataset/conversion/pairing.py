"""Which image belongs to which label map: by their names, or by templates for them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segforge.dataset.conversion.channels import with_channels
from segforge.dataset.conversion.listing import SourceFile, examples, list_files, without_ending
from segforge.dataset.conversion.naming import CASE, match_names, names_by_template, names_of
from segforge.dataset.conversion.roles import Roles, roles_by_template, tell_roles
from segforge.dataset.conversion.source import Pairing, SourceCase, with_ids
from segforge.errors import SegForgeError


@dataclass(frozen=True)
class Templates:
    """How names are made, `{case}_mask` for example; see `names_by_template`."""

    image: str | None = None
    label: str | None = None


def pair_folders(images: Path, labels: Path, templates: Templates) -> Pairing:
    """The cases of a folder of images and a folder of label maps, which may be the same or lie in each other.

    Raises:
        SegForgeError: If a folder is missing, or names do not tell what belongs together; gives the candidates.
    """
    images, labels = images.resolve(), labels.resolve()
    if images == labels:
        return pair_folder(images, templates)
    (image_files, others), (label_files, more) = list_files(images), list_files(labels)
    if labels.is_relative_to(images):
        image_files = [file for file in image_files if not file.path.is_relative_to(labels)]
    else:
        label_files = [file for file in label_files if not file.path.is_relative_to(images)]
    return _paired(Roles(tuple(image_files), tuple(label_files)), templates, sorted({*others, *more}))


def pair_folder(source: Path, templates: Templates) -> Pairing:
    """The cases of a folder that holds images and label maps, in it or in folders below it.

    Raises:
        SegForgeError: If the folder is missing, or names do not tell what belongs together; gives the candidates.
    """
    files, others = list_files(source)
    roles = roles_by_template(files, templates.label) if templates.label else tell_roles(files)
    if roles is None:
        raise SegForgeError(
            f"The names in {source} do not tell images from label maps: {examples(file.path for file in files)}. "
            f"Name their folders with --images and --labels, {_remedy(files)}"
        )
    return _paired(roles, templates, others)


def _paired(roles: Roles, templates: Templates, others: Iterable[Path]) -> Pairing:
    images, labels = _names(roles, templates)
    channels = with_channels(images, set(labels.values()))
    image_of = {name: name for name in channels} if _is_given(templates) else match_names(channels.keys(), set(labels.values()))
    labels_of = defaultdict[str, list[Path]](list)
    unmatched = [file.path for file in roles.labels if file not in labels]
    for file, label in labels.items():
        (labels_of[image_of[label]] if label in image_of else unmatched).append(file.path)
    if not any(labels_of.values()):
        raise SegForgeError(
            f"No label map ({examples(file.path for file in roles.labels)}) has a name that belongs to an image "
            f"({examples(file.path for file in roles.images)}). Check the folders, {_remedy(roles.images)}"
        )
    _refuse_several_labels(labels_of, channels)
    cases = with_ids(SourceCase(name, files, tuple(labels_of[name])) for name, files in channels.items())
    left = {
        "images that the pattern does not describe": [file.path for file in roles.images if file not in images],
        "label maps without an image": unmatched,
        "neither image nor label map by their names": [file.path for file in roles.others],
        "other files": list(others),
    }
    return Pairing(
        tuple(case for case in cases if case.labels),
        tuple(case for case in cases if not case.labels),
        {reason: tuple(paths) for reason, paths in left.items() if paths},
    )


def _names(roles: Roles, templates: Templates) -> tuple[dict[SourceFile, str], dict[SourceFile, str]]:
    if _is_given(templates):
        return names_by_template(roles.images, templates.image or CASE), names_by_template(
            roles.labels, templates.label or CASE
        )
    alike = len({file.stem for file in roles.images}) < len(roles.images)
    return names_of(roles.images, with_folders=alike), names_of(roles.labels, with_folders=alike)


def _is_given(templates: Templates) -> bool:
    return bool(templates.image or templates.label)


def _remedy(files: Sequence[SourceFile]) -> str:
    """What to type where names do not tell; files that are called alike in all folders are told by the folder."""
    names = sorted({file.stem for file in files})
    is_folder_per_case = len(names) == 2 < len(files)
    image, label = (f"{CASE}/{name}" for name in names) if is_folder_per_case else (CASE, f"{CASE}_mask")
    return f'describe the names with --image-pattern "{image}" --pattern "{label}", or list the pairs with --pairs FILE.csv.'


def _refuse_several_labels(labels_of: Mapping[str, list[Path]], images: Mapping[str, tuple[Path, ...]]) -> None:
    for name, labels in labels_of.items():
        if len(labels) > 1:
            stem = without_ending(labels[0].name)
            pattern = f'--pattern "{stem.replace(name, CASE) if name in stem else f"{CASE}_mask"}"'
            in_one_folder = len({path.parent for path in labels}) == 1
            remedy = f"describe their names with {pattern}" if in_one_folder else "name their folder with --images and --labels"
            raise SegForgeError(
                f"{images[name][0].name} has {len(labels)} label maps: {', '.join(map(str, labels))}. "
                f"Choose one kind: {remedy}."
            )
