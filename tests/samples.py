"""Small plans for the tests."""

from segforge.planning.architecture import ArchitectureSpec
from segforge.planning.fingerprint import IntensityProperties
from segforge.planning.plans import Configuration, NormalizationSpec, Plans


def plans_for(
    spacing: tuple[float, ...], *, order=(0, 1, 2), normalization: str = "zscore", mask: bool = False, channels: int = 1
) -> Plans:
    dimensions = len(spacing)
    spec = ArchitectureSpec(
        dimensions=dimensions, input_channels=channels, output_channels=3, features=(4,), strides=((1,) * dimensions,),
        kernel_sizes=((3,) * dimensions,), encoder_blocks=(1,), decoder_convolutions=(),
    )  # fmt: skip
    configuration = Configuration(
        data="data", spacing=spacing, median_shape=(8.0,) * dimensions, patch_size=(8,) * dimensions, batch_size=2,
        batch_dice=False, normalization=(NormalizationSpec(name=normalization, use_mask=mask),) * channels, architecture=spec,
    )  # fmt: skip
    facts = IntensityProperties(max=300, mean=100, median=100, min=0, percentile_00_5=10, percentile_99_5=200, std=30)
    return Plans(
        name="test", dataset="Dataset900_Phantom", planner="default", gpu_memory=8, transpose_forward=order,
        original_median_spacing=(1, 1, 1), original_median_shape=(8, 8, 8), intensities=(facts,) * channels,
        configurations={"3d_fullres" if dimensions == 3 else "2d": configuration},
    )  # fmt: skip
