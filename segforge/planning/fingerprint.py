"""The fingerprint of a data set: shapes, spacings and foreground intensities, with nnU-Net's keys."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from segforge.compute.documents import Document, NanFloat

FILE_NAME = "dataset_fingerprint.json"


Spacing = Annotated[float, Field(ge=1e-6, le=1e6)]
Size = Annotated[int, Field(ge=1, le=10**6)]


class IntensityProperties(Document):
    """Statistics of one channel's foreground voxels over the data set; NaN where there is no foreground."""

    max: NanFloat
    mean: NanFloat
    median: NanFloat
    min: NanFloat
    percentile_00_5: NanFloat
    percentile_99_5: NanFloat
    std: NanFloat


class Fingerprint(Document):
    """What planning knows of a data set.

    Attributes:
        spacings: Spacing of each case in mm, (z, y, x), in the order of the cases.
        shapes_after_crop: Shape of each case after cropping to its non-zero region.
        foreground_intensity_properties_per_channel: By channel number.
        median_relative_size_after_cropping: Median share of the voxels that cropping keeps.
    """

    spacings: tuple[tuple[Spacing, Spacing, Spacing], ...] = Field(min_length=1)
    shapes_after_crop: tuple[tuple[Size, Size, Size], ...] = Field(min_length=1)
    foreground_intensity_properties_per_channel: dict[str, IntensityProperties]
    median_relative_size_after_cropping: float = Field(gt=0, le=1)

    @model_validator(mode="after")
    def _one_shape_per_spacing(self) -> Self:
        if len(self.spacings) != len(self.shapes_after_crop):
            raise ValueError(f"{len(self.spacings)} spacings, but {len(self.shapes_after_crop)} shapes_after_crop")
        keys = set(self.foreground_intensity_properties_per_channel)
        if keys != {str(channel) for channel in range(len(keys))}:
            raise ValueError(
                f"foreground_intensity_properties_per_channel must be numbered from 0; found {', '.join(sorted(keys))}"
            )
        return self

    @property
    def intensities(self) -> tuple[IntensityProperties, ...]:
        """The statistics in the order of the channels."""
        properties = self.foreground_intensity_properties_per_channel
        return tuple(properties[key] for key in sorted(properties, key=int))
