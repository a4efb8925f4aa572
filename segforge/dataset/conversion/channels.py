"""Which images are the channels of one case."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

from segforge.dataset.conversion.listing import SourceFile
from segforge.errors import SegForgeError

_CHANNEL = re.compile(r"(.+)_(\d{4})")


def with_channels(images: Mapping[SourceFile, str], labels: Collection[str]) -> dict[str, tuple[Path, ...]]:
    """The images of each name: all channels where all are named `CASE_0000` and label maps `CASE`, else one file each.

    Args:
        images: The name of each image.
        labels: The names of the label maps.

    Raises:
        SegForgeError: If two images have one name, or a case lacks a channel that another has.
    """
    parts = {file: _CHANNEL.fullmatch(name) for file, name in images.items()}
    has_channels = all(parts.values()) and any(match and match[1] in labels for match in parts.values())
    found = defaultdict[str, dict[int, Path]](dict)
    for file, match in parts.items():
        name, channel = (match[1], int(match[2])) if match and has_channels else (images[file], 0)
        other = found[name].setdefault(channel, file.path)
        if other != file.path:
            raise SegForgeError(
                f"{other} and {file.path} have the same name. Take one away, or list the images with --pairs FILE.csv."
            )
    _refuse_missing(found)
    return {name: tuple(channels[index] for index in sorted(channels)) for name, channels in found.items()}


def _refuse_missing(found: Mapping[str, Mapping[int, Path]]) -> None:
    expected = range(max((max(channels) for channels in found.values()), default=0) + 1)
    for name, channels in found.items():
        for index in expected:
            if index not in channels:
                raise SegForgeError(
                    f"{next(iter(channels.values()))} has no {name}_{index:04d} beside it, a channel that other cases have. "
                    "Add the file, or take the case out."
                )
