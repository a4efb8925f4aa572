"""The names by which files are told to belong together, and the ways in which two names may be one."""

import re
from collections.abc import Collection, Sequence
from itertools import takewhile

from segforge.dataset.conversion.listing import SourceFile, without_ending
from segforge.errors import SegForgeError

CASE = "{case}"
"""Stands in a template for the part of a name that image and label map share."""

_WORD = re.compile(r"\d+|[^\W\d_]+|[\W_]")


def names_of(files: Sequence[SourceFile], *, with_folders: bool) -> dict[SourceFile, str]:
    """A name for each file.

    Args:
        files: Files of one kind.
        with_folders: Whether the folders belong to the name, because files in several are called alike. What is the same in
            all files is left out: `0/image` and `1/image` are `0` and `1`.
    """
    if not with_folders:
        return {file: file.stem for file in files}
    depths = {len(file.parts) for file in files}
    telling = [index for index in range(max(depths)) if len(depths) > 1 or len({file.parts[index] for file in files}) > 1]
    return {file: "_".join(file.parts[index] for index in telling if index < len(file.parts)) or file.stem for file in files}


def names_by_template(files: Sequence[SourceFile], template: str) -> dict[SourceFile, str]:
    """What stands for `{case}` in the name of each file that a template describes.

    A template with `/` describes the last folders and the name, one without the name alone.

    Raises:
        SegForgeError: If the template has not exactly one `{case}`.
    """
    before, mark, after = without_ending(template).partition(CASE)
    if not mark or CASE in after:
        raise SegForgeError(f'The pattern "{template}" must hold {CASE} once, for example "{CASE}_mask".')
    pattern = re.compile(f"{re.escape(before)}([^/]+){re.escape(after)}")
    depth = template.count("/") + 1
    found = {file: pattern.fullmatch("/".join(file.parts[-depth:])) for file in files}
    return {file: match[1] for file, match in found.items() if match}


def match_names(images: Collection[str], labels: Collection[str]) -> dict[str, str]:
    """The image's name for each label map's name that belongs to one.

    They are the same; or the label map's is the longer one, `Image_01L_1stHO` for `Image_01L`; or they are the same without
    what all names of a kind have in common, `21_training` and `21_manual1`. Of these ways the one that finds a label map for
    the most images is taken; then the same for the label maps that are left, which shows those of a second kind.
    """
    found = _best_match(images, labels)
    rest = set(labels) - found.keys()
    return found | _best_match(images, rest) if rest else found


def beginnings(name: str) -> list[str]:
    """The names that a name continues after a separator, the longest first."""
    return [name[:end] for end in range(len(name) - 1, 0, -1) if not name[end].isalnum()]


def _best_match(images: Collection[str], labels: Collection[str]) -> dict[str, str]:
    ways = [_same(images, labels), _longer(images, labels), _same_without_common_parts(images, labels)]
    if len(images) == len(labels) == 1:
        ways.append(dict(zip(labels, images, strict=True)))
    return max(ways, key=lambda pairs: len(set(pairs.values())))


def _same(images: Collection[str], labels: Collection[str]) -> dict[str, str]:
    return {label: label for label in labels if label in images}


def _longer(images: Collection[str], labels: Collection[str]) -> dict[str, str]:
    found = {label: next((name for name in beginnings(label) if name in images), None) for label in labels}
    return {label: image for label, image in found.items() if image}


def _same_without_common_parts(images: Collection[str], labels: Collection[str]) -> dict[str, str]:
    image_of = {rest: image for image, rest in _without_common_parts(images).items() if rest}
    return {label: image_of[rest] for label, rest in _without_common_parts(labels).items() if rest in image_of}


def _without_common_parts(names: Collection[str]) -> dict[str, str]:
    """Each name without the words and numbers with which all begin and end: `train-volume00` is `00`."""
    words = {name: _WORD.findall(name) for name in names}
    begin = _agreeing(list(words.values()))
    end = _agreeing([parts[begin:][::-1] for parts in words.values()])
    return {name: "".join(parts[begin : len(parts) - end]) for name, parts in words.items()}


def _agreeing(rows: Sequence[Sequence[str]]) -> int:
    """How many words all rows begin with."""
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, zip(*rows, strict=False)))
