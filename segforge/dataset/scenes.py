"""A case of a data set as a picture shows it: which channels, in which window, which way up, with which structures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segforge.dataset.cases import CHANNEL, image_files
from segforge.dataset.labels import LabelScheme
from segforge.errors import SegForgeError
from segforge.figures.overlay import Scene, Structures
from segforge.figures.window import window_around, window_of
from segforge.images.dicom import series_folders
from segforge.images.files import ending_of
from segforge.images.image import Array, Geometry
from segforge.images.orientation import axis_codes

_COLOURS = ("red", "green", "blue")
_NO_PATIENT = (".tif", ".tiff", ".png", ".bmp", ".jpg", ".jpeg")
_SOFT_TISSUE = (-160.0, 240.0)  # Hounsfield units
_WIDEST = 1500.0
_CT = "ct"


@dataclass(frozen=True)
class Look:
    """What a user may choose about pictures of cases.

    Attributes:
        channel: The channel to show; None shows a photograph in colour, else the first one.
        window: The values that are shown as black and as white; None finds them.
        is_filled: Whether structures are filled, not only outlined.
    """

    channel: int | None = None
    window: tuple[float, float] | None = None
    is_filled: bool = False

    def __post_init__(self) -> None:
        if self.window and not self.window[0] < self.window[1]:
            raise SegForgeError(f"--window goes from a lower to a higher value; found {self.window[0]:g} {self.window[1]:g}.")

    def structures(self, labels: LabelScheme) -> Structures:
        """The structures of a data set as they are drawn."""
        classes = {target.name: target.classes for target in labels.targets}
        return Structures(classes, labels.ignore_class, self.is_filled)


def scene_of(
    channels: Array,
    geometry: Geometry,
    look: Look,
    *,
    foreground: Array | None = None,
    names: Sequence[str] = (),
    toward: str | None = None,
) -> Scene:
    """An image as it is drawn.

    Args:
        channels: `(C, Z, Y, X)`.
        geometry: Its grid.
        look: What the user chose.
        foreground: Where there is a structure `(Z, Y, X)`, for the window of a CT.
        names: Names of the channels; those of colours and of CT count.
        toward: Where the axes run to (`toward_of`).

    Raises:
        SegForgeError: If there is no such channel.
    """
    chosen = _chosen(channels, geometry, look, names)
    shown = channels[chosen]
    window = look.window
    if window is None and [names[index].casefold() for index in chosen if index < len(names)] == [_CT]:
        window = _window_of_ct(shown[0], foreground)
    return Scene(shown, window or window_of(shown), geometry.spacing, toward, _name(chosen, len(channels), names))


def toward_of(path: Path, geometry: Geometry) -> str | None:
    """Where the axes (z, y, x) of a file run to in the patient; None for planes and for formats that do not know patients."""
    if geometry.is_2d or (ending_of(path) in _NO_PATIENT and not path.is_dir()):
        return None
    return axis_codes(geometry)[::-1]


def images_of_cases(folder: Path) -> dict[str, tuple[Path, ...]]:
    """The images in a folder by case, in the order of their channels: files `CASE_0000`, or folders of DICOM slices.

    Raises:
        SegForgeError: If the folder is missing.
    """
    if not folder.is_dir():
        raise SegForgeError(f"{folder} is missing, the folder of the images.")
    found: dict[str, list[Path]] = {}
    for name, path in [*image_files(folder)] or [*series_folders(folder)]:
        match = CHANNEL.fullmatch(name)
        found.setdefault(match[1] if match else name, []).append(path)
    return {case: tuple(paths) for case, paths in found.items()}


def _window_of_ct(values: Array, foreground: Array | None) -> tuple[float, float]:
    """Around the structures, unless there are none or they reach from lung to bone."""
    if foreground is None or not foreground.any():
        return _SOFT_TISSUE
    low, high = window_around(values[foreground])
    return (low, high) if high - low <= _WIDEST else _SOFT_TISSUE


def _name(chosen: Sequence[int], count: int, names: Sequence[str]) -> str:
    """What the image is called: with its channel, if there are several."""
    if len(chosen) > 1 or count == 1:
        return "image"
    return f"channel {chosen[0]}" + (f", {names[chosen[0]]}" if chosen[0] < len(names) else "")


def _chosen(channels: Array, geometry: Geometry, look: Look, names: Sequence[str]) -> list[int]:
    if look.channel is not None:
        if not 0 <= look.channel < len(channels):
            known = ", ".join(f"{index} ({name})" for index, name in enumerate(names)) or f"0 to {len(channels) - 1}"
            raise SegForgeError(f"There is no channel {look.channel}. There are: {known}.")
        return [look.channel]
    is_colour = (geometry.is_2d and len(channels) == 3) or tuple(name.casefold() for name in names[:3]) == _COLOURS
    return [0, 1, 2] if is_colour else [0]
