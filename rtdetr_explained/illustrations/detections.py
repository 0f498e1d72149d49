"""Boxes drawn onto the photo itself, at its own size; for the command line and for whoever wants just that."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rtdetr_explained.drawing.colors import COMPARED, LEVEL_COLORS, NEGATIVE, SELECTED, text_on
from rtdetr_explained.drawing.fonts import fonts_for, without_missing
from rtdetr_explained.errors import InputError
from rtdetr_explained.tracing.trace import Detection
from rtdetr_explained.writing import unfinished

CLASS_COLORS = (*LEVEL_COLORS, SELECTED, COMPARED, NEGATIVE)
NO_CLASS = "#8A9199"


def draw_detections(photo: Image.Image, detections: Sequence[Detection]) -> Image.Image:
    """A copy of the photo with every box, its class and its score; the best one lies on top."""
    rows = list(reversed(detections))
    boxes = np.array([d.box_px for d in rows]).reshape(-1, 4)
    return draw_boxes(photo, boxes, [d.label for d in rows], [f"{d.name} {d.score:.2f}" for d in rows])


def draw_boxes(photo: Image.Image, boxes_px: np.ndarray, labels: Sequence[int], texts: Sequence[str]) -> Image.Image:
    """A copy of the photo with boxes (n, 4) x0 y0 x1 y1 in pixels, a text for each, in the colours of their labels.

    A negative label stands for no class, in grey.
    """
    drawn = photo.convert("RGB")
    pen = ImageDraw.Draw(drawn)
    unit = max(1, round(max(drawn.size) / 400))  # line width that suits the size of the photo, in px
    size = max(10, 7 * unit)
    fonts = fonts_for(texts)
    font = ImageFont.truetype(fonts.files[0], size) if fonts.files else ImageFont.load_default(size)
    for (x0, y0, x1, y1), label, words in zip(boxes_px.tolist(), labels, texts, strict=True):
        color = CLASS_COLORS[label % len(CLASS_COLORS)] if label >= 0 else NO_CLASS
        pen.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), outline=color, width=unit)
        text = without_missing(words, fonts.missing)
        left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
        width, height = right - left + 4 * unit, bottom - top + 3 * unit
        x = min(max(x0, 0), max(drawn.width - width, 0))
        y = y0 - height if y0 >= height else max(y0, 0)  # above the box, or inside it at the top of the photo
        pen.rectangle((x, y, x + width, y + height), fill=color)
        pen.text((x + 2 * unit - left, y + 1.5 * unit - top), text, font=font, fill=text_on(color))
    return drawn


def check_name(path: Path) -> None:
    """Raise InputError for a picture's name with another ending or in a folder that does not exist."""
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise InputError(f"The picture cannot be written to {path.name}; give a name that ends in .png or .jpg.")
    if not path.parent.is_dir():
        raise InputError(f"The picture could not be written to {path}: there is no folder {path.parent}; make it.")


def save_image(image: Image.Image, path: str | os.PathLike) -> None:
    """Write a PNG or JPEG; raises InputError when the name has another ending or the file cannot be written."""
    path = Path(path)
    check_name(path)
    try:
        with unfinished(path) as part:
            image.save(part, Image.registered_extensions()[path.suffix.lower()])
    except OSError as error:
        raise InputError(f"The picture could not be written to {path}: {error.strerror or error}.") from None
