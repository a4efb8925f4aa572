"""`dataset.json` from what was found in the files."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from segforge.compute.wording import counted
from segforge.dataset.conversion.contents import Facts
from segforge.dataset.conversion.recipe import Recipe
from segforge.dataset.description import DatasetDescription
from segforge.dataset.labels import BACKGROUND, LabelScheme
from segforge.errors import SegForgeError

_COLOURS = {1: ("grey",), 2: ("grey", "alpha"), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}


@dataclass(frozen=True)
class Names:
    """What the user calls the channels and labels; None for names by their numbers.

    Attributes:
        channels: A name for each channel.
        labels: A name for each label value above 0 in order, with or without `background`; or `name=value` for some.
    """

    channels: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None

    @property
    def are_labels_by_value(self) -> bool:
        """Whether label values are named one by one, so that each is meant as a label."""
        return bool(self.labels) and all("=" in name for name in self.labels or ())


@dataclass(frozen=True)
class LabelShare:
    """How often a label value occurs: in how many cases, and in what part of all voxels."""

    cases: int
    share: float


def describe_cases(facts: Sequence[Facts], recipe: Recipe, names: Names) -> DatasetDescription:
    """The description of cases that all have as many channels as the first.

    Raises:
        SegForgeError: If there is no label besides 0, or the names do not fit; lists what was found.
    """
    return DatasetDescription(
        channel_names={str(index): name for index, name in enumerate(_channel_names(facts[0], recipe, names.channels))},
        labels={**label_names(list(label_shares(facts, recipe)), names.labels, recipe.meanings)},
        num_training=sum(item.values is not None for item in facts),
        file_ending=recipe.ending,
    )


def label_shares(facts: Iterable[Facts], recipe: Recipe) -> dict[int, LabelShare]:
    """The label values in the data set, in order, and how often each occurs."""
    cases, voxels = Counter[int](), Counter[int]()
    for item in facts:
        found = Counter[int]()
        for value, count in (item.values or {}).items():
            found[recipe.value(value)] += count
        cases.update(found.keys())
        voxels.update(found)
    return {value: LabelShare(cases[value], voxels[value] / voxels.total()) for value in sorted(voxels)}


def label_names(values: Sequence[int], typed: Sequence[str] | None, meanings: Sequence[str] = ()) -> dict[str, int]:
    """The `labels` of a `dataset.json`, background first.

    Args:
        values: The values that occur.
        typed: The names that the user wants, in the order of the values above 0, with or without `background`; or
            `name=value` for some of them.
        meanings: What each value is in the source, after which values are then called: a colour, or the label of a segment.

    Raises:
        SegForgeError: If no value but 0 occurs, or the names do not fit the values.
    """
    found = [value for value in values if value != 0]
    if not found:
        raise SegForgeError("The label maps hold nothing but 0, the background. Check that they are the right ones.")
    names = {value: meanings[value] if meanings else f"label_{value}" for value in found}
    if typed:
        names |= _by_value(typed, found) if any("=" in name for name in typed) else _in_order(typed, found)
    labels = {BACKGROUND: 0} | {name: value for value, name in names.items()}
    if len(labels) <= len(names):
        raise SegForgeError(
            f"Each label needs a name of its own, other than {BACKGROUND}; found {', '.join(names.values())}. "
            "Give other names with --label-names."
        )
    try:
        LabelScheme.from_description(labels)
    except SegForgeError as error:
        raise SegForgeError(f"--label-names: {error}") from error
    return labels


def _in_order(typed: Sequence[str], found: Sequence[int]) -> dict[int, str]:
    given = typed[1:] if typed[0] == BACKGROUND else typed
    if len(given) != len(found):
        raise SegForgeError(
            f"--label-names has {len(given)} names besides {BACKGROUND}, the label maps {len(found)} values besides 0: "
            f"{', '.join(map(str, found[:12]))}. Give a name for each, or name=value for some."
        )
    return dict(zip(found, given, strict=True))


def _by_value(typed: Sequence[str], found: Sequence[int]) -> dict[int, str]:
    names = {}
    for word in typed:
        name, _, value = word.rpartition("=")
        if not name or not value.removeprefix("-").isdecimal() or int(value) not in (0, *found):
            raise SegForgeError(
                f"--label-names {word}: give name=value with one of the values that occur: {', '.join(map(str, found[:12]))}."
            )
        if int(value) != 0:
            names[int(value)] = name
    return names


def _channel_names(facts: Facts, recipe: Recipe, typed: Sequence[str] | None) -> Sequence[str]:
    channels = recipe.channels(facts.channels)
    if typed and len(typed) != channels:
        raise SegForgeError(
            f"--channel-names has {counted(len(typed), 'name')} ({' '.join(typed)}), the images have "
            f"{counted(channels, 'channel')}. Give a name for each."
        )
    numbered = [f"channel_{index}" for index in range(channels)]
    by_itself = _COLOURS.get(channels, numbered) if facts.has_colours else numbered
    return typed or by_itself
