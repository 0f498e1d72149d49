"""Any mode of a decoded picture as RGB of 8 bits: transparency, palettes, and values of 16 bits."""

from __future__ import annotations

import numpy as np
from PIL import Image

from rtdetr_explained.errors import InputError

OF_12_BITS, OF_16_BITS = 4095, 65535  # the greatest values


def to_rgb(image: Image.Image, label: str) -> Image.Image:
    """Convert any mode to RGB: transparency onto white, 16 bits scaled to 8; always a new image without notes."""
    rgb = _to_rgb(image, label)
    rgb.info = {}
    return rgb


def is_dark(image: Image.Image) -> bool:
    """Whether greys of 16 bits all fit into 12: cameras and scanners of 12 bits write such files, black to look at."""
    return image.mode.startswith("I;16") and 0 < int(np.asarray(image).max()) <= OF_12_BITS


def from_12_bits(high: Image.Image, low: Image.Image) -> Image.Image:
    """Colours of 12 bits, given as the high and the low bytes of their 16, as 8 bits; transparency stays."""
    colors = np.asarray(high.convert("RGB")).astype(np.uint16) << 8 | np.asarray(low.convert("RGB"))  # H W 3
    image = Image.fromarray(_to_8_bits(colors))
    if "A" in high.getbands():
        image.putalpha(high.getchannel("A"))
    return image


def _to_rgb(image: Image.Image, label: str) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray(_to_8_bits(np.asarray(image))).convert("RGB")
    if image.mode in ("I", "F"):
        raise InputError(f"{label} has 32-bit pixels, whose range is unknown; convert it to 8 or 16 bits.")
    if image.mode in ("P", "PA") and image.palette is None:
        raise InputError(f"{label} numbers its colours but lacks the list of them; export it again.")
    try:
        if not image.has_transparency_data:
            return image.convert("RGB") if image.mode != "RGB" else image.copy()
        rgba = image.convert("RGBA")
    except ValueError as error:
        raise InputError(
            f"{label} is in the colour mode {image.mode}, which is not read; convert it to RGB."
        ) from error
    white = Image.new("RGB", image.size, "white")
    white.paste(rgba, mask=rgba.getchannel("A"))
    return white


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """16-bit values, or 12-bit ones in 16, scaled to 8 bits; Pillow's own conversion clips at 255."""
    most = OF_12_BITS if values.max() <= OF_12_BITS else OF_16_BITS
    return np.rint(values / np.float32(most / 255)).astype(np.uint8)
