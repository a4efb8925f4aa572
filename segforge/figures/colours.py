"""Colours that stay apart for colour-blind eyes, and on grey."""

FALSE_POSITIVE, FALSE_NEGATIVE, OTHER_STRUCTURE = "#ff4b00", "#1f8fff", "#ffe100"
"""Of what is only in the prediction, what is only in the reference, and what is another structure in each."""

_FIRST = ("#00c08b", "#e78ac3", "#f0e442", "#e69f00", "#56b4e9", "#d55e00", "#b39ddb")
"""After Okabe and Ito (2008), without those that are lost on grey; those that errors have come late."""

_GOLDEN = 0.618034
_BRIGHTNESS = ((0.55, 1.0), (0.95, 0.85), (0.3, 0.95))


def structure_colours(count: int) -> list[str]:
    """A colour for each of some structures; the first ones are the same whatever the count."""
    return [_FIRST[index] if index < len(_FIRST) else _further(index) for index in range(count)]


def _further(index: int) -> str:
    """Successive hues are far apart; so many cannot all be told apart by hue, therefore brightness changes too."""
    from matplotlib.colors import hsv_to_rgb, to_hex

    saturation, value = _BRIGHTNESS[index % len(_BRIGHTNESS)]
    return str(to_hex(tuple(hsv_to_rgb((index * _GOLDEN % 1, saturation, value)).tolist())))
