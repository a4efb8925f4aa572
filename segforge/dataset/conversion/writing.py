"""Writes the files of one case into a raw data set: copied where they can be, else encoded again without loss."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from segforge.compute.documents import to_json
from segforge.compute.files import whole_file, write_text
from segforge.dataset.conversion.contents import Facts
from segforge.dataset.conversion.decoding import read_source_image, read_source_labels
from segforge.dataset.conversion.listing import LOSSY, picture_ending
from segforge.dataset.conversion.recipe import Recipe
from segforge.dataset.conversion.source import SourceCase
from segforge.errors import SegForgeError
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
        written += _sized(folder / "labelsTr" / case.id, facts, recipe)
        written.append(_write_labels(case, facts, recipe, folder / "labelsTr" / f"{case.id}{recipe.ending}"))
    written += _sized(images / case.id, facts, recipe)
    return [*written, *_write_images(case, facts, recipe, images)]


def can_copy(path: Path, ending: str) -> bool:
    """Whether a file can be in a data set of this ending as it is."""
    return ending_of(path) is not None and picture_ending(path) == ending and ending not in _NEVER_COPIED


def _write_images(case: SourceCase, facts: Facts, recipe: Recipe, folder: Path) -> Iterator[Path]:
    if recipe.is_stack:
        slices = [recipe.pixels(read_source_image(path).array) for path in case.images]
        stacked = np.concatenate(slices, axis=1)
        yield from _write_channels(folder, case.id, recipe, Image(stacked, _geometry_of_stack(stacked)))
        return
    if recipe.splits_channels and len(case.images) == 1 and facts.channels > 1:
        yield from _write_channels(folder, case.id, recipe, read_source_image(case.images[0]))
        return
    is_unchanged = recipe.channels(facts.channels) == facts.channels
    for index, path in enumerate(case.images):
        target = folder / f"{case.id}_{index:04d}{recipe.ending}"
        if is_unchanged and can_copy(path, recipe.ending):
            _copy(path, target)
        else:
            image = read_source_image(path)
            _write(target, Image(recipe.pixels(image.array), image.geometry))
        yield target


def _write_channels(folder: Path, case: str, recipe: Recipe, image: Image) -> Iterator[Path]:
    for index, channel in enumerate(image.array):
        target = folder / f"{case}_{index:04d}{recipe.ending}"
        _write(target, Image(channel[None], image.geometry))
        yield target


def _write_labels(case: SourceCase, facts: Facts, recipe: Recipe, target: Path) -> Path:
    can_stay = facts.has_plain_labels and not recipe.maps_labels and not recipe.is_stack
    if can_stay and can_copy(case.labels[0], recipe.ending):
        _copy(case.labels[0], target)
        return target
    slices = [read_source_labels(path) for path in case.labels]
    labels = np.concatenate([recipe.labels(image.array) for image in slices])
    geometry = _geometry_of_stack(labels[None]) if recipe.is_stack else slices[0].geometry
    _write(target, Image(labels[None], geometry))
    return target


def _sized(path: Path, facts: Facts, recipe: Recipe) -> list[Path]:
    """`CASE.json` with the voxel size, which a TIFF volume has beside it."""
    if recipe.ending != ".tif" or facts.is_2d:
        return []
    target = path.with_name(f"{path.name}.json")
    write_text(target, to_json({"spacing": list(recipe.spacing or facts.spacing)}))
    return [target]


def _geometry_of_stack(array: Array) -> Geometry:
    z, y, x = array.shape[1:]
    return Geometry((z, y, x), (1.0, 1.0, 1.0))


def _copy(path: Path, target: Path) -> None:
    with whole_file(target) as temporary:
        shutil.copyfile(path, temporary)


def _write(path: Path, image: Image) -> None:
    if path.suffix == ".png":
        _write_png(path, image.array[:, 0])
    elif path.suffix == ".tif":
        _write_tiff(path, image)
    elif len(image.array) == 1:
        write_volume(path, image.array[0], image.geometry)
    else:
        raise SegForgeError(
            f"{path.name} would have {len(image.array)} channels, which cannot be written. Save each as a file of its own."
        )


def _write_png(path: Path, channels: Array) -> None:
    pixels = channels[0] if len(channels) == 1 else np.ascontiguousarray(channels.transpose(1, 2, 0))
    with whole_file(path) as temporary:
        Picture.fromarray(pixels).save(temporary)


def _write_tiff(path: Path, image: Image) -> None:
    import tifffile

    array = image.array[:, 0] if image.geometry.is_2d else image.array
    if image.geometry.is_2d and len(array) > 2:
        pixels, kind = array.transpose(1, 2, 0), "rgb"
    elif len(array) == 1:
        pixels, kind = array[0], "minisblack"
    else:
        raise SegForgeError(f"{path.name} would be a stack with {len(array)} channels. Save each as a file of its own.")
    with whole_file(path) as temporary:
        tifffile.imwrite(temporary, pixels, photometric=kind, compression="zlib")
