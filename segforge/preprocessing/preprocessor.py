"""One raw case to what the network sees: transposed, cropped, normalized, resampled; and the way back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segforge.compute.arrays import namespace
from segforge.compute.documents import Document
from segforge.dataset.labels import LabelScheme
from segforge.errors import SegForgeError
from segforge.images.crop import Box, bounding_box, filled, nonzero_mask
from segforge.images.grid import new_shape
from segforge.images.image import Geometry, Image
from segforge.planning.plans import Configuration, Plans
from segforge.preprocessing.locations import draw_locations
from segforge.preprocessing.normalization import find_normalization
from segforge.preprocessing.resampling import Resampling, find_resampling

Array = npt.NDArray[Any]
Shape = tuple[int, int, int]

OUTSIDE = -1
"""Label of voxels outside the non-zero region."""


class CaseProperties(Document):
    """What leads from a preprocessed case back to its original grid; axes are transposed unless said.

    Attributes:
        geometry: The grid of the original file, stored axes.
        spacing: Spacing of the case in mm.
        shape: Voxels per axis before cropping.
        crop_begin: First voxel of the crop.
        crop_end: The voxel after its last.
        new_shape: Voxels per axis after resampling.
    """

    geometry: Geometry
    spacing: tuple[float, float, float]
    shape: Shape
    crop_begin: Shape
    crop_end: Shape
    new_shape: Shape

    @property
    def box(self) -> Box:
        """The crop."""
        return Box(self.crop_begin, self.crop_end)


@dataclass(frozen=True)
class PreprocessedCase:
    """What training and inference use of a case.

    Attributes:
        image: `(C, Z, Y, X)`, float32 or as the plan says.
        classes: `(1, Z, Y, X)` int8 or int16, -1 outside the non-zero region; None without a label map.
        locations: Voxels `(k, 3)` of each structure that occurs, by its key.
        properties: The way back to the original grid.
        previous: Class map `(1, Z, Y, X)` of the previous stage (cascade), -1 outside the non-zero region, or None.
    """

    image: Array
    classes: Array | None
    locations: dict[str, npt.NDArray[np.int32]]
    properties: CaseProperties
    previous: Array | None = None

    def network_input(self, labels: int) -> Array:
        """The image; of a cascade with one 0/1 channel for each of so many foreground labels of the previous stage."""
        if self.previous is None:
            return self.image
        module, foreground = namespace(self.image), np.arange(1, labels + 1).reshape(-1, 1, 1, 1)
        one_hot = module.asarray(self.previous == foreground, dtype=module.float32, device=self.image.device)
        stacked: Array = module.concatenate([self.image, one_hot])
        return stacked


class Preprocessor:
    """Preprocesses cases for one configuration of a plan."""

    def __init__(
        self,
        plans: Plans,
        configuration: Configuration,
        labels: LabelScheme,
        place: Callable[[Array], Array] = lambda channels: channels,
    ) -> None:
        """Look up the normalizations.

        Args:
            plans: Say how channels are normalized and in which order axes come.
            configuration: One of theirs.
            labels: The labels.
            place: Brings normalized channels to where they are resampled, a device for example.

        Raises:
            SegForgeError: If a normalization or the resampling is unknown.
        """
        self._plans = plans
        self._configuration = configuration
        self._labels = labels
        self._normalizations = [find_normalization(spec.name) for spec in configuration.normalization]
        self._resampling = find_resampling(configuration.resampling.method)
        self._place = place

    def __call__(self, image: Image, classes: Array | None = None, *, with_locations: bool = True) -> PreprocessedCase:
        """Preprocess a case.

        Args:
            image: The case as read.
            classes: Its class map `(1, Z, Y, X)`, or None.
            with_locations: Whether voxels of each structure are drawn from the class map.
        """
        order = self._plans.transpose_forward
        channels = image.array.transpose(0, *(axis + 1 for axis in order))
        nonzero = nonzero_mask(channels)
        box = bounding_box(nonzero)
        channels = channels[(slice(None), *box.slices)]
        cropped = None if classes is None else classes[0].transpose(order)[box.slices]
        masked = cropped is not None or any(spec.use_mask for spec in self._configuration.normalization)
        inside = filled(nonzero[box.slices]) if masked else nonzero[box.slices]
        resampling, properties = self._geometry(image.geometry, nonzero.shape, box)
        normalized = self._normalized(channels, inside if cropped is None else inside | (cropped > 0))
        new_image = self._stored(resampling.image(self._place(normalized), self._configuration.resampling.image_order))
        del normalized
        new_classes = None
        if cropped is not None:
            marked = np.where((cropped == 0) & ~inside, OUTSIDE, cropped).astype(cropped.dtype)
            new_classes = resampling.labels(marked, self._configuration.resampling.label_order)[None]
        locations = draw_locations(new_classes[0], self._labels) if new_classes is not None and with_locations else {}
        return PreprocessedCase(new_image, new_classes, locations, properties)

    def _stored(self, image: Array) -> Array:
        largest = np.finfo(self._configuration.dtype).max
        if self._configuration.dtype != "float32" and abs(image).max() > largest:
            raise SegForgeError(
                f"has values above {largest:g} after normalization, which {self._configuration.dtype} cannot hold. "
                "Plan with --dtype float32."
            )
        module = namespace(image)
        stored: Array = module.asarray(image, dtype=getattr(module, self._configuration.dtype))
        return stored

    def _normalized(self, channels: Array, inside: npt.NDArray[np.bool_]) -> Array:
        specs = self._configuration.normalization
        result = np.empty(channels.shape, np.float32)
        for index, (normalize, spec) in enumerate(zip(self._normalizations, specs, strict=True)):
            channel = np.ascontiguousarray(channels[index])
            result[index] = normalize(channel, inside if spec.use_mask else None, self._plans.intensities[index])
        return result

    def _geometry(self, geometry: Geometry, shape: tuple[int, ...], box: Box) -> tuple[Resampling, CaseProperties]:
        order = self._plans.transpose_forward
        z, y, x = (geometry.spacing[axis] for axis in order)
        target = self._configuration.spacing if self._configuration.dimensions == 3 else (z, *self._configuration.spacing)
        shape_at_target = new_shape(box.shape, (z, y, x), target) if self._configuration.resampling.enabled else box.shape
        resampling = self._resampling.between(box.shape, shape_at_target, (z, y, x), target)
        return resampling, CaseProperties(
            geometry=geometry,
            spacing=(z, y, x),
            shape=(shape[0], shape[1], shape[2]),
            crop_begin=(box.begin[0], box.begin[1], box.begin[2]),
            crop_end=(box.end[0], box.end[1], box.end[2]),
            new_shape=resampling.new_shape,
        )
