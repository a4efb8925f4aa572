"""Which files of one folder are images and which are label maps: told by their names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from segforge.dataset.conversion.listing import LOSSY, SourceFile, picture_ending
from segforge.dataset.conversion.naming import beginnings, names_by_template

_LABEL_WORDS = frozenset(
    ("label", "labels", "lbl", "mask", "masks", "seg", "segs", "segmentation", "segmentations", "gt", "groundtruth", "truth",
     "annotation", "annotations", "annot", "manual")
)  # fmt: skip
_IMAGE_WORDS = frozenset(
    ("image", "images", "img", "imgs", "im", "photo", "photos", "picture", "pictures", "scan", "scans", "raw", "volume",
     "volumes", "original")
)  # fmt: skip
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


@dataclass(frozen=True)
class Roles:
    """Images, label maps, and pictures that are neither."""

    images: tuple[SourceFile, ...]
    labels: tuple[SourceFile, ...]
    others: tuple[SourceFile, ...] = ()


def tell_roles(files: Sequence[SourceFile]) -> Roles | None:
    """Images and label maps among the files of one folder, or None if their names do not tell.

    Label maps are the files with a word like `mask` or `label` in their name or their folder's; else the lossless ones where
    each has a JPEG of its name beside it, or each folder has one of both; else those whose name begins with another's
    (`Image_01L_1stHO`, `Image_01L`).
    """
    return _by_words(files) or _by_endings(files) or _by_longer_names(files)


def roles_by_template(files: Sequence[SourceFile], template: str) -> Roles:
    """Label maps are the files that a template describes, images all others."""
    labels = tuple(names_by_template(files, template))
    return Roles(tuple(file for file in files if file not in labels), labels)


def _by_words(files: Sequence[SourceFile]) -> Roles | None:
    words = {file: {word.lower() for part in file.parts for word in _WORD.findall(part)} for file in files}
    telling = set.union(*words.values()) - set.intersection(*words.values())
    labels = tuple(file for file in files if words[file] & telling & _LABEL_WORDS)
    rest = tuple(file for file in files if file not in labels)
    images = tuple(file for file in rest if words[file] & telling & _IMAGE_WORDS) or rest
    others = tuple(file for file in rest if file not in images)
    return Roles(images, labels, others) if images and labels else None


def _by_longer_names(files: Sequence[SourceFile]) -> Roles | None:
    names = {file.stem for file in files}
    labels = tuple(file for file in files if names.intersection(beginnings(file.stem)))
    return Roles(tuple(file for file in files if file not in labels), labels) if labels else None


def _by_endings(files: Sequence[SourceFile]) -> Roles | None:
    lossy = tuple(file for file in files if picture_ending(file.path) in LOSSY)
    labels = tuple(file for file in files if file not in lossy)
    are_alike = {file.parts for file in labels} <= {file.parts for file in lossy}
    folders = [sorted(file.parts[:-1] for file in kind) for kind in (lossy, labels)]
    are_pairs = folders[0] == folders[1] and len(set(folders[0])) == len(folders[0])
    return Roles(lossy, labels) if labels and (are_alike or are_pairs) else None
