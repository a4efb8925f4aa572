"""Tells label maps from pictures with shades, and finds the colours that mean labels."""

import logging
from collections.abc import Mapping, Sequence

from segforge.dataset.conversion.contents import MOST_VALUES, Facts
from segforge.dataset.conversion.listing import picture_ending
from segforge.dataset.conversion.source import SourceCase
from segforge.errors import SegForgeError

log = logging.getLogger(__name__)

_MOST_LABELS = 64  # of pictures, where more are shades or single objects
_VOLUMES = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".gipl")
_SUSPICIOUS = 8  # values up to 255


def label_colours(cases: Sequence[SourceCase], facts: Mapping[str, Facts]) -> tuple[str, ...]:
    """The colours of the label maps in the order of their label values, black first; none if all are grey.

    Raises:
        SegForgeError: If there are too many, or some label maps have values that are no colours.
    """
    found = {value: case.labels[0] for case in cases for value in facts[case.id].values or {}}
    coloured = [path for value, path in found.items() if value.startswith("#")]
    if not coloured:
        return ()
    if len(found) > _MOST_LABELS:
        raise SegForgeError(
            f"The label maps hold more than {_MOST_LABELS} colours, {coloured[0]} for example. "
            "Save them without smoothing, with one colour for each label, or name the right folder with --labels."
        )
    colours = set()
    for value, path in found.items():
        if not value.startswith("#") and not (value.isdecimal() and int(value) < 256):
            raise SegForgeError(f"{path} holds the label value {value}, {coloured[0]} holds colours. Save all in one way.")
        colours.add(as_colour(value))
    return ("#000000", *sorted(colours - {"#000000"}))


def as_colour(value: str) -> str:
    """The colour of a value between 0 and 255; colours stay as they are."""
    return value if value.startswith("#") else f"#{int(value) * 0x010101:06x}"


def refuse_shades(
    cases: Sequence[SourceCase], facts: Mapping[str, Facts], *, threshold: float | None, are_labels: bool
) -> None:
    """End with an error if the values of grey label maps are shades, and no threshold makes labels of them.

    Args:
        cases: The cases.
        facts: What they hold.
        threshold: The user's threshold.
        are_labels: Whether the user gave a name to each value that is one.

    Raises:
        SegForgeError: If a value is not whole or there are too many; shows them.
    """
    found = {value: case.labels[0] for case in cases for value in facts[case.id].values or {}}
    fractions = [path for value, path in found.items() if not value.removeprefix("-").isdecimal()]
    are_volumes = all(picture_ending(path) in _VOLUMES for path in found.values())
    most = MOST_VALUES if are_volumes or are_labels else _MOST_LABELS
    values = sorted(map(float, found))
    shown = f"{'more than ' * (len(values) > MOST_VALUES)}{min(len(values), MOST_VALUES)} values: {_shown(values)}"
    remedy = f"convert them with a limit between background and label: --threshold {(values[0] + values[-1]) / 2:.3g}"
    if threshold is not None:
        return
    if fractions or len(values) > most:
        where = f"{fractions[0]} holds fractions; the" if fractions else "The"
        raise SegForgeError(
            f"{where} label maps hold {shown}. If they are shades, {remedy}. "
            "If each is a label, name them all with --label-names name=value."
        )
    if len(values) > _SUSPICIOUS and values[-1] == 255 and not are_labels:
        log.warning("The label maps hold %s. If they are shades and no labels, %s", shown, remedy)


def _shown(values: Sequence[float]) -> str:
    words = [f"{value:g}" for value in values]
    return ", ".join(words if len(words) <= 8 else [*words[:6], "...", words[-1]])
