"""The memory estimate, summed up by hand convolution by convolution."""

from segforge.planning.architecture import ArchitectureSpec
from segforge.planning.memory import estimate


def spec(network: str, blocks: tuple[int, ...], decoder: int, strides: tuple[tuple[int, int], ...]) -> ArchitectureSpec:
    return ArchitectureSpec(
        network=network,
        dimensions=2,
        input_channels=7,
        output_channels=3,
        features=(4, 8, 8),
        strides=strides,
        kernel_sizes=((3, 3),) * 3,
        encoder_blocks=blocks,
        decoder_convolutions=(decoder,) * 2,
    )


def test_plain_unet_is_counted_convolution_by_convolution() -> None:
    # 8 x 8, 4 x 4 and 4 x 2 voxels: 64, 16, 8.
    encoder = 2 * 4 * 64 + 2 * 8 * 16 + 2 * 8 * 8
    decoder = (8 * 16 + 2 * 8 * 16) + (4 * 64 + 2 * 4 * 64)
    head = 5 * 64
    plain = spec("plain_unet", (2, 2, 2), 2, ((1, 1), (2, 2), (1, 2)))
    assert estimate(plain, (8, 8), head_channels=5) == encoder + decoder + head


def test_residual_unet_counts_stem_blocks_and_skips() -> None:
    stem = 4 * 64
    first = 2 * 4 * 64
    second = 3 * 2 * 8 * 16 + 8 * 16  # channels and size change: one more
    third = 2 * 2 * 8 * 8 + 8 * 8  # only the size changes: a pooling, counted all the same
    decoder = (8 * 16 + 8 * 16) + (4 * 64 + 4 * 64)
    residual = spec("residual_encoder_unet", (1, 3, 2), 1, ((1, 1), (2, 2), (1, 2)))
    assert estimate(residual, (8, 8), head_channels=5) == stem + first + second + third + decoder + 5 * 64


def test_residual_stage_that_changes_nothing_has_no_convolution_in_its_skip() -> None:
    residual = spec("residual_encoder_unet", (1, 3, 2), 1, ((1, 1), (2, 2), (1, 1)))
    strided = spec("residual_encoder_unet", (1, 3, 2), 1, ((1, 1), (2, 2), (2, 2)))
    at_third = 2 * 2 * 8
    assert estimate(residual, (8, 8), 5) - estimate(strided, (8, 8), 5) == at_third * 16 - (at_third + 8) * 4


def test_residual_skip_counts_where_only_the_channels_change() -> None:
    residual = spec("residual_encoder_unet", (1, 1, 1), 1, ((1, 1), (1, 1), (1, 1)))
    encoder = 4 + 2 * 4 + (2 * 8 + 8) + 2 * 8
    decoder = (8 + 8) + (4 + 4)
    assert estimate(residual, (8, 8), 0) == (encoder + decoder) * 64


def test_sizes_divide_as_integers() -> None:
    plain = spec("plain_unet", (1, 1, 1), 1, ((1, 1), (2, 2), (2, 2)))
    # 7 x 7, 3 x 3, 1 x 1
    assert estimate(plain, (7, 7), 0) == 4 * 49 + 8 * 9 + 8 * 1 + (8 + 8) * 9 + (4 + 4) * 49


def test_input_channels_do_not_count() -> None:
    plain = spec("plain_unet", (2, 2, 2), 2, ((1, 1), (2, 2), (2, 2)))
    assert estimate(plain, (8, 8), 5) == estimate(plain.model_copy(update={"input_channels": 1}), (8, 8), 5)
