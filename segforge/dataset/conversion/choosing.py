"""Decides, from what all cases hold, what is done to their files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segforge.dataset.conversion.contents import Facts
from segforge.dataset.conversion.listing import picture_ending
from segforge.dataset.conversion.recipe import Recipe
from segforge.dataset.conversion.shades import label_colours, refuse_shades
from segforge.dataset.conversion.source import SourceCase
from segforge.dataset.conversion.writing import can_copy
from segforge.errors import SegForgeError


@dataclass(frozen=True)
class Wishes:
    """What the user wants to be done to the files.

    Attributes:
        grey: Colours become one channel.
        stack: The slices of a folder become one volume.
        spacing: Voxel size (z, y, x) of TIFF volumes.
        threshold: Label values above it become 1, the others 0.
        names_labels: Whether each label value is meant as a label, however many there are.
    """

    grey: bool = False
    stack: bool = False
    spacing: tuple[float, float, float] | None = None
    threshold: float | None = None
    names_labels: bool = False


def choose_recipe(cases: Sequence[SourceCase], facts: Mapping[str, Facts], wishes: Wishes) -> Recipe:
    """The recipe for the cases that could be read.

    Files of one lossless format that need no change stay as they are. Otherwise planes become `.png`, or `.tif` where PNG
    cannot hold them, and volumes take the ending of the images, if that is one, or `.nii.gz`.

    Raises:
        SegForgeError: If cases do not fit together, or label maps hold no labels; names an example of each.
    """
    readable = [case for case in cases if case.id in facts]
    with_alpha = [item for item in facts.values() if item.has_colours and item.channels in (2, 4)]
    recipe = Recipe(
        ending="",
        is_stack=wishes.stack,
        drops_alpha=bool(with_alpha) and all(item.has_constant_alpha for item in with_alpha),
        makes_grey=wishes.grey,
        threshold=wishes.threshold,
        colours=label_colours(readable, facts),
        spacing=wishes.spacing,
    )
    refuse_differing(readable, facts, recipe)
    if not recipe.colours:
        refuse_shades(readable, facts, threshold=wishes.threshold, are_labels=wishes.names_labels)
    elif wishes.threshold is not None:
        raise SegForgeError("--threshold is for grey label maps; these have colours. Save them as grey pictures.")
    ending = _ending(readable, facts, recipe)
    has_depth = wishes.stack or not any(item.is_2d for item in facts.values())
    if wishes.spacing and not (has_depth and ending == ".tif"):
        raise SegForgeError(f"--spacing is for stacks and TIFF volumes; these are {ending} with their own or no voxel size.")
    return recipe.model_copy(update={"ending": ending})


def refuse_differing(cases: Sequence[SourceCase], facts: Mapping[str, Facts], recipe: Recipe) -> None:
    """Check that all images have as many dimensions and channels.

    Raises:
        SegForgeError: If not; names an example of each kind.
    """
    first: dict[str, Path] = {}
    for case in cases:
        item, channels = facts[case.id], recipe.channels(facts[case.id].channels)
        kind = f"is a {'plane' if item.is_2d else 'volume'} with {channels} channel{'s' * (channels > 1)}"
        first.setdefault(kind, case.images[0])
    if len(first) > 1:
        found = ", ".join(f"{path} {kind}" for kind, path in first.items())
        raise SegForgeError(f"The images are not alike: {found}. Make a data set of each kind, or of colour and grey --grey.")


def _ending(cases: Sequence[SourceCase], facts: Mapping[str, Facts], recipe: Recipe) -> str:
    if recipe.is_stack:
        return ".tif"
    of_images = {picture_ending(path) or "" for case in cases for path in case.images}
    endings = of_images | {picture_ending(path) or "" for case in cases for path in case.labels}
    found = [facts[case.id] for case in cases]
    same_pixels = all(recipe.channels(item.channels) == item.channels for item in found)
    same_labels = not recipe.maps_labels and all(item.has_plain_labels for item in found)
    if len(endings) == 1 and same_pixels and same_labels and can_copy(cases[0].images[0], endings.pop()):
        return picture_ending(cases[0].images[0]) or ""
    if found[0].is_2d:
        return ".png" if all(_fits_png(item, recipe) for item in found) else ".tif"
    only = of_images.pop()
    return only if not of_images and can_copy(cases[0].images[0], only) else ".nii.gz"


def _fits_png(facts: Facts, recipe: Recipe) -> bool:
    holds_labels = all(0 <= recipe.value(value) <= 65535 for value in facts.values or {})
    return holds_labels and (facts.dtype == "uint8" or (facts.dtype == "uint16" and recipe.channels(facts.channels) == 1))
