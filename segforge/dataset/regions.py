"""Regions in plain sight: which value each of them writes, and what every label value becomes in the end."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from segforge.errors import SegForgeError

log = logging.getLogger(__name__)

Regions = Mapping[str, tuple[int, ...]]


def written_values(regions: Regions, order: Sequence[int] | None) -> tuple[int, ...]:
    """The value that each region writes, in the order in which they write, later ones over earlier ones.

    Args:
        regions: Name to label values, in the order of `labels` in `dataset.json`.
        order: `regions_class_order`.

    Raises:
        SegForgeError: If the order does not have a value of its own for each region; shows the table.
    """
    names = ", ".join(regions)
    if order is None or len(order) != len(regions):
        found = "is missing" if order is None else f"has {len(order)} values"
        raise SegForgeError(
            f"regions_class_order {found}; it needs one for each of the {len(regions)} regions {names}: the value that the "
            f"region writes over those before it.\n{table(regions, order)}"
        )
    values = {value for region in regions.values() for value in region}
    if unknown := sorted(set(order) - values):
        found = ", ".join(map(str, unknown))
        raise SegForgeError(
            f"regions_class_order holds {found}, which no region contains. Take values of the regions.\n{table(regions, order)}"
        )
    return tuple(order)


def warn_of_changed_labels(regions: Regions, order: Sequence[int], source: Path) -> None:
    """Show the table if a label would not come out as it went in.

    That is right where a region stands for labels that nobody needs apart, and a mistake in the order otherwise.
    """
    if any(_result(value, regions, order) != value for region in regions.values() for value in region):
        log.warning(
            "%s: by regions_class_order %s not every label comes out as itself:\n%s", source, list(order), table(regions, order)
        )


def table(regions: Regions, order: Sequence[int] | None) -> str:
    """For each label value the regions that it belongs to, and the value that a voxel in just these regions gets."""
    rows = [("label value", "is in", "becomes")]
    for value in sorted({value for region in regions.values() for value in region}):
        inside = [name for name, region in regions.items() if value in region]
        result = _result(value, regions, order or ())
        rows.append((str(value), ", ".join(inside), "?" if result is None else str(result)))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(f"  {first:<{widths[0]}}  {second:<{widths[1]}}  {third}" for first, second, third in rows)


def _result(value: int, regions: Regions, order: Sequence[int]) -> int | None:
    """What is written last over a voxel that was labelled with a value; None where `order` is too short to tell."""
    result: int | None = None
    for index, region in enumerate(regions.values()):
        if value in region:
            result = order[index] if index < len(order) else None
    return result
