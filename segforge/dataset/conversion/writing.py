"""Writes the files of one case into a raw data set: copied where they can be, else encoded again without loss."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from segforge.compute.files import whole_file
from segforge.dataset.conversion.contents import Facts
from segforge.dataset.conversion.decoding import read_source_image, read_source_labels
from segforge.dataset.conversion.listing import LOSSY, picture_ending
from segforge.dataset.conversion.recipe import Recipe
from segforge.dataset.conversion.source import SourceCase
from segforge.errors import SegForgeError
from segforge.images import tiff
from segforge.images.files import ending_of, write_volume
from segforge.images.image import Array, Geometry, Image

_NEVER_COPIED = (*LOSSY, ".mhd")  # whose voxels lie in another file


def write_case(case: SourceCase, facts: Facts, recipe: Recipe, folder: Path) -> list[Path]:
    """Write a case into `imagesTr` and `labelsTr`, or without a label map into `imagesTs`.

    The label map comes first, so that an image of the data set never lacks it.

    Returns:
        The files that were written.

    Raises:
        SegForgeError: If the data set's format cannot hold it.
    """
    images, written = folder / ("imagesTr" if case.labels else "imagesTs"), list[Path]()
    if case.labels:
        written.append(_write_labels(case, facts, recipe, folder / "labelsTr" / f"{case.id}{recipe.ending}"))
    written += _write_images(case, facts, recipe, images)
    has_sizes = recipe.ending == ".tif" and not facts.is_2d
    return [*written, *(dict.fromkeys(path.with_name(f"{case.id}.json") for path in written) if has_sizes else ())]


def can_copy(path: Path, ending: str) -> bool:
    """Whether a file can be in a data set of this ending as it is."""
    return ending_of(path) is not None and picture_ending(path) == ending and ending not in _NEVER_COPIED


def _write_images(case: SourceCase, facts: Facts, recipe: Recipe, folder: Path) -> Iterator[Path]:
    if recipe.is_stack:
        slices = [recipe.pixels(read_source_image(path).array) for path in case.images]
        yield from _write_channels(folder, case.id, recipe, _as_stack(slices))
        return
    if recipe.splits_channels and len(case.images) == 1 and facts.channels > 1:
        yield from _write_channels(folder, case.id, recipe, read_source_image(case.images[0]))
        return
    is_unchanged = recipe.channels(facts.channels) == facts.channels
    for index, path in enumerate(case.images):
        target = folder / f"{case.id}_{index:04d}{recipe.ending}"
        if is_unchanged and can_copy(path, recipe.ending):
            _copy(path, target, case.id, facts, recipe)
        else:
            image = read_source_image(path)
            _write(target, case.id, recipe, Image(recipe.pixels(image.array), image.geometry))
        yield target


def _write_channels(folder: Path, case: str, recipe: Recipe, image: Image) -> Iterator[Path]:
    for index, channel in enumerate(image.array):
        target = folder / f"{case}_{index:04d}{recipe.ending}"
        _write(target, case, recipe, Image(channel[None], image.geometry))
        yield target


def _write_labels(case: SourceCase, facts: Facts, recipe: Recipe, target: Path) -> Path:
    can_stay = facts.has_plain_labels and not recipe.maps_labels and not recipe.is_stack
    if can_stay and can_copy(case.labels[0], recipe.ending):
        _copy(case.labels[0], target, case.id, facts, recipe)
        return target
    maps = [read_source_labels(path) for path in case.labels]
    arrays = [recipe.labels(image.array)[None] for image in maps]
    _write(target, case.id, recipe, _as_stack(arrays) if recipe.is_stack else Image(arrays[0], maps[0].geometry))
    return target


def _as_stack(slices: Sequence[Array]) -> Image:
    array = np.concatenate(slices, axis=1)
    z, y, x = array.shape[1:]
    return Image(array, Geometry((z, y, x), (1.0, 1.0, 1.0)))


def _copy(path: Path, target: Path, case: str, facts: Facts, recipe: Recipe) -> None:
    if recipe.ending == ".tif" and not facts.is_2d:
        tiff.write_spacing(target.with_name(case), recipe.spacing or facts.spacing)
    with whole_file(target) as temporary:
        shutil.copyfile(path, temporary)


def _write(path: Path, case: str, recipe: Recipe, image: Image) -> None:
    if path.suffix == ".png":
        _write_png(path, image.array[:, 0])
    elif path.suffix == ".tif" and image.geometry.is_2d and len(image.array) != 2:
        _write_tiff(path, image.array[:, 0])
    elif len(image.array) > 1:
        raise SegForgeError(
            f"{path.name} would have {len(image.array)} channels, which cannot be written. Save each as a file of its own."
        )
    elif path.suffix == ".tif":
        spacing = recipe.spacing or image.geometry.spacing
        tiff.write(path, image.array[0], replace(image.geometry, spacing=spacing), case=case)
    else:
        write_volume(path, image.array[0], image.geometry)


def _write_png(path: Path, channels: Array) -> None:
    pixels = channels[0] if len(channels) == 1 else np.ascontiguousarray(channels.transpose(1, 2, 0))
    with whole_file(path) as temporary:
        Picture.fromarray(pixels).save(temporary)


def _write_tiff(path: Path, channels: Array) -> None:
    import tifffile

    is_colour = len(channels) > 2
    pixels = channels.transpose(1, 2, 0) if is_colour else channels[0]
    with whole_file(path) as temporary:
        tifffile.imwrite(temporary, pixels, photometric="rgb" if is_colour else "minisblack", compression="zlib")
