"""What a conversion did, in a few true lines."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from segforge.dataset.conversion.contents import Facts
from segforge.dataset.conversion.describing import label_shares
from segforge.dataset.conversion.listing import examples, picture_ending, without_ending
from segforge.dataset.conversion.recipe import Recipe
from segforge.dataset.conversion.source import SourceCase
from segforge.dataset.description import DatasetDescription


def summarize(
    cases: Sequence[SourceCase], facts: Mapping[str, Facts], recipe: Recipe, description: DatasetDescription
) -> Iterator[str]:
    """A line for the images, for each thing that was done to them, and for each label.

    Args:
        cases: The cases that are in the data set now.
        facts: What they hold in the source.
        recipe: What was done to them.
        description: The data set's.
    """
    found = [facts[case.id] for case in cases]
    yield describe_images(found, recipe, description)
    if any(name.startswith("channel_") for name in description.channels) and not found[0].is_2d:
        yield "  channels are normalized by their names: --channel-names CT is for computed tomography"
    if not recipe.is_dicom and (pair := _unlike_names(cases)):
        yield f"  paired by their names, {pair[0].name} with {pair[1].name} for example"
    for change in _changes(cases, found, recipe):
        yield f"  {change}"
    if turned := [case.images[0] for case in cases if facts[case.id].has_rotation_tag]:
        yield f"  {counted(len(turned), 'photograph')} to be turned by a tag ({examples(turned)}): pixels stay as stored"
    yield from describe_labels(found, recipe, description)


def describe_images(facts: Sequence[Facts], recipe: Recipe, description: DatasetDescription) -> str:
    """A line with sizes and channels."""
    channels = description.channels
    return f"  images: {_sizes(facts, recipe)}, {counted(len(channels), 'channel')} ({', '.join(channels)})"


def describe_labels(facts: Sequence[Facts], recipe: Recipe, description: DatasetDescription) -> Iterator[str]:
    """A line for each label: its value, in how many cases it is, and its share of all voxels."""
    shares = label_shares(facts, recipe)
    names = {value: name for name, value in description.labels.items() if isinstance(value, int)}
    labelled = sum(item.values is not None for item in facts)
    for value, found in shares.items():
        name = names.get(value, "(not named in dataset.json)")
        meaning = recipe.meanings[value] if recipe.meanings else ""
        known_as = f" ({meaning})" if meaning not in ("", name) else ""
        yield f"  label {value} {name}{known_as}: in {found.cases} of {labelled} cases, {found.share:.2%} of all voxels"
    for number, name in names.items() if labelled else ():
        if number not in shares:
            yield f"  label {number} {name}: in no case"


def counted(number: int, thing: str) -> str:
    """`1 case`, `2 cases`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def describe_left(left: Mapping[str, Sequence[Path]]) -> Iterator[str]:
    """A line for each kind of file that was not used."""
    for reason, paths in left.items():
        yield f"  left: {reason}: {len(paths)} ({examples(paths)})"


def _sizes(facts: Sequence[Facts], recipe: Recipe) -> str:
    if all(item.is_2d for item in facts):
        return f"{_span([item.shape[1:] for item in facts])} pixels (y, x)"
    spacing = _span([recipe.spacing or item.spacing for item in facts])
    return f"{_span([item.shape for item in facts])} voxels (z, y, x), spacing {spacing}"


def _span(rows: Sequence[Sequence[float]]) -> str:
    low, high = (" x ".join(f"{pick(axis):.4g}" for axis in zip(*rows, strict=True)) for pick in (min, max))
    return low if low == high else f"{low} to {high}"


def _unlike_names(cases: Sequence[SourceCase]) -> tuple[Path, Path] | None:
    pairs = ((case.images[0], case.labels[0]) for case in cases if len(case.images) == len(case.labels))
    return next((pair for pair in pairs if without_ending(pair[0].name) != without_ending(pair[1].name)), None)


def _changes(cases: Sequence[SourceCase], facts: Sequence[Facts], recipe: Recipe) -> Iterator[str]:
    yield from _changed_files("images", [case.images for case in cases], recipe)
    if labelled := [case.labels for case in cases if case.labels]:
        yield from _changed_files("label maps", labelled, recipe)
    if recipe.drops_alpha:
        yield "the alpha channel, constant in every image, was left out"
    if recipe.makes_grey:
        colours = [item for item in facts if recipe.channels(item.channels) != item.channels]
        yield f"colours became grey (luma) in {counted(len(colours), 'case')}"
    if recipe.splits_channels and any(item.channels > 1 for item in facts):
        yield "each channel has a file of its own"
    mixed = sum(not item.has_plain_labels for item in facts)
    if recipe.colours:
        yield "each colour of the label maps became a label value"
    elif mixed:
        yield f"{counted(mixed, 'label map')} with a palette or equal colours got one channel of plain values"
    if recipe.threshold is not None:
        yield f"label values above {recipe.threshold:g} became 1, the others 0"


def _changed_files(what: str, cases: Sequence[Sequence[Path]], recipe: Recipe) -> Iterator[str]:
    endings = Counter(picture_ending(path) for paths in cases for path in paths)
    if recipe.is_dicom:
        kind = "slice" if what == "images" else "segmentation"
        yield f"{counted(endings.total(), f'DICOM {kind}')} became {counted(len(cases), 'volume')} ({recipe.ending})"
        return
    if recipe.is_stack:
        yield f"{endings.total()} slices of {what} became {counted(len(cases), 'stack')} ({recipe.ending})"
        return
    for ending, count in endings.items():
        if ending != recipe.ending:
            files = f"{count} {what} were" if count > 1 else f"1 {what.removesuffix('s')} was"
            yield f"{files} decoded ({ending}) and written without loss ({recipe.ending})"
