"""Detections drawn onto the photo itself, at its own size; for the command line and for whoever wants just that."""

import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from rtdetr_explained.drawing.colors import COMPARED, LEVEL_COLORS, NEGATIVE, SELECTED, text_on
from rtdetr_explained.errors import InputError
from rtdetr_explained.tracing.trace import Detection

CLASS_COLORS = (*LEVEL_COLORS, SELECTED, COMPARED, NEGATIVE)


def draw_detections(photo: Image.Image, detections: Sequence[Detection]) -> Image.Image:
    """A copy of the photo with every box, its class and its score; the best one lies on top."""
    drawn = photo.convert("RGB")
    pen = ImageDraw.Draw(drawn)
    unit = max(1, round(max(drawn.size) / 400))  # line width that suits the size of the photo, in px
    font = ImageFont.load_default(size=max(10, 7 * unit))
    for d in reversed(detections):
        color = CLASS_COLORS[d.label % len(CLASS_COLORS)]
        x0, y0, x1, y1 = d.box_px
        pen.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), outline=color, width=unit)
        text = f"{d.name} {d.score:.2f}"
        left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
        width, height = right - left + 4 * unit, bottom - top + 3 * unit
        x = min(max(x0, 0), max(drawn.width - width, 0))
        y = y0 - height if y0 >= height else max(y0, 0)  # above the box, or inside it at the top of the photo
        pen.rectangle((x, y, x + width, y + height), fill=color)
        pen.text((x + 2 * unit - left, y + 1.5 * unit - top), text, font=font, fill=text_on(color))
    return drawn


def save_image(image: Image.Image, path: str | os.PathLike) -> None:
    """Write a PNG or JPEG; raises InputError when the name has another ending or the file cannot be written."""
    path = Path(path)
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise InputError(f"The picture cannot be written to {path.name}; give a name that ends in .png or .jpg.")
    try:
        image.save(path)
    except OSError as error:
        raise InputError(f"The picture could not be written to {path}: {error.strerror or error}.") from None
